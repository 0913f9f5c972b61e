import { type Helper, startHelper } from './helper.ts'
import type { SliceOrder, SliceReport } from './load.ts'
import { cpuOf, median, peakMemoryOf, percentile, pin, untilSteady } from './measures.ts'
import type { TableSize } from './stores.ts'
import { pastStart, VARIANTS, type Variant, type VariantName } from './variants.ts'

export interface Case {
  name: string
  connections: number
  keepAlive: boolean
  /** Every event goes out twice. */
  duplicates: boolean
  /** Of the first round; absent: a few seconds. */
  warmUpMs?: number
  /** Alerts in each POST; absent: one. */
  alerts?: number
  /** Signals that take turns, each with an open incident of its own; absent: as the requests have it. */
  signals?: number
  /** Servers and generator take any core, where servers have several processes. */
  unpinned?: boolean
}

export interface Measured {
  /** Requests per second of each round that counts, in order. */
  rates: number[]
  median: number
  best: number
  p50Ms: number
  p99Ms: number
  /** User and system time of the server's processes for each request; null where the system does not tell. */
  cpuUs: number | null
  /** The same of the database server; null where there is none. */
  databaseCpuUs: number | null
  /** Warm-up and what the worker commits included; null where unknown. */
  eventsPerCommit: number | null
  /** Messages sent while it was measured; null where there are none. */
  sentPerSecond: number | null
  /** Of the process that needed most; null where the system does not tell. */
  peakMb: number | null
  /** Null where nothing is kept. */
  bytesPerEvent: number | null
  /** The same by table; null where nothing is kept. */
  tables: TableSize[] | null
  failed: number
  timedOut: number
  acknowledged: { requests: number; events: number }
  /** Null where nothing is kept. */
  stored: { requests: number; events: number } | null
  /** Share of its core the load generator needed. */
  generatorBusy: number
}

export interface CaseResult {
  name: string
  pinned: boolean
  variants: Partial<Record<VariantName, Measured>>
  /** Of the variant's rate to that of the reference, round by round; their median. */
  ratio(of: VariantName, to: VariantName): number
  /** Rounds that do not count. */
  setAside: number
  /** Why it counts for nothing; empty where all is well. */
  faults: string[]
}

const SLICE_MS = 1_000
/** Until the compiler has seen every path often enough: for five seconds a request takes up to twice the CPU of later ones. */
const WARM_UP_MS = 8_000
const SERVER_CORE = 0
const GENERATOR_CORE = 1

/**
 * Measures all variants side by side: every one stays up, each round gives every one a slice, and every second round
 * goes backwards, so that whatever else the machine does meets all of them alike. The first round warms up.
 */
export async function measureCase(
  of: Case,
  { rounds, variants }: { rounds: number; variants: readonly VariantName[] },
): Promise<CaseResult> {
  const generator = await startHelper<SliceOrder, SliceReport>('load.ts')
  const running = new Map<VariantName, Running>()
  try {
    for (const name of variants) running.set(name, await begin(await VARIANTS[name].start()))
    const servers = [...running.values()].flatMap(({ variant }) => variant.pids)
    const pinned =
      !of.unpinned &&
      pin(generator.pid, GENERATOR_CORE) &&
      servers.map((pid) => pin(pid, SERVER_CORE)).every(Boolean)

    const { counted, setAside } = await untilSteady(rounds, async (round) => {
      const order = round % 2 === 0 ? variants : variants.toReversed()
      for (const name of order) await slice(running.get(name)!, of, generator, { isWarmUp: round === 0 })
      return rateOf(running.get('bare')!.slices.at(-1)!)
    })
    return { ...(await resultOf(of, running, counted, pinned)), setAside }
  } finally {
    generator.stop()
    for (const { variant } of running.values()) await variant.stop()
  }
}

interface Running {
  variant: Variant
  startMs: number
  emptySize: number
  commitsBefore: number
  /** Everything sent, warm-up included: all of it must be stored. */
  sent: { requests: number; events: number }
  failed: number
  timedOut: number
  /** Of all rounds, the one to warm up first. */
  slices: Slice[]
}

interface Slice extends SliceReport {
  /** Undefined where the system does not tell. */
  cpuUs: number | undefined
  /** Undefined also where there is none. */
  databaseCpuUs: number | undefined
}

async function begin(variant: Variant): Promise<Running> {
  return {
    variant,
    startMs: variant.past?.startMs ?? pastStart(),
    emptySize: (await variant.store?.size()) ?? 0,
    commitsBefore: (await variant.commits?.()) ?? 0,
    sent: { requests: 0, events: 0 },
    failed: 0,
    timedOut: 0,
    slices: [],
  }
}

async function slice(
  running: Running,
  { connections, keepAlive, duplicates, warmUpMs, alerts, signals }: Case,
  generator: Helper<SliceOrder, SliceReport>,
  { isWarmUp }: { isWarmUp: boolean },
): Promise<void> {
  const { variant, startMs, sent } = running
  await variant.beforeSlice?.()
  const cpuBefore = cpuOfAll(variant.pids)
  const databaseBefore = variant.databaseCpu?.()
  const report = await generator.run({
    target: variant.target,
    connections,
    keepAlive,
    duplicates,
    durationMs: isWarmUp ? (warmUpMs ?? WARM_UP_MS) : SLICE_MS,
    firstEvent: (variant.past?.sent ?? 0) + sent.events,
    startMs,
    signals: variant.past?.signals ?? signals,
    alerts,
  })
  const cpuAfter = cpuOfAll(variant.pids)
  const databaseAfter = variant.databaseCpu?.()
  await variant.afterSlice?.()

  sent.requests += report.answered
  sent.events += report.events
  running.failed += report.failed
  running.timedOut += report.timedOut
  running.slices.push({
    ...report,
    cpuUs: differenceOf(cpuBefore, cpuAfter),
    databaseCpuUs: differenceOf(databaseBefore, databaseAfter),
  })
}

function rateOf({ answered, elapsedMs }: SliceReport): number {
  return (answered / elapsedMs) * 1_000
}

/** Undefined where the system does not tell. */
function cpuOfAll(pids: readonly number[]): number | undefined {
  return sumOf(pids.map(cpuOf))
}

function differenceOf(before: number | undefined, after: number | undefined): number | undefined {
  return before === undefined || after === undefined ? undefined : after - before
}

/** Undefined where one of them is. */
function sumOf(values: readonly (number | undefined)[]): number | undefined {
  return values.reduce(
    (sum, value) => (sum === undefined || value === undefined ? undefined : sum + value),
    0,
  )
}

async function resultOf(
  { name }: Case,
  running: ReadonlyMap<VariantName, Running>,
  counted: readonly number[],
  pinned: boolean,
): Promise<Omit<CaseResult, 'setAside'>> {
  const variants: CaseResult['variants'] = {}
  for (const [variant, state] of running) variants[variant] = await measuredOf(state, counted)
  return {
    name,
    pinned,
    variants,
    ratio: (of, to) => median(variants[of]!.rates.map((rate, round) => rate / variants[to]!.rates[round]!)),
    faults: Object.entries(variants).flatMap(([variant, measured]) =>
      faultsOf(measured).map((fault) => `${name}, ${variant}: ${fault}`),
    ),
  }
}

async function measuredOf(running: Running, counted: readonly number[]): Promise<Measured> {
  const { variant, emptySize, commitsBefore, sent, failed, timedOut } = running
  const slices = counted.map((round) => running.slices[round]!)
  const rates = slices.map(rateOf)
  const latencies = slices.flatMap(({ latenciesUs }) => latenciesUs)
  const answered = slices.reduce((sum, report) => sum + report.answered, 0)
  const peaks = variant.pids.map((pid) => peakMemoryOf(pid) ?? Number.NaN)
  const perAnswer = (us: number | undefined) => (us === undefined ? null : us / answered)
  const before = variant.past?.stored ?? 0
  const stored = await variant.store?.count()
  const size = await variant.store?.size()
  const commits = await variant.commits?.()
  return {
    rates,
    median: median(rates),
    best: Math.max(...rates),
    p50Ms: percentile(latencies, 0.5) / 1_000,
    p99Ms: percentile(latencies, 0.99) / 1_000,
    cpuUs: perAnswer(sumOf(slices.map(({ cpuUs }) => cpuUs))),
    databaseCpuUs: perAnswer(sumOf(slices.map(({ databaseCpuUs }) => databaseCpuUs))),
    eventsPerCommit: commits === undefined ? null : sent.events / (commits - commitsBefore),
    sentPerSecond: variant.sentPerSecond?.() ?? null,
    peakMb: Number.isNaN(Math.max(...peaks)) ? null : Math.max(...peaks) / 2 ** 20,
    bytesPerEvent: size === undefined ? null : (size - emptySize) / sent.events,
    tables: (await variant.store?.sizes()) ?? null,
    failed,
    timedOut,
    acknowledged: sent,
    stored: stored ? { requests: stored.requests - before, events: stored.events - before } : null,
    generatorBusy: median(slices.map(({ generatorBusy }) => generatorBusy)),
  }
}

function faultsOf({ failed, timedOut, sentPerSecond, acknowledged, stored }: Measured): string[] {
  const faults: string[] = []
  if (failed > 0) faults.push(`${failed} answers were no 2xx`)
  if (sentPerSecond === 0) faults.push('no message was sent')
  if (timedOut > 0) faults.push(`${timedOut} requests got no answer`)
  if (stored && (stored.events !== acknowledged.events || stored.requests !== acknowledged.requests)) {
    faults.push(
      `acknowledged ${acknowledged.requests} requests with ${acknowledged.events} events, ` +
        `stored ${stored.requests} with ${stored.events}`,
    )
  }
  return faults
}
