import type { ApiProject, ApiReceived, ApiRequestDetail } from '@tocsin/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { withHook } from '../chaos/fault.ts'
import { databaseKinds } from '../support/databases.ts'
import { reading } from '../support/reading.ts'
import {
  type Answer,
  type SendingSource,
  send,
  startTocsin,
  type TocsinProcess,
} from '../support/tocsin-process.ts'
import { startSeveral } from './start-on.ts'

/** Requests of the plan pro in a rolling hour. */
const LIMIT = 100
const HOUR_S = 3_600

let tocsin: TocsinProcess
beforeAll(async () => {
  tocsin = await startTocsin()
})
afterAll(() => tocsin.dispose())

test('the plan pro takes 100 different alerts in an hour and parks one more', async () => {
  const { source, read, project } = await proProject()
  const sentAt = Date.now()
  expect((await fire(source, 0)).status).toBe(200)
  const firstAt = { earliest: sentAt, latest: Date.now() }
  for (let n = 1; n < LIMIT; n++) expect((await fire(source, n)).status).toBe(200)

  const askedAt = Date.now()
  const refused = await refusal(source, LIMIT)
  expectRetryAfter(refused, firstAt, askedAt)
  expect(refused.body).toMatchObject({ success: false, error: { code: 'rate_limited' } })
  expect(refused.body.error.message).toMatch(/replay/)

  const [incident] = await read.incidents()
  expect(incident).toMatchObject({ signalCount: LIMIT, eventCount: LIMIT })
  const parked = await read.requests('outcome=parked')
  expect(parked).toMatchObject([
    { id: refused.body.requestId, status: 429, reason: 'rate_limited', replayable: true },
  ])
  const path = `/projects/${project}/requests/${parked[0]!.id}`
  const { request } = await tocsin.api<{ request: ApiRequestDetail }>('GET', path)
  expect(JSON.parse(request.body!)).toEqual(alert(LIMIT))
})

test('a parked body stays parked while the hour is full, and is replayed once there is room', async () => {
  const { source, read, project } = await fullProject()
  const { requestId } = (await refusal(source, LIMIT)).body
  const path = `/projects/${project}/requests/${requestId}`

  const early = await tocsin.call('POST', `${path}/replay`, {})
  expect(early.status).toBe(429)
  expect(Number(early.headers.get('retry-after'))).toBeGreaterThan(HOUR_S - 60)
  expect(await read.requests('outcome=parked')).toMatchObject([{ id: requestId, replayable: true }])
  // What would come of it can be asked all the same.
  const asked = await tocsin.api<ApiReceived>('POST', `${path}/replay`, { dryRun: true })
  expect(asked).toMatchObject({ outcome: 'attached', duplicate: false })
  expect(await read.requests('outcome=parked')).toMatchObject([{ id: requestId, replayable: true }])

  await tocsin.api('PATCH', `/projects/${project}`, { plan: 'team' })
  const dry = await tocsin.api<ApiReceived>('POST', `${path}/replay`, { dryRun: true })
  expect(dry).toMatchObject({ outcome: 'attached', duplicate: false })
  const replayed = await tocsin.api<ApiReceived>('POST', `${path}/replay`, {})
  expect(replayed).toMatchObject({ outcome: 'attached', duplicate: false })
  expect(await read.incident(replayed.incident!.id)).toMatchObject({ eventCount: LIMIT + 1 })
  expect(await read.requests('outcome=parked')).toEqual([])

  const again = await tocsin.api<ApiReceived>('POST', `${path}/replay`, {})
  expect(again).toMatchObject({ outcome: 'duplicate', duplicate: true })
})

test('one alert repeated meets the limit too, though it is stored already', async () => {
  const { source, read } = await proProject()
  const sentAt = Date.now()
  expect((await fire(source, 0)).status).toBe(200)
  const firstAt = { earliest: sentAt, latest: Date.now() }
  for (let n = 1; n < LIMIT; n++) expect((await fire(source, 0)).status).toBe(200)

  const askedAt = Date.now()
  const refused = await refusal(source, 0)
  expectRetryAfter(refused, firstAt, askedAt)
  expect(refused.body).toMatchObject({ outcome: 'duplicate', duplicate: true })
  expect(await read.requests('outcome=parked')).toEqual([])
  expect(await read.incidents()).toMatchObject([{ signalCount: 1, eventCount: 1 }])
})

test('duplicates leave the hour to alerts that are new', async () => {
  const { source } = await proProject()
  for (let n = 0; n < LIMIT; n++) await fire(source, 0)
  for (let n = 1; n < LIMIT; n++) expect((await fire(source, n)).status).toBe(200)
  expect((await fire(source, LIMIT)).status).toBe(429)
})

test('with the hour full a known firing signal still recovers; an unknown one is parked', async () => {
  const { source, read } = await fullProject()
  const recovered = await send(source, { ...alert(3), action: 'resolve' })
  expect(recovered.status).toBe(200)
  expect(recovered.body).toMatchObject({ outcome: 'recovered', stillFiring: LIMIT - 1 })
  expect((await send(source, { ...alert(LIMIT), action: 'resolve' })).status).toBe(429)
  expect(await read.incidents()).toMatchObject([{ status: 'open', firingCount: LIMIT - 1 }])
})

test('a full hour of one project is no business of another', async () => {
  await fullProject()
  const { source } = await proProject()
  expect((await fire(source, 0)).status).toBe(200)
})

/** As many as the docs allow to share one database. */
const PROCESSES = { sqlite: 2, postgres: 4 }

test.each(databaseKinds)(
  'of 1,000 alerts sent at once to several processes on %s exactly the hour is accepted',
  async (kind) => {
    const processes = await startSeveral(PROCESSES[kind], {}, kind)
    const [first] = processes
    const { project } = await first!.api<{ project: ApiProject }>('POST', '/projects', {
      name: 'Limited',
      plan: 'pro',
    })
    const source = await first!.createSource({ adapter: 'generic' }, project.id)
    const firstAt = Date.now()
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, (_, n) => {
        const url = source.url.replace(first!.address, processes[n % processes.length]!.address)
        return send<Refusal>({ ...source, url }, alert(n))
      }),
    )

    const refused = answers.filter(({ status }) => status === 429)
    // What found the database busy was not taken, and is told so.
    const busy = answers.filter(({ status }) => status === 503)
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(LIMIT)
    expect(refused.length + busy.length).toBe(1_000 - LIMIT)
    for (const { headers } of busy) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    const wait = HOUR_S - (Date.now() - firstAt) / 1_000
    for (const { headers } of refused) {
      const retryAfter = Number(headers.get('retry-after'))
      expect(retryAfter).toBeGreaterThanOrEqual(Math.floor(wait) - 1)
      expect(retryAfter).toBeLessThanOrEqual(HOUR_S)
    }

    const read = reading(first!, project.id)
    expect(await read.incidents()).toMatchObject([{ signalCount: LIMIT, eventCount: LIMIT }])
  },
)

test.runIf(databaseKinds.includes('postgres'))(
  'the hour is that of the database, also for a process whose clock is ahead',
  async () => {
    const aheadMs = 2 * HOUR_S * 1_000
    const processes = await startSeveral(2, {}, 'postgres', (place) =>
      place === 0 ? {} : withHook('clock', { CHAOS_CLOCK_MS: `${aheadMs}` }),
    )
    const [first, ahead] = processes
    const { project } = await first!.api<{ project: ApiProject }>('POST', '/projects', {
      name: 'Limited',
      plan: 'pro',
    })
    const source = await first!.createSource({ adapter: 'generic' }, project.id)
    for (let n = 0; n < LIMIT; n++) expect((await fire(source, n)).status).toBe(200)
    const url = source.url.replace(first!.address, ahead!.address)
    await refusal({ ...source, url }, LIMIT)
  },
)

interface Refusal {
  success: false
  error: { code: string; message: string }
  requestId: string
}

async function proProject() {
  const { project } = await tocsin.api<{ project: ApiProject }>('POST', '/projects', {
    name: 'Limited',
    plan: 'pro',
  })
  const source = await tocsin.createSource({ adapter: 'generic' }, project.id)
  return { project: project.id, source, read: reading(tocsin, project.id) }
}

async function fullProject() {
  const found = await proProject()
  const answers = await Promise.all(Array.from({ length: LIMIT }, (_, n) => fire(found.source, n)))
  expect(answers.every(({ status }) => status === 200)).toBe(true)
  return found
}

function alert(n: number) {
  return { id: `alert-${n}`, title: `Alert ${n}` }
}

function fire(source: SendingSource, n: number) {
  return send(source, alert(n))
}

async function refusal(source: SendingSource, n: number): Promise<Answer<Refusal>> {
  const answer = await send<Refusal>(source, alert(n))
  expect(answer.status).toBe(429)
  return answer
}

/** Until the first request of the hour is an hour old, to the second; each came some time between sending and answer. */
function expectRetryAfter(
  { headers }: Answer<unknown>,
  firstAt: { earliest: number; latest: number },
  askedAt: number,
): void {
  const retryAfter = Number(headers.get('retry-after'))
  const left = (now: number, first: number) => HOUR_S - (now - first) / 1_000
  expect(retryAfter).toBeGreaterThanOrEqual(left(Date.now(), firstAt.earliest) - 1)
  expect(retryAfter).toBeLessThanOrEqual(left(askedAt, firstAt.latest) + 1)
}
