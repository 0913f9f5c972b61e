import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { openBacklog } from '../bench/backlog.ts'
import { makeHistory } from '../bench/history.ts'
import { peakMemoryOf, percentile } from '../bench/measures.ts'
import { pastStart } from '../bench/variants.ts'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import { audit, untilDelivered } from './audit.ts'
import { startCounting } from './counting-receiver.ts'
import type { Fault } from './fault.ts'
import { openLedger } from './ledger.ts'
import { findWrongAnswers, openEndpoint, openPlace, resend, underLoad } from './load.ts'
import { explainWorker } from './worker-plans.ts'

const ENDPOINTS = 10
/** The others take at once what they are sent. */
const DEAD = '/hook/0'
const SLOW = '/hook/1'
const SLOW_MS = 5_000

const LOAD_MS = 60_000
const PER_SECOND = 100
/** So many that one that waits for an answer hardly makes the load less. */
const SENDERS = 50

const MOST_START_MS = 10_000
const MOST_MB = 350
const MOST_P99_MS = 250
const MOST_FRESH_MS = 30_000
const LEAST_DRAINED = { sqlite: 200, postgres: 1_000 }

export const backlogOfAMillion: Fault = {
  id: 'T9',
  promise:
    'with a million messages waiting and a million events stored, a start takes 10 s, memory stays below 350 MB, senders are answered within 250 ms, and what is new goes out within 30 s',
  databases: ['sqlite', 'postgres'],
  runs: 1_000_000,
  onDemand: { counts: 'messages', file: 'test/chaos/backlog-of-a-million.ts' },
  async run(world, size) {
    const databaseUrl = await world.newDatabase()
    const secretKey = randomBytes(32)
    const tocsin = await world.start(databaseUrl, { TOCSIN_SECRET_KEY: secretKey.toString('base64') })
    await makePast(tocsin, size)
    world.say(`${size} events are stored`)

    const drained: number[] = []
    const taken = new Set<string>()
    const freshMs: number[] = []
    let repeats = 0
    const receivers = await startCounting(
      world,
      async (path) => {
        if (path === DEAD) return 'reset'
        if (path === SLOW) await wait(SLOW_MS)
        return 'take'
      },
      ({ path, id, body }) => {
        if (taken.has(id)) repeats += 1
        taken.add(id)
        if (path === '/fresh') freshMs.push(Date.now() - Date.parse(JSON.parse(body).timestamp))
        // What the slow one takes says nothing of the rate of the others.
        else if (path !== SLOW) drained.push(performance.now())
      },
    )
    const place = await openPlace(tocsin)
    const ledger = await openLedger(world)
    // One of its own: behind a hundred thousand others of the same endpoint nothing can be soon.
    const listening = [{ endpoint: await openEndpoint(tocsin, place, `${receivers}/fresh`), after: '' }]
    const backlog = await openBacklog(tocsin, { endpoints: ENDPOINTS, receiver: receivers })
    world.afterwards(() => backlog.dispose())
    await tocsin.stop()
    await backlog.fill(size)
    await backlog.open()
    world.say(`${size} messages wait`)

    const starting = performance.now()
    await tocsin.restart()
    const startMs = performance.now() - starting
    const load = { place, ledger, random: world.random, addresses: [tocsin.address] }
    const tally = await underLoad({ ...load, perSecond: PER_SECOND, senders: SENDERS }, () => wait(LOAD_MS))
    const perSecond = (drained.length / (drained.at(-1)! - drained[0]!)) * 1_000
    const sentMeanwhile = drained.length
    const wrong = findWrongAnswers(tally, false)
    wrong.push(...(await resend({ ...load, address: tocsin.address })))
    await untilDelivered(databaseUrl, place.projectId)
    await backlog.close()
    const peakMb = (peakMemoryOf(tocsin.pid) ?? Number.NaN) / 2 ** 20
    const { messages } = await backlog.count()
    if (tocsin.hasEnded()) wrong.push(`it ended by itself: ${tocsin.stderr().slice(-500)}`)
    const { code } = await tocsin.stop()
    if (code !== 0) wrong.push(`a stop afterwards exits with ${code}`)
    if (messages !== taken.size) wrong.push(`${messages} messages count as delivered, ${taken.size} arrived`)

    const p99Ms = percentile(tally.tookMs, 0.99)
    const latestMs = Math.max(...freshMs)
    if (startMs > MOST_START_MS) wrong.push(`a start took ${startMs.toFixed(0)} ms`)
    if (peakMb > MOST_MB) wrong.push(`it needed ${peakMb.toFixed(0)} MiB`)
    if (p99Ms > MOST_P99_MS) wrong.push(`one in a hundred answers took ${p99Ms.toFixed(0)} ms`)
    if (latestMs > MOST_FRESH_MS) wrong.push(`what was new went out only after ${latestMs.toFixed(0)} ms`)
    if (perSecond < LEAST_DRAINED[world.kind]) wrong.push(`only ${perSecond.toFixed(0)} a second were sent`)

    world.say('the audit begins')
    const found = await audit(databaseUrl, place.projectId, ledger, listening)
    await backlog.open()
    const plans = await explainWorker(databaseUrl, secretKey)
    wrong.push(...found.wrong, ...plans.scans)
    return {
      figure:
        `${size} messages for ${ENDPOINTS} endpoints, one dead and one slow, ${size} events stored before: start ${(startMs / 1_000).toFixed(1)} s, ` +
        `RSS ${peakMb.toFixed(0)} MiB at most; ${tally.tookMs.length} alerts in ${LOAD_MS / 1_000} s, ` +
        `p99 of answers ${p99Ms.toFixed(0)} ms, ${found.lost} lost, ${found.doubled} doubled; ` +
        `${freshMs.length} new messages went out within ${(latestMs / 1_000).toFixed(1)} s; ` +
        `${sentMeanwhile} old ones sent, ${perSecond.toFixed(0)} a second, ${repeats} again under the same id; ` +
        `${plans.scans.length} full scans in ${plans.explained} statements of the worker`,
      wrong,
    }
  },
}

/** Stores so many events, 10,000 at least. */
async function makePast(tocsin: TocsinProcess, events: number): Promise<void> {
  const { url, secret } = await tocsin.createSource({
    adapter: 'alertmanager',
    settings: { grouping: 'signal' },
  })
  const { hostname, port, pathname } = new URL(url)
  const target = {
    host: hostname,
    ports: [Number(port)],
    path: pathname,
    secret: secret!,
    body: 'webhook' as const,
  }
  await makeHistory(tocsin, target, { events, startMs: pastStart() })
}
