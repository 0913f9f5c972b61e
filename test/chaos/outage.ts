import { setTimeout as wait } from 'node:timers/promises'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { audit } from './audit.ts'
import type { Finding } from './fault.ts'
import { type Ledger, openLedger } from './ledger.ts'
import { findWrongAnswers, openPlace, type Place, resend, type Tally, underLoad } from './load.ts'
import type { World } from './world.ts'

/** A database that goes away under load and comes back while nobody restarts anything. */
export interface Outage {
  databaseUrl: string
  /** Takes the database away; answers how to bring it back. `sofar`: how the load goes meanwhile. */
  begin(run: number, tocsin: TocsinProcess, sofar: Readonly<Tally>): Promise<() => Promise<unknown>>
  /** How long it is away. */
  awayMs: (run: number) => number
  /** The longest an answer may take. */
  mostAnswerMs: number
  /** Whether nobody may notice; else it lasts until a request was refused, or the test would have seen nothing. */
  isUnnoticed?: (run: number) => boolean
  env?: Record<string, string>
  /** Requests a second; 100 unless told. */
  perSecond?: number
  /** Looked at many times a second while it is under load. */
  sample?: () => void
  /** The longest all but one in a hundred answers of `/healthz` may take. */
  mostHealthMs?: number
  /** What else is found when all outages are over, and the process still runs. */
  finish?: (tocsin: TocsinProcess) => Promise<Finding>
}

/** Between two looks at how it is. */
const LOOK_MS = 20

const MOST_BACK_MS = 5_000

/** Takes the database away so often, each time under load, and audits what is left. */
export async function liveThroughOutages(world: World, runs: number, options: Outage): Promise<Finding> {
  const { databaseUrl, begin, awayMs, mostAnswerMs, isUnnoticed = () => false, env = {} } = options
  const { perSecond = 100, sample = () => {}, mostHealthMs = Number.POSITIVE_INFINITY, finish } = options
  const tocsin = await world.start(databaseUrl, env)
  const place = await openPlace(tocsin)
  const ledger = await openLedger(world)
  const wrong: string[] = []
  const statuses: Record<string, number> = {}
  const healthMs: number[] = []
  let [backMs, slowestMs] = [0, 0]

  for (let run = 0; run < runs; run++) {
    const load = { place, ledger, random: world.random, addresses: [tocsin.address], perSecond }
    const looking = new AbortController()
    const looks = lookAfter(tocsin, looking.signal, (ms) => {
      healthMs.push(ms)
      sample()
    })
    const outage = underLoad(load, async (tally) => {
      await wait(300)
      const end = await begin(run, tocsin, tally)
      await wait(awayMs(run))
      if (!isUnnoticed(run)) await until('a request is refused', () => refusalsOf(tally) > 0)
      await end()
      const ended = performance.now()
      await until('it takes alerts again', () => probe(tocsin, place, ledger, world), { withinMs: 60_000 })
      backMs = Math.max(backMs, performance.now() - ended)
    }).finally(() => looking.abort())
    const [tally] = await Promise.all([outage, looks])
    wrong.push(...findWrongAnswers(tally, false), ...(await resend({ ...load, address: tocsin.address })))
    if (isUnnoticed(run) && refusalsOf(tally) > 0) {
      wrong.push(`${refusalsOf(tally)} of the requests of run ${run + 1} were refused`)
    }
    slowestMs = Math.max(slowestMs, tally.slowestMs)
    for (const [status, count] of Object.entries(tally.statuses)) {
      statuses[status] = (statuses[status] ?? 0) + count
    }
    if (run % 5 === 4) world.say(`${run + 1} outages of ${runs}`)
  }
  if (world.isTimed && backMs > MOST_BACK_MS)
    wrong.push(`it took alerts again only after ${backMs.toFixed(0)} ms`)
  if (world.isTimed && slowestMs > mostAnswerMs) wrong.push(`an answer took ${slowestMs.toFixed(0)} ms`)

  const healthP99 = healthMs.toSorted((a, b) => a - b)[Math.floor(healthMs.length * 0.99)]!
  if (world.isTimed && healthP99 > mostHealthMs)
    wrong.push(`the slowest of a hundred looks at /healthz took ${healthP99.toFixed(0)} ms`)
  const more = await finish?.(tocsin)
  wrong.push(...(more?.wrong ?? []))

  if (tocsin.hasEnded()) wrong.push(`the process ended by itself: ${tocsin.stderr().slice(-500)}`)
  const { code } = await tocsin.stop()
  if (code !== 0) wrong.push(`a stop afterwards exits with ${code}`)
  const found = await audit(databaseUrl, place.projectId, ledger)
  wrong.push(...found.wrong)
  const answers = Object.entries(statuses).map(([status, count]) => `${count} x ${status}`)
  return {
    figure:
      `${runs} times: ${ledger.allAcknowledged().length} alerts, ${found.lost} lost, ${found.doubled} doubled; ` +
      `answers ${answers.join(', ')}; slowest answer ${slowestMs.toFixed(0)} ms, p99 of /healthz ${healthP99.toFixed(0)} ms; ` +
      `takes alerts again ${(backMs / 1000).toFixed(1)} s after the database is back at most${more ? `; ${more.figure}` : ''}`,
    wrong,
  }
}

/** Asks for its health again and again until told to stop. */
async function lookAfter(
  tocsin: TocsinProcess,
  signal: AbortSignal,
  took: (ms: number) => void,
): Promise<void> {
  while (!signal.aborted) {
    const asked = performance.now()
    const { status } = await fetch(`${tocsin.address}/healthz`)
    if (status !== 200) throw new Error(`/healthz answered ${status}`)
    took(performance.now() - asked)
    await wait(LOOK_MS)
  }
}

export function refusalsOf({ statuses }: Tally): number {
  return statuses[503] ?? 0
}

/** Whether one more alert is taken. */
async function probe(tocsin: TocsinProcess, place: Place, ledger: Ledger, world: World): Promise<boolean> {
  const alert = ledger.next(world.random)
  ledger.sent(alert)
  const { url, headers, body } = place.request(alert, tocsin.address)
  const { ok } = await fetch(url, { method: 'POST', headers, body })
  if (ok) ledger.acknowledged(alert)
  return ok
}
