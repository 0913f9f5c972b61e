import { describe, expect, test } from 'vitest'
import type { ApiRetryPolicy } from '../../../core/api-types.ts'
import type { SendResult } from '../../../core/delivery/send.ts'
import { databaseKinds } from '../../support/databases.ts'
import { HOUR, MINUTE, openPost, type Post, SECOND, START } from './harness.ts'

/** Opens an incident by hand and answers its id. */
const openIncident = async ({ tocsin, project }: Post) =>
  (await tocsin.createIncident(project, { title: 'Checkout is down' })).incident.id

describe.each(databaseKinds)('delivery on %s', (kind) => {
  test('a whole incident goes out in order, with its sequence', async () => {
    const post = await openPost(kind)
    const { tocsin, project } = post
    const worker = post.worker()
    await post.endpoint('/a')
    await post.endpoint('/b', { events: ['incident.opened', 'incident.resolved', 'incident.reopened'] })
    const id = await openIncident(post)
    await tocsin.acknowledgeIncident(project, id, {})
    await tocsin.resolveIncident(project, id, {})
    await tocsin.reopenIncident(project, id, {})
    await tocsin.resolveIncident(project, id, {})
    await worker.runOnce()

    const got = (url: string) => post.sent.filter((s) => s.url === url).map((s) => `${s.sequence} ${s.type}`)
    expect(got('/a')).toEqual([
      '1 incident.opened',
      '2 incident.acknowledged',
      '3 incident.resolved',
      '4 incident.opened',
      '5 incident.resolved',
    ])
    expect(got('/b')).toEqual([
      '1 incident.opened',
      '3 incident.resolved',
      '4 incident.reopened',
      '5 incident.resolved',
    ])
  })

  test('a message tells what the incident was when it changed', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    const id = await openIncident(post)
    await post.tocsin.resolveIncident(post.project, id, {})
    const [resolved, opened] = (await post.messages(endpoint)).map((m) => JSON.parse(m.requestBody))
    expect(opened).toMatchObject({
      type: 'incident.opened',
      timestamp: '2026-11-21T08:00:00.000Z',
      data: {
        schemaVersion: 1,
        sequence: 1,
        reopened: false,
        project: { id: post.project, name: 'default' },
        monitor: { id: null, name: null, url: null },
        regions: [],
        incident: { id, reference: 'INC-001', status: 'open', resolvedAt: null, signals: [] },
      },
    })
    expect(resolved.data.incident).toMatchObject({ status: 'resolved', durationMs: 0 })
  })

  test('filters give a team its own route', async () => {
    const post = await openPost(kind)
    await post.endpoint('/critical', { severities: ['critical'] })
    await post.endpoint('/payments', { services: ['payments'] })
    await post.endpoint('/eu', { labels: { region: 'eu' } })
    await post.endpoint('/drills', { drills: true })
    const make = (input: object) => post.tocsin.createIncident(post.project, { title: 'x', ...input })
    await make({ severity: 'critical', services: ['search'] })
    await make({ severity: 'low', services: ['web', 'payments'], labels: { region: 'eu', tier: '1' } })
    await make({ drill: true, severity: 'critical', labels: { region: 'eu' } })
    await post.worker().runOnce()
    const count = (url: string) => post.sent.filter((sent) => sent.url === url).length
    expect(['/critical', '/payments', '/eu', '/drills'].map(count)).toEqual([1, 1, 1, 3])
  })

  describe('each policy to its end (T17)', () => {
    const offsets: Record<ApiRetryPolicy, number[]> = {
      'standard-3d': [0, 5, 305, 2105, 9305, 27305, 63305, 113705, 185705, 272105].map((s) => s * SECOND),
      'uptimera-30m': [0, 10, 30, 70, 150, 310, 630, 950, 1270, 1590, 1785].map((s) => s * SECOND),
      'runframe-2h': [0, 0, 1, 6, 36, 156].map((minutes) => minutes * MINUTE),
      once: [0],
    }

    test.each(Object.keys(offsets) as ApiRetryPolicy[])('%s', async (policy) => {
      const post = await openPost(kind)
      const worker = post.worker(policy === 'runframe-2h' ? { random: () => 0 } : {})
      post.receivers.set('/dead', () => 500)
      const dead = await post.endpoint('/dead', { policy })
      const other = await post.endpoint('/other', { events: ['endpoint.disabled'] })
      await openIncident(post)
      await post.pass(worker, START + 200 * HOUR)

      expect(post.sent.filter((s) => s.url === '/dead').map((s) => s.at - START)).toEqual(offsets[policy])
      expect(new Set(post.sent.filter((s) => s.url === '/dead').map((s) => s.id)).size).toBe(1)
      const [message] = await post.messages(dead)
      expect(message).toMatchObject({ status: 'failed', reason: 'attempts', nextAttemptAt: null })
      const log = await post.tocsin.getMessage(post.project, message!.id)
      expect(log.attempts.map((attempt) => Date.parse(attempt.at) - START)).toEqual(offsets[policy])

      // Runframe's ends with its endpoint switched off and one notification to the others.
      const { endpoint } = await post.tocsin.getEndpoint(post.project, dead)
      const isOff = policy === 'runframe-2h'
      expect(endpoint).toMatchObject({ enabled: !isOff, disabledReason: isOff ? 'failed' : null })
      expect((await post.messages(other)).map(({ type }) => type)).toEqual(isOff ? ['endpoint.disabled'] : [])

      // Switched on again and replayed, it arrives under the same id.
      post.receivers.clear()
      if (isOff) await post.tocsin.updateEndpoint(post.project, dead, { enabled: true })
      await post.tocsin.replayMessage(post.project, message!.id)
      await worker.runOnce()
      expect(post.sent.at(-1)).toMatchObject({
        id: message!.id,
        ok: true,
        headers: { 'tocsin-replay': 'true' },
      })
      expect((await post.messages(dead))[0]).toMatchObject({ status: 'delivered' })
    })
  })

  test('410 switches the endpoint off at once; what it still had to get is failed and can be replayed', async () => {
    const post = await openPost(kind)
    const worker = post.worker()
    post.receivers.set('/gone', () => 410)
    const gone = await post.endpoint('/gone')
    const other = await post.endpoint('/other', { events: ['endpoint.disabled', 'incident.opened'] })
    const id = await openIncident(post)
    await post.tocsin.resolveIncident(post.project, id, {})
    await worker.runOnce()

    expect(post.sent.filter((s) => s.url === '/gone')).toHaveLength(1)
    expect((await post.messages(gone)).map((m) => [m.status, m.reason])).toEqual([
      ['failed', 'gone'],
      ['failed', 'gone'],
    ])
    const told = (await post.messages(other)).toSorted((a, b) => a.type.localeCompare(b.type))
    expect(told.map(({ type }) => type)).toEqual(['endpoint.disabled', 'incident.opened'])
    expect(JSON.parse(told[0]!.requestBody).data.endpoint).toMatchObject({
      id: gone,
      reason: 'gone',
    })
    // Nothing new is made for it.
    await openIncident(post)
    expect(await post.messages(gone)).toHaveLength(2)

    post.receivers.clear()
    await expect(post.tocsin.replayEndpoint(post.project, gone, {})).rejects.toMatchObject({
      code: 'conflict',
    })
    await post.tocsin.updateEndpoint(post.project, gone, { enabled: true })
    expect(await post.tocsin.replayEndpoint(post.project, gone, {})).toEqual({ replayed: 2 })
    await worker.runOnce()
    expect(post.sent.slice(-2).map((s) => s.sequence)).toEqual([1, 2])
  })

  test('what waited for an endpoint that was off goes out in order when it is on again', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    const id = await openIncident(post)
    await post.tocsin.acknowledgeIncident(post.project, id, {})
    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: false })
    await post.tocsin.resolveIncident(post.project, id, {})
    const worker = post.worker()
    expect(await worker.runOnce()).toBe(0)
    // The first of the lane is forgotten meanwhile.
    await post.database.migrate((db) => db.deleteFrom('message').where('sequence', '=', 1).execute())

    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: true })
    await worker.runOnce()
    expect(post.sent.map(({ sequence }) => sequence)).toEqual([2])
    const told = await post.messages(endpoint)
    expect(told.map(({ status }) => status)).toEqual(['delivered'])
  })

  test('a day without success is warned of once, five days switch the endpoint off', async () => {
    const post = await openPost(kind)
    const logged: string[] = []
    const worker = post.worker({ log: (_level, message) => logged.push(message) })
    post.receivers.set('/dead', () => 500)
    const dead = await post.endpoint('/dead')
    for (let day = 0; day < 6; day++) {
      await openIncident(post)
      await post.pass(worker, START + (day + 1) * 24 * HOUR)
    }
    const { endpoint } = await post.tocsin.getEndpoint(post.project, dead)
    expect(endpoint).toMatchObject({ enabled: false, disabledReason: 'no_success' })
    expect(logged).toEqual(['endpoint has not taken a message for a day', 'endpoint disabled'])
  })

  test('after a message that failed for good the next one says so', async () => {
    const post = await openPost(kind)
    const worker = post.worker()
    post.receivers.set('/a', ({ sequence }) => (sequence === 1 ? 500 : 204))
    const endpoint = await post.endpoint('/a', { policy: 'once' })
    const id = await openIncident(post)
    await post.tocsin.acknowledgeIncident(post.project, id, {})
    await post.tocsin.resolveIncident(post.project, id, {})
    await worker.runOnce()
    expect(post.sent.map(({ sequence, gap }) => [sequence, gap])).toEqual([
      [1, false],
      [2, true],
      [3, false],
    ])
    const [, acknowledged] = await post.messages(endpoint)
    expect(JSON.parse(acknowledged!.requestBody).data.gap).toBe(true)
  })

  test('workers share the work: nothing is sent twice at once, five per endpoint and fifty in all', async () => {
    const post = await openPost(kind)
    const busy = new Map<string, number>()
    const most = { endpoint: 0, process: 0 }
    let all = 0
    const ids = new Set<string>()
    let twice = 0
    const paths = Array.from({ length: 12 }, (_, i) => `/${i}`)
    for (const path of paths) {
      post.receivers.set(path, async ({ id }) => {
        if (ids.has(id)) twice += 1
        ids.add(id)
        all += 1
        busy.set(path, (busy.get(path) ?? 0) + 1)
        most.endpoint = Math.max(most.endpoint, busy.get(path)!)
        most.process = Math.max(most.process, all)
        for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
        busy.set(path, busy.get(path)! - 1)
        all -= 1
        return 204
      })
      await post.endpoint(path)
    }
    for (let i = 0; i < 30; i++) await openIncident(post)
    await Promise.all([post.worker(), post.worker()].map((worker) => worker.runOnce()))
    expect(ids.size).toBe(12 * 30)
    expect(twice).toBe(0)
    expect(most.endpoint).toBe(5)
    expect(most.process).toBeLessThanOrEqual(60)
  })

  test('a dead endpoint with a long queue does not keep the others waiting', async () => {
    const post = await openPost(kind)
    const hung = Promise.withResolvers<void>()
    post.receivers.set('/slow', async () => {
      await hung.promise
      return 204
    })
    await post.endpoint('/slow')
    for (let i = 0; i < 100; i++) await openIncident(post)
    const worker = post.worker()
    const running = worker.runOnce()
    await expect.poll(() => post.sent.length).toBe(5)

    const fast = await post.endpoint('/fast')
    await openIncident(post)
    await post
      .worker()
      .runOnce()
      .catch(() => {})
    expect(post.sent.filter((sent) => sent.url === '/fast')).toHaveLength(1)
    expect(await post.messages(fast)).toMatchObject([{ status: 'delivered' }])
    hung.resolve()
    await running
  })

  test('a worker that dies gives its messages back after a minute, and its late result counts for nothing', async () => {
    const post = await openPost(kind)
    const first = Promise.withResolvers<number>()
    post.receivers.set('/a', () => (post.sent.length === 1 ? first.promise : 204))
    const endpoint = await post.endpoint('/a')
    await openIncident(post)
    const dying = post.worker().runOnce()
    await expect.poll(() => post.sent.length).toBe(1)

    const other = post.worker()
    post.clock.now += 59 * SECOND
    expect(await other.runOnce()).toBe(0)
    post.clock.now += SECOND
    expect(await other.runOnce()).toBe(1)
    expect(new Set(post.sent.map(({ id }) => id)).size).toBe(1)

    first.resolve(500)
    await dying
    expect(await post.messages(endpoint)).toMatchObject([{ status: 'delivered' }])
  })

  test('a stop gives back what it breaks off, so that the next worker goes on at once (T26)', async () => {
    const post = await openPost(kind)
    const never = Promise.withResolvers<number>()
    post.receivers.set('/a', () => (post.sent.length <= 2 ? never.promise : 204))
    const endpoint = await post.endpoint('/a')
    await openIncident(post)
    await openIncident(post)
    const broken = {
      status: null,
      durationMs: 0,
      error: 'No whole answer in time.',
      excerpt: null,
      retryAfterMs: null,
    }
    const sending: ((result: typeof broken) => void)[] = []
    const worker = post.worker({
      stopMs: 0,
      sender: {
        send: () => new Promise((resolve) => sending.push(resolve)),
        close: async () => {
          for (const end of sending) end(broken)
        },
      },
    })
    worker.start()
    await expect.poll(() => sending.length).toBe(2)
    await worker.stop()
    expect(await post.messages(endpoint)).toMatchObject([{ status: 'pending' }, { status: 'pending' }])

    never.resolve(204)
    expect(await post.worker().runOnce()).toBe(2)
    const [message] = await post.messages(endpoint)
    expect(message).toMatchObject({ status: 'delivered' })
    expect((await post.tocsin.getMessage(post.project, message!.id)).attempts).toHaveLength(1)
  })

  test('a stop that cannot note down what was sent still gives back what it breaks off', async () => {
    const post = await openPost(kind)
    await post.endpoint('/a')
    await openIncident(post)
    await openIncident(post)
    const result = { durationMs: 0, excerpt: null, retryAfterMs: null }
    const sending: ((result: SendResult) => void)[] = []
    let isFull = false
    const worker = post.worker({
      stopMs: 0,
      sender: {
        send: () => new Promise((resolve) => sending.push(resolve)),
        close: async () => sending[1]!({ ...result, status: null, error: 'No whole answer in time.' }),
      },
      change: (run) =>
        post.change(function* (context) {
          const value = yield* run(context)
          // A turn, which would keep results.
          if (isFull && typeof value === 'object') throw new Error('disk full')
          return value
        }),
    })
    worker.start()
    await expect.poll(() => sending.length).toBe(2)
    isFull = true
    sending[0]!({ ...result, status: 204, error: null })
    await expect(worker.stop()).rejects.toThrow('disk full')

    // The other one was taken: it waits until its lease has run out.
    expect(await post.worker().runOnce()).toBe(1)
  })

  test('an attempt whose commit nobody heard of stands in the log once', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await openIncident(post)
    let isLost = false
    const worker = post.worker({
      change: async (run) => {
        const value = await post.change(run)
        if (isLost || post.sent.length === 0) return value
        isLost = true
        throw new Error('lost')
      },
    })
    await expect(worker.runOnce()).rejects.toThrow('lost')
    await worker.runOnce()
    const [message] = await post.messages(endpoint)
    expect(message).toMatchObject({ status: 'delivered' })
    expect((await post.tocsin.getMessage(post.project, message!.id)).attempts).toHaveLength(1)
  })

  test('the log forgets after thirty days', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await openIncident(post)
    const worker = post.worker()
    await worker.runOnce()
    post.clock.now += 29 * 24 * HOUR
    await openIncident(post)
    await worker.runOnce()
    post.clock.now += 2 * 24 * HOUR
    const forgetting = post.worker()
    forgetting.start()
    await expect.poll(async () => (await post.messages(endpoint)).length).toBe(1)
    await forgetting.stop()
    const attempts = await post.database.read.selectFrom('attempt').selectAll().execute()
    expect(attempts).toHaveLength(1)
  })

  test('nothing a receiver answers shows our signatures or the secret', async () => {
    const post = await openPost(kind)
    const { endpoint, secret } = await post.tocsin.createEndpoint(post.project, {
      url: 'http://127.0.0.1:9/echo',
      preset: 'uptimera',
    })
    post.receivers.set('/echo', ({ headers }) => ({ excerpt: `${JSON.stringify(headers)} ${secret}` }))
    await openIncident(post)
    await post.worker().runOnce()
    const [message] = await post.messages(endpoint.id)
    const log = JSON.stringify(await post.tocsin.getMessage(post.project, message!.id))
    const { headers } = post.sent[0]!
    expect(log).not.toContain(secret)
    expect(log).not.toContain(headers['webhook-signature']!.slice(3))
    expect(log).not.toContain(headers['x-uptimera-signature'])
    expect(log).toContain(headers['webhook-id'])
  })

  test('a test shows no answer of whatever stands at its address, only how it went', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    post.receivers.set('/a', () => ({ status: 401, excerpt: 'internal page' }))
    const { message } = await post.tocsin.testEndpoint(post.project, endpoint)
    await post.worker().runOnce()
    const { attempts } = await post.tocsin.getMessage(post.project, message.id)
    expect(attempts).toMatchObject([{ responseStatus: 401, responseBody: null }])
  })
})
