import { describe, expect, test } from 'vitest'
import { insertRows, updateRows } from '../../../core/store/statement.ts'
import { databaseKinds } from '../../support/databases.ts'
import { HOUR, MINUTE, openPost, type Post, SECOND, START } from './harness.ts'

const DAY = 24 * HOUR
const openIncident = async ({ tocsin, project }: Post) =>
  (await tocsin.createIncident(project, { title: 'Down' })).incident.id

describe.each(databaseKinds)('the state of an endpoint on %s', (kind) => {
  test('a success that was under way does not end the pause another answer asked for', async () => {
    const post = await openPost(kind)
    const worker = post.worker()
    const first = Promise.withResolvers<void>()
    let limited = false
    post.receivers.set('/a', async () => {
      if (limited) {
        await first.promise
        return 204
      }
      limited = true
      return { status: 429, retryAfterMs: MINUTE }
    })
    await post.endpoint('/a')
    await openIncident(post)
    await openIncident(post)
    const running = worker.runOnce()
    await expect.poll(() => post.sent.length).toBe(2)
    post.clock.now += SECOND
    first.resolve()
    await running
    await openIncident(post)
    post.clock.now = START + MINUTE - SECOND
    await worker.runOnce()
    expect(post.sent).toHaveLength(2)
    post.clock.now = START + MINUTE
    await worker.runOnce()
    expect(post.sent).toHaveLength(4)
  })

  test('what a late attempt is told holds back that message for its step, the others only as long as asked', async () => {
    const post = await openPost(kind)
    const worker = post.worker()
    post.receivers.set('/a', ({ sequence }) => (sequence === 1 ? 500 : 204))
    const endpoint = await post.endpoint('/a')
    await openIncident(post)
    await post.pass(worker, START + 10 * HOUR)
    post.receivers.set('/a', () => ({ status: 503, retryAfterMs: 30 * SECOND }))
    await post.pass(worker, START + 20 * HOUR)
    post.receivers.clear()
    await openIncident(post)
    await worker.runOnce()
    expect((await post.messages(endpoint)).map(({ status }) => status)).toEqual(['delivered', 'pending'])
  })

  test('a message whose forerunner failed for good says so, also when it comes long after', async () => {
    const post = await openPost(kind)
    const worker = post.worker()
    post.receivers.set('/a', () => 500)
    const endpoint = await post.endpoint('/a', { policy: 'once' })
    const id = await openIncident(post)
    await worker.runOnce()
    post.receivers.clear()
    await post.tocsin.acknowledgeIncident(post.project, id, {})
    await worker.runOnce()
    await post.tocsin.resolveIncident(post.project, id, {})
    await openIncident(post)
    await worker.runOnce()
    expect(post.sent.map(({ type, gap, ok }) => [type, gap, ok])).toEqual([
      ['incident.opened', false, false],
      ['incident.acknowledged', true, true],
      ['incident.resolved', false, true],
      ['incident.opened', false, true],
    ])
    const bodies = (await post.messages(endpoint)).map(({ requestBody }) => JSON.parse(requestBody).data.gap)
    expect(bodies).toEqual([undefined, undefined, true, undefined])
  })

  test('a 410 leaves alone what is under way: it ends by its own answer, and is not sent twice at once', async () => {
    const post = await openPost(kind)
    const worker = post.worker()
    const answers = new Map<string, ReturnType<typeof Promise.withResolvers<number>>>()
    post.receivers.set('/a', ({ id }) => {
      const answer = Promise.withResolvers<number>()
      answers.set(id, answer)
      return answers.size === 1 ? 410 : answer.promise
    })
    const endpoint = await post.endpoint('/a')
    for (let i = 0; i < 4; i++) await openIncident(post)
    // Behind one that is under way.
    await post.tocsin.resolveIncident(post.project, await openIncident(post), {})
    const running = worker.runOnce()
    const ended = async () =>
      (await post.messages(endpoint)).map(({ status, reason }) => reason ?? status).toSorted()
    await expect.poll(ended).toEqual(['gone', 'gone', 'pending', 'pending', 'pending', 'pending'])
    const [, second, third, fourth, fifth] = [...answers.keys()]
    answers.get(second!)!.resolve(500)
    await expect.poll(ended).toEqual(['gone', 'gone', 'gone', 'pending', 'pending', 'pending'])

    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: true })
    post.receivers.set('/a', () => 204)
    expect(await post.tocsin.replayEndpoint(post.project, endpoint, {})).toEqual({ replayed: 3 })
    await post.worker().runOnce()
    for (const id of [third, fourth, fifth]) answers.get(id!)!.resolve(204)
    await running
    await worker.runOnce()
    expect(await ended()).toEqual(Array(6).fill('delivered'))
    for (const id of [third, fourth, fifth]) expect(post.sent.filter((one) => one.id === id)).toHaveLength(1)
  })

  test('what is delivered beside a 410 counts as delivered', async () => {
    const post = await openPost(kind)
    const rest = Promise.withResolvers<number>()
    let count = 0
    post.receivers.set('/a', () => (++count === 1 ? 410 : rest.promise))
    const endpoint = await post.endpoint('/a')
    for (let i = 0; i < 3; i++) await openIncident(post)
    const running = post.worker().runOnce()
    const isOn = async () => (await post.tocsin.getEndpoint(post.project, endpoint)).endpoint.enabled
    await expect.poll(isOn).toBe(false)
    rest.resolve(204)
    await running
    const { counters } = (await post.tocsin.getEndpoint(post.project, endpoint)).endpoint
    expect(counters).toMatchObject({ pending: 0, delivered: 2, failed: 1, attempts: 3 })
  })

  test('while Tocsin has switched it off, messages queue, and go out in order once it is on again', async () => {
    const post = await openPost(kind)
    const worker = post.worker()
    post.receivers.set('/a', () => 500)
    const endpoint = await post.endpoint('/a', { policy: 'runframe-2h' })
    const id = await openIncident(post)
    await post.pass(worker, START + 5 * HOUR)
    expect((await post.tocsin.getEndpoint(post.project, endpoint)).endpoint).toMatchObject({
      enabled: false,
      disabledReason: 'failed',
    })
    const before = post.sent.length
    await post.tocsin.acknowledgeIncident(post.project, id, {})
    await post.tocsin.resolveIncident(post.project, id, {})
    await post.pass(worker, START + 6 * HOUR)
    expect(post.sent).toHaveLength(before)

    post.receivers.clear()
    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: true })
    await worker.runOnce()
    expect(post.sent.slice(before).map(({ type, gap }) => [type, gap])).toEqual([
      ['incident.acknowledged', true],
      ['incident.resolved', false],
    ])
  })

  test.each(['by_hand', 'gone'])('while it is off, %s, nothing is queued', async (reason) => {
    const post = await openPost(kind)
    const worker = post.worker()
    post.receivers.set('/a', () => (reason === 'gone' ? 410 : 500))
    const endpoint = await post.endpoint('/a', { policy: 'runframe-2h' })
    const id = await openIncident(post)
    await post.pass(worker, START + 5 * HOUR)
    // By hand what Tocsin has switched off before.
    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: false })
    expect((await post.tocsin.getEndpoint(post.project, endpoint)).endpoint.disabledReason).toBe(reason)
    await post.tocsin.resolveIncident(post.project, id, {})
    expect(await post.messages(endpoint)).toHaveLength(1)
  })

  test('another policy holds for what is waiting, too', async () => {
    const post = await openPost(kind)
    const worker = post.worker()
    post.receivers.set('/a', () => 500)
    const shorter = await post.endpoint('/a')
    post.receivers.set('/b', () => 500)
    const longer = await post.endpoint('/b', { policy: 'uptimera-30m' })
    for (let i = 0; i < 12; i++) await openIncident(post)
    await post.pass(worker, START + 20 * MINUTE)
    await post.tocsin.updateEndpoint(post.project, shorter, { policy: 'uptimera-30m' })
    await post.tocsin.updateEndpoint(post.project, longer, { policy: 'standard-3d' })
    await post.pass(worker, START + 31 * MINUTE)
    const statuses = async (endpoint: string) =>
      new Set((await post.messages(endpoint)).map(({ status }) => status))
    expect(await statuses(shorter)).toEqual(new Set(['failed']))
    expect(await statuses(longer)).toEqual(new Set(['pending']))
  })

  test('after a failure one message at a time goes out, until the next success', async () => {
    const post = await openPost(kind)
    const worker = post.worker()
    let under = 0
    let most = 0
    let answers = [500]
    post.receivers.set('/a', async () => {
      most = Math.max(most, ++under)
      await new Promise(setImmediate)
      under -= 1
      return answers.shift() ?? 204
    })
    await post.endpoint('/a')
    await openIncident(post)
    await worker.runOnce()
    answers = [500, 500, 500]
    for (let i = 0; i < 3; i++) await openIncident(post)
    await worker.runOnce()
    expect([post.sent.length, most]).toEqual([4, 1])
    for (let i = 0; i < 9; i++) await openIncident(post)
    await worker.runOnce()
    expect([post.sent.length, most]).toEqual([13, 5])
  })

  test('of many secrets in overlap the oldest end early', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    for (let i = 0; i < 30; i++) await post.tocsin.rotateEndpoint(post.project, endpoint, {})
    await openIncident(post)
    await post.worker().runOnce()
    const signatures = post.sent[0]!.headers['webhook-signature']!
    expect(signatures.split(' ')).toHaveLength(10)
    expect(signatures.length).toBeLessThan(500)
  })

  test('it shows until when an endpoint is left in peace, and switching it on ends that', async () => {
    const post = await openPost(kind)
    const worker = post.worker()
    let ok = false
    post.receivers.set('/paused', () => (ok ? 204 : { status: 429, retryAfterMs: MINUTE }))
    post.receivers.set('/broken', () => (ok ? 204 : 500))
    const paused = await post.endpoint('/paused')
    const broken = await post.endpoint('/broken')
    const waitingUntil = async (endpoint: string) =>
      (await post.tocsin.getEndpoint(post.project, endpoint)).endpoint.counters.waitingUntil
    expect(await waitingUntil(paused)).toBe(null)
    for (let i = 0; i < 10; i++) await openIncident(post)
    await worker.runOnce()
    expect(await waitingUntil(paused)).toBe(new Date(START + MINUTE).toISOString())
    expect(await waitingUntil(broken)).toBe(new Date(START + 30 * SECOND).toISOString())

    ok = true
    await worker.runOnce()
    expect(await post.messages(paused)).toMatchObject(Array(10).fill({ status: 'pending' }))
    for (const endpoint of [paused, broken]) {
      const on = await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: true })
      expect(on.endpoint.counters.waitingUntil).toBe(null)
    }
    await worker.runOnce()
    for (const endpoint of [paused, broken])
      expect(await post.messages(endpoint)).toMatchObject(Array(10).fill({ status: 'delivered' }))
    post.clock.now += MINUTE
    expect(await waitingUntil(paused)).toBe(null)
  })

  test('other endpoints learn where the one that was switched off is, not its path', async () => {
    const post = await openPost(kind)
    const other = await post.endpoint('/other', { events: ['endpoint.disabled'] })
    const endpoint = await post.endpoint('/hooks/a-token?key=b')
    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: false })
    const [message] = await post.messages(other)
    expect(JSON.parse(message!.requestBody).data.endpoint).toMatchObject({
      id: endpoint,
      url: 'http://127.0.0.1:9/…',
    })
  })

  test('all that a 410 ends is counted as failed', async () => {
    const post = await openPost(kind)
    post.receivers.set('/gone', () => 410)
    const gone = await post.endpoint('/gone')
    const id = await openIncident(post)
    await post.tocsin.acknowledgeIncident(post.project, id, {})
    await post.tocsin.resolveIncident(post.project, id, {})
    await post.worker().runOnce()
    const { counters } = (await post.tocsin.getEndpoint(post.project, gone)).endpoint
    expect(counters).toMatchObject({ pending: 0, delivered: 0, failed: 3, attempts: 1 })
  })

  test('switching on again keeps when it last went well', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await openIncident(post)
    await post.worker().runOnce()
    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: false })
    const { endpoint: on } = await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: true })
    expect(on.counters).toMatchObject({ delivered: 1, lastSuccessAt: '2026-11-21T08:00:00.000Z' })
  })

  test('all whose last attempt was not possible in time fail, however many', async () => {
    const post = await openPost(kind)
    const worker = post.worker()
    post.receivers.set('/a', () => 500)
    const endpoint = await post.endpoint('/a', { policy: 'uptimera-30m' })
    for (let i = 0; i < 250; i++) await openIncident(post)
    await worker.runOnce()
    // Nobody sends until long after the deadlines, and the breaker is open by then.
    post.clock.now = START + HOUR
    await post.database.transaction(() =>
      updateRows('endpoint', [{ id: endpoint, open_until: new Date(START + 2 * HOUR).toISOString() }]),
    )
    await worker.runOnce()
    const messages = await post.messages(endpoint)
    expect(new Set(messages.map(({ reason }) => reason))).toEqual(new Set(['circuit_open']))
    expect(messages).toHaveLength(250)
  })

  test('a database that is away is said once, not at every look', async () => {
    const post = await openPost(kind)
    const logged: string[] = []
    let looks = 0
    const next: (() => void)[] = []
    const worker = post.worker({
      database: {
        query: async () => {
          looks += 1
          throw new Error('away')
        },
      },
      log: (_level, message) => logged.push(message),
      schedule: (_delay, run) => {
        next.push(run)
        return () => {}
      },
    })
    worker.start()
    for (let look = 1; look <= 20; look++) {
      await expect.poll(() => looks === look && next.length > 0).toBe(true)
      next.shift()!()
    }
    await expect.poll(() => looks).toBe(21)
    expect(logged).toEqual(['sending waits'])
    await expect.poll(() => next.length).toBe(1)
    post.clock.now += MINUTE
    next.shift()!()
    await expect.poll(() => logged.length).toBe(2)
  })
})

describe.each(databaseKinds)('the log on %s', (kind) => {
  test('keeps what is still on its way, and forgets a long backlog without waiting', async () => {
    const post = await openPost(kind)
    const on = await post.endpoint('/on')
    const off = await post.endpoint('/off')
    post.receivers.set('/on', () => ({ status: null, error: 'refused' }))
    const id = await openIncident(post)
    await post.tocsin.resolveIncident(post.project, id, {})
    await post.tocsin.updateEndpoint(post.project, off, { enabled: false })
    await post.worker().runOnce()
    const done = await post.endpoint('/done', { events: ['incident.acknowledged'] })
    for (let i = 0; i < 60; i++)
      await post.tocsin.acknowledgeIncident(post.project, await openIncident(post), {})
    await post.worker().runOnce()
    await copies(post, done, 1_200)

    post.clock.now += 31 * DAY
    const looks: (() => void)[] = []
    const forgetting = post.worker({
      // It looks, and sends nothing.
      inFlight: 0,
      schedule: (_delay, run) => {
        looks.push(run)
        return () => {}
      },
    })
    forgetting.start()
    for (let look = 0; look < 5; look++) {
      await expect.poll(() => looks.length).toBe(1)
      looks.shift()!()
    }
    await expect.poll(() => looks.length).toBe(1)
    await forgetting.stop()
    expect(await post.messages(done)).toHaveLength(0)
    expect(await post.messages(off)).toHaveLength(0)
    const kept = await post.messages(on)
    expect(kept.every(({ status }) => status === 'pending')).toBe(true)
    expect(kept.filter(({ incidentId }) => incidentId === id)).toHaveLength(2)
  })

  test('can be searched by time, type and status', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    const id = await openIncident(post)
    post.clock.now += MINUTE
    await post.tocsin.acknowledgeIncident(post.project, id, {})
    post.clock.now += MINUTE
    await post.tocsin.resolveIncident(post.project, id, {})
    const at = (ms: number) => new Date(START + ms).toISOString()
    const found = async (query: object) =>
      (await post.tocsin.listMessages(post.project, endpoint, query)).messages.map(({ sequence }) => sequence)
    expect(await found({ since: at(MINUTE) })).toEqual([3, 2])
    expect(await found({ until: at(MINUTE) })).toEqual([2, 1])
    expect(await found({ type: ['incident.resolved', 'incident.opened'] })).toEqual([3, 1])
    expect(await found({ since: at(1), until: at(2 * MINUTE - 1), status: ['pending'] })).toEqual([2])
  })

  test('an attempt before the replay does not show its mark', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await openIncident(post)
    const worker = post.worker()
    await worker.runOnce()
    const { id } = (await post.messages(endpoint))[0]!
    post.clock.now += MINUTE
    await post.tocsin.replayMessage(post.project, id)
    await worker.runOnce()
    const { attempts } = await post.tocsin.getMessage(post.project, id)
    expect(attempts.map(({ requestHeaders }) => requestHeaders['tocsin-replay'])).toEqual([undefined, 'true'])
  })
})

/** Puts copies of an endpoint's newest message into the log, as a busy month would. */
async function copies(post: Post, endpoint: string, count: number): Promise<void> {
  const { id, ...message } = await post.database.read
    .selectFrom('message')
    .selectAll()
    .where('endpoint_id', '=', endpoint)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow()
  const rows = Array.from({ length: count }, (_, i) => ({
    ...message,
    id: `${id.slice(0, -6)}${String(i).padStart(6, '0')}`,
  }))
  await post.database.transaction(() => insertRows('message', rows))
}
