import { expect, test } from 'vitest'
import { reading } from '../support/reading.ts'
import { openSender } from '../support/sender.ts'
import { readStartUp, type SendingSource, send, type TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { startOn } from './start-on.ts'

test('a stop under load answers every request it has taken, and exits with 0', async () => {
  const tocsin = await startOn('sqlite')
  const source = await tocsin.createSource({ adapter: 'generic' })
  const load = startLoad(source)
  await until('the load is under way', () => load.answered.length >= 200)

  expect(await tocsin.stop()).toEqual({ code: 0, signal: null })
  await load.stopped
  // Refused connections were never taken; a request that was written and then cut off would have been.
  expect(load.cutOff).toEqual([])
  expect(new Set(load.answered.map(({ status }) => status))).toEqual(new Set([200]))

  await tocsin.restart()
  const { incidents, events } = reading(tocsin)
  const [incident] = await incidents()
  const stored = new Set((await events(incident!.id)).map(({ externalId }) => externalId))
  expect(load.answered.filter(({ id }) => !stored.has(id))).toEqual([])
  expect(stored.size).toBe(load.answered.length)
})

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

interface Load {
  answered: { id: string; status: number }[]
  /** Ids of requests that were written on a connection and never answered. */
  cutOff: string[]
  stopped: Promise<unknown>
}

/** Eight senders that go on until they are refused a connection. */
function startLoad(source: SendingSource): Load {
  const { post, close } = openSender(source)
  const answered: Load['answered'] = []
  const cutOff: string[] = []

  const sender = async (name: number) => {
    for (let n = 0; ; n++) {
      const id = `alert-${name}-${n}`
      try {
        answered.push({ id, status: (await post(alert(id))).status })
      } catch (error) {
        if (!isRefused(error)) cutOff.push(id)
        return
      }
    }
  }
  const stopped = Promise.all(Array.from({ length: 8 }, (_, name) => sender(name)))
  return { answered, cutOff, stopped: stopped.finally(() => close()) }
}

function alert(id: string) {
  return { id, title: `Alert ${id}` }
}

function isRefused(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
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
