import { expect, test } from 'vitest'
import { operations } from '../../ingest/app.ts'
import { httpTocsin, ROUTES } from '../../mcp-server/http-tocsin.ts'
import { refusal } from '../core/open-test-tocsin.ts'
import { serve } from '../ingest/serve.ts'
import { KEY, stubTocsin } from '../ingest/stub-tocsin.ts'

test('the table of routes is that of the server', () => {
  const served = operations.map(({ id, method, path }) => [id, [method, path]] as const)
  expect(Object.fromEntries(served)).toEqual(ROUTES)
})

test('a call arrives as it was made, and its answer comes back', async () => {
  const stub = stubTocsin()
  const { url } = await serve({ tocsin: stub })
  const tocsin = httpTocsin(url, KEY)
  expect((await tocsin.me()).key.id).toBe('key-1')
  const query = {
    status: ['open', 'acknowledged'] as ('open' | 'acknowledged')[],
    q: 'a&b=c',
    limit: 5,
    drill: false,
  }
  await tocsin.listIncidents('project 1/ä', query)
  await tocsin.addNote('p', 'INC-001', { text: 'Looking.' })
  expect(await tocsin.deleteKey('p', 'k')).toBeUndefined()
  await tocsin.testSource('p', 's')
  expect(stub.calls.slice(1)).toEqual([
    ['listIncidents', 'project 1/ä', query],
    ['addNote', 'p', 'INC-001', { text: 'Looking.' }],
    ['deleteKey', 'p', 'k'],
    ['testSource', 'p', 's'],
  ])
})

test('refusals come back as core throws them; where nobody answers is said', async () => {
  const { url } = await serve({ tocsin: stubTocsin() })
  expect(await refusal(httpTocsin(url, 'wrong').me())).toMatchObject({
    name: 'TocsinError',
    code: 'unauthorized',
  })
  expect(await refusal(httpTocsin(url, KEY).listIncidents('p', { limit: 1000 }))).toMatchObject({
    code: 'invalid_request',
    message: expect.stringContaining('limit'),
  })
  // Port 1 is the discard of old: nobody listens.
  const away = await refusal(httpTocsin('http://127.0.0.1:1', KEY).me())
  expect(away).toMatchObject({ code: 'unavailable', message: expect.stringContaining('TOCSIN_URL') })
  expect(String(away)).not.toContain(KEY)
})

test.each(['.', '..', ''])('the id "%s" is refused: it would lead to something else', async (id) => {
  const stub = stubTocsin()
  const tocsin = httpTocsin((await serve({ tocsin: stub })).url, KEY)
  for (const [field, call] of [
    ['incident', () => tocsin.getIncident('p', id)],
    ['project', () => tocsin.listIncidents(id, {})],
    ['source', () => tocsin.updateSource('p', id, {})],
  ] as const) {
    expect(await refusal(call())).toMatchObject({
      code: 'invalid_request',
      message: `${field}: "${id}" is no id. Give the id that Tocsin shows.`,
    })
  }
  expect(stub.calls).toEqual([])
})
