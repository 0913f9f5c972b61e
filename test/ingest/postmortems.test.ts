import { describe, expect, test } from 'vitest'
import { ADMIN_KEY, testTocsin } from '../core/open-test-tocsin.ts'
import { databaseKinds } from '../support/databases.ts'
import { serve } from './serve.ts'

const AUTH = { Authorization: `Bearer ${ADMIN_KEY}` }

describe.each(databaseKinds)('post-mortems over HTTP on %s', (kind) => {
  const t = testTocsin(kind)

  async function incidentAddress() {
    const project = await t.project()
    await t.admin.createIncident(project.id, { title: 'Checkout is down' })
    const { api, url } = await serve({ tocsin: t.tocsin })
    return { api, url, path: `/projects/${project.id}/incidents/INC-001/postmortem` }
  }

  test('a draft is 201, a dry run 200, and Markdown is there for the asking', async () => {
    const { api, url, path } = await incidentAddress()
    const dry = await api('POST', path, { dryRun: true, template: 'brief' }, AUTH)
    expect([dry.status, dry.body.postmortem.revision, dry.body.postmortem.template]).toEqual([
      200,
      null,
      'brief',
    ])
    const draft = await api('POST', path, undefined, AUTH)
    expect([draft.status, draft.body.postmortem.revision]).toEqual([201, 1])
    const saved = await api('PUT', path, { markdown: '# Ours\n' }, AUTH)
    expect([saved.status, saved.body.postmortem.revision]).toEqual([200, 2])

    const text = async (query: string) => {
      const response = await fetch(`${url}/api/v1${path}?format=markdown${query}`, { headers: AUTH })
      expect(response.headers.get('content-type')).toBe('text/markdown; charset=utf-8')
      expect(response.headers.get('x-content-type-options')).toBe('nosniff')
      return response.text()
    }
    expect(await text('')).toBe('# Ours\n')
    expect(await text('&revision=1')).toBe(draft.body.postmortem.markdown)
    expect((await api('GET', `${path}?format=json`, undefined, AUTH)).body.postmortem.markdown).toBe(
      '# Ours\n',
    )
  })

  test('sent twice under one key, it is drafted once', async () => {
    const { api, path } = await incidentAddress()
    const headers = { ...AUTH, 'Idempotency-Key': 'draft-1' }
    const first = await api('POST', path, {}, headers)
    const again = await api('POST', path, {}, headers)
    expect([first.status, again.status, again.headers.get('idempotency-replayed')]).toEqual([
      201,
      201,
      'true',
    ])
    expect(again.body).toEqual(first.body)
    expect(
      (await api('PUT', path, { markdown: 'x' }, { ...headers, 'Idempotency-Key': 'p' })).body.postmortem
        .revision,
    ).toBe(2)
  })

  test.each([
    ['POST', '', { template: 'long' }, 'template'],
    ['POST', '', { audience: 'press' }, 'audience'],
    ['POST', '', { dryrun: true }, 'dryrun'],
    ['PUT', '', { markdown: ' \n' }, 'markdown'],
    ['PUT', '', { markdown: 'x'.repeat(100_001) }, 'markdown'],
    ['PUT', '', {}, 'markdown'],
    ['GET', '?revision=0', undefined, 'revision'],
    ['GET', '?revision=one', undefined, 'revision'],
    ['GET', '?format=pdf', undefined, 'format'],
  ])('%s%s %j is a 400 that names %s', async (method, query, body, field) => {
    const { api, path } = await incidentAddress()
    const answer = await api(method, path + query, body, AUTH)
    expect([answer.status, answer.body.error.code]).toEqual([400, 'invalid_request'])
    expect(answer.body.error.message).toContain(field)
  })

  test('where there is none, or no incident, it is a 404 in JSON', async () => {
    const { api, path } = await incidentAddress()
    const none = await api('GET', `${path}?format=markdown`, undefined, AUTH)
    const lost = await api('POST', path.replace('INC-001', 'INC-009'), {}, AUTH)
    expect([none.status, none.body.error.code, lost.status]).toEqual([404, 'not_found', 404])
  })
})
