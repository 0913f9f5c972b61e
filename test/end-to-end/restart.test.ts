import { expect, test } from 'vitest'
import { reading } from '../support/reading.ts'
import { readStartUp, send, type TocsinProcess } from '../support/tocsin-process.ts'
import { startOn } from './start-on.ts'

test('the same incidents, sources and keys are there after a restart', async () => {
  const tocsin = await startOn('sqlite')
  const source = await tocsin.createSource({ adapter: 'generic', name: 'Scripts' })
  await send(source, alert('alert-1'))
  const before = await snapshot(tocsin)

  await tocsin.restart()
  expect(await snapshot(tocsin)).toEqual(before)
  expect((await send(source, alert('alert-1'))).status).toBe(200)
  expect(await reading(tocsin).requests()).toMatchObject([{ outcome: 'duplicate' }, { outcome: 'opened' }])
})

test('secrets are printed at the first start only', async () => {
  const tocsin = await startOn('sqlite')
  const first = tocsin.stdout()
  const secret = readStartUp(first).curl.match(/X-Webhook-Secret: ([^']+)/)![1]!
  expect(first).toContain(tocsin.adminKey)

  await tocsin.restart()
  const later = tocsin.stdout()
  expect(later).not.toContain(tocsin.adminKey)
  expect(later).not.toContain(secret)
  expect(readStartUp(later)).toMatchObject({ address: tocsin.address, projectId: tocsin.projectId })
  expect(readStartUp(later).curl).toContain('"X-Webhook-Secret: $TOCSIN_SECRET"')
  expect(tocsin.stderr()).not.toContain(tocsin.adminKey)
})

function alert(id: string) {
  return { id, title: `Alert ${id}` }
}

async function snapshot(tocsin: TocsinProcess) {
  const { incidents, timeline, requests } = reading(tocsin)
  const found = await incidents()
  return {
    found,
    timelines: await Promise.all(found.map(({ id }) => timeline(id))),
    requests: await requests(),
    projects: await tocsin.api('GET', '/projects'),
    sources: await tocsin.api('GET', `/projects/${tocsin.projectId}/sources`),
    keys: await tocsin.api('GET', `/projects/${tocsin.projectId}/keys`),
  }
}
