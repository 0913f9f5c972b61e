import { describe, expect, test } from 'vitest'
import type { Worker } from '../../../core/delivery/worker.ts'
import { databaseKinds } from '../../support/databases.ts'
import { HOUR, MINUTE, openPost, type Post, SECOND, type Sent, START } from './harness.ts'

/** Messages per endpoint; 10,000 is the full size. */
const MESSAGES = Number(process.env.TOCSIN_OUTAGE_MESSAGES ?? 200)
/** Incidents of ten changes each; 1,000 is the full size. */
const INCIDENTS = Number(process.env.TOCSIN_ORDER_INCIDENTS ?? 30)
const TIMEOUT_MS = 60_000 + 120 * MESSAGES + 600 * INCIDENTS

/** The same chances in every run. */
function chances(): () => number {
  let seed = 1
  return () => {
    seed = (seed * 48271) % 2147483647
    return seed / 2147483647
  }
}

const openIncident = async ({ tocsin, project }: Post) =>
  (await tocsin.createIncident(project, { title: 'Checkout is down' })).incident.id

/** Opens and resolves incidents until every endpoint has that many messages; many at a time share a commit. */
async function makeMessages(post: Post, count: number): Promise<void> {
  for (let made = 0; made < count; made += 400) {
    await Promise.all(
      Array.from({ length: Math.min(400, count - made) / 2 }, async () => {
        await post.tocsin.resolveIncident(post.project, await openIncident(post), {})
      }),
    )
  }
}

describe.each(databaseKinds)('outages of receivers on %s', (kind) => {
  describe(`${MESSAGES} messages to each of five endpoints, one of them dead (T12)`, () => {
    const OTHERS = ['/1', '/2', '/3', '/4']

    /** Sends with five endpoints; answers for each message to the others in which turn of the worker it went. */
    async function turnsOfOthers(isDead: boolean): Promise<number[]> {
      const post = await openPost(kind)
      let turn = 0
      const change = post.change
      const worker = post.worker({
        change: (run) => {
          turn += 1
          return change(run)
        },
      })
      const turns: number[] = []
      for (const path of ['/dead', ...OTHERS]) {
        await post.endpoint(path)
        post.receivers.set(path, () => {
          if (path !== '/dead') turns.push(turn)
          return path === '/dead' && isDead ? 500 : 204
        })
      }
      await makeMessages(post, MESSAGES)
      await worker.runOnce()
      return turns.sort((a, b) => a - b)
    }

    test(
      'the others wait no longer for it',
      async () => {
        const p99 = (turns: number[]) => turns[Math.floor(turns.length * 0.99)]!
        const [beside, without] = [await turnsOfOthers(true), await turnsOfOthers(false)]
        expect(beside).toHaveLength(4 * MESSAGES)
        expect(p99(beside)).toBeLessThan(1.1 * p99(without))
      },
      TIMEOUT_MS,
    )

    test.each([
      { minutes: 29, wanted: 'delivered' },
      { minutes: 31, wanted: 'failed' },
    ])(
      'back after $minutes minutes: everything is $wanted',
      async ({ minutes, wanted }) => {
        const post = await openPost(kind)
        const worker = post.worker()
        const back = START + minutes * MINUTE
        post.receivers.set('/dead', () => (post.clock.now < back ? { status: null, error: 'refused' } : 204))
        const dead = await post.endpoint('/dead', { preset: 'uptimera' })
        for (const path of OTHERS) await post.endpoint(path)
        await makeMessages(post, MESSAGES)
        await post.pass(worker, START + 40 * MINUTE)

        const messages = await post.messages(dead)
        expect(messages).toHaveLength(MESSAGES)
        expect(new Set(messages.map(({ status }) => status))).toEqual(new Set([wanted]))
        const toDead = post.sent.filter((sent) => sent.url === '/dead')
        expect(Math.max(...toDead.map((sent) => sent.at - START))).toBeLessThanOrEqual(30 * MINUTE)
        const toOthers = post.sent.filter((sent) => OTHERS.includes(sent.url))
        expect(toOthers).toHaveLength(4 * MESSAGES)
        expect(new Set(toOthers.map((sent) => sent.at))).toEqual(new Set([START]))

        if (wanted === 'failed') {
          const { replayed } = await post.tocsin.replayEndpoint(post.project, dead, {
            since: new Date(START).toISOString(),
            until: new Date(START + MINUTE).toISOString(),
          })
          expect(replayed).toBe(MESSAGES)
          await worker.runOnce()
        }
        const arrived = toDeadOk(post)
        expect(arrived.map(({ id }) => id).toSorted()).toEqual(messages.map(({ id }) => id).toSorted())
        expectInOrder(arrived)
      },
      TIMEOUT_MS,
    )

    const toDeadOk = (post: Post) => post.sent.filter((sent) => sent.url === '/dead' && sent.ok)
  })

  test('a receiver that flaps for an hour gets everything, never before its Retry-After (T13)', async () => {
    const post = await openPost(kind)
    const worker = post.worker({ random: chances() })
    let asked = { at: 0, until: 0 }
    let early = 0
    let turn = 0
    post.receivers.set('/flaps', ({ at }) => {
      // What went out together with the one that was answered so could not know.
      if (at > asked.at && at < asked.until) early += 1
      if (at - START >= HOUR || (at - START) % MINUTE < 20 * SECOND) return 204
      turn += 1
      switch (turn % 5) {
        case 0:
          asked = { at, until: at + 7 * SECOND }
          return { status: 503, retryAfterMs: 7 * SECOND }
        case 1:
          return 503
        case 2:
          asked = { at, until: at + 3 * SECOND }
          return { status: 429, retryAfterMs: 3 * SECOND }
        case 3:
          return { status: null, error: 'The connection was reset.' }
        default:
          return { status: null, error: 'TLS failed.' }
      }
    })
    const endpoint = await post.endpoint('/flaps')
    for (let minute = 0; minute < 60; minute++) {
      post.clock.now = START + minute * MINUTE + 30 * SECOND
      for (let i = 0; i < 3; i++) await openIncident(post)
      await post.pass(worker, START + (minute + 1) * MINUTE + 15 * SECOND)
    }
    await post.pass(worker, START + 24 * HOUR)
    expect((await post.tocsin.getEndpoint(post.project, endpoint)).endpoint).toMatchObject({ enabled: true })
    expect(new Set((await post.messages(endpoint)).map(({ status }) => status))).toEqual(
      new Set(['delivered']),
    )
    expect(early).toBe(0)
  })

  test(
    `order holds over ${INCIDENTS} incidents while a third of all attempts fail and workers are lost (T14)`,
    async () => {
      const post = await openPost(kind)
      const random = chances()
      const paths = ['/a', '/b']
      /** Workers that died hold what they were sending, and hear no answer any more. */
      const never = new Promise<number>(() => {})
      let dying = false
      for (const path of paths) {
        post.receivers.set(path, () => (dying ? never : random() < 0.3 ? 500 : 204))
      }
      const endpoints = [await post.endpoint('/a'), await post.endpoint('/b')]
      await Promise.all(
        Array.from({ length: INCIDENTS }, async () => {
          const id = await openIncident(post)
          await post.tocsin.acknowledgeIncident(post.project, id, {})
          for (let change = 0; change < 4; change++) {
            await post.tocsin.resolveIncident(post.project, id, {})
            await post.tocsin.reopenIncident(post.project, id, {})
          }
        }),
      )

      const senders: Worker[] = [post.worker(), post.worker(), post.worker()]
      const together: Pick<Worker, 'runOnce'> = {
        runOnce: async () => (await Promise.all(senders.map((sender) => sender.runOnce()))).length,
      }
      let lost = 0
      for (let minute = 1; minute <= 30; minute++) {
        // One of the three claims, sends and is never heard of again; another takes its place.
        const [victim] = senders.splice(minute % 3, 1, post.worker())
        const before = post.sent.length
        dying = true
        const ending = victim!.runOnce()
        await Promise.race([
          ending,
          expect
            .poll(() => post.sent.length)
            .toBeGreaterThan(before)
            .catch(() => {}),
        ])
        dying = false
        lost += post.sent.length - before
        await post.pass(together, START + minute * MINUTE)
      }
      await post.pass(together, START + 400 * HOUR)
      expect(lost).toBeGreaterThan(5)

      let failed = 0
      for (const endpoint of endpoints) {
        const messages = await post.messages(endpoint)
        expect(messages).toHaveLength(INCIDENTS * 10)
        for (const { id, status } of messages.filter((message) => message.status !== 'delivered')) {
          // One in 170,000 fails ten times in a row.
          failed += 1
          expect(status).toBe('failed')
          expect((await post.tocsin.getMessage(post.project, id)).attempts).toHaveLength(10)
        }
      }
      expect(failed).toBeLessThanOrEqual(1 + INCIDENTS / 500)
      let arrived = 0
      for (const path of paths) {
        const ok = post.sent.filter((sent) => sent.url === path && sent.ok)
        arrived += new Set(ok.map(({ id }) => id)).size
        expectInOrder(ok)
      }
      expect(arrived).toBe(2 * INCIDENTS * 10 - failed)
    },
    TIMEOUT_MS,
  )
})

/** First successes per incident come in the order of their sequence. */
function expectInOrder(sent: readonly Sent[]): void {
  const last = new Map<string, number>()
  for (const { incident, sequence } of sent) {
    expect(sequence).toBeGreaterThan(last.get(incident) ?? 0)
    last.set(incident, sequence)
  }
}
