import { openBacklog } from './backlog.ts'
import type { BareOrder, BareReport } from './bare-pool.ts'
import { type Helper, startHelper } from './helper.ts'
import { measureCase } from './measure-case.ts'
import { cpuOf, median, peakMemoryOf, pin, untilSteady } from './measures.ts'
import { rateGate, receivingOutcome } from './receiving.ts'
import { table } from './report.ts'
import type { SinkOrder, SinkReport } from './sink.ts'
import { startProfiled } from './start-profiled.ts'
import { type Outcome, runSuite, type Suite } from './suite.ts'

interface DeliveryCase {
  name: string
  endpoints: number
  gate?: { atLeast: number; target: number }
}

/** With one endpoint, five at once are the limit, and there is no figure to reach. */
const CASES: readonly DeliveryCase[] = [
  { name: '50 endpoints', endpoints: 50, gate: { atLeast: 0.15, target: 0.3 } },
  { name: '1 endpoint', endpoints: 1 },
]

const INGEST_CASE = 'ingest beside a backlog'
/** To the null store the same as without a backlog (`bench -- ingest`). */
const INGEST_GATES = [
  rateGate(INGEST_CASE, 'waiting', 'nullStore', { atLeast: 0.4 }),
  rateGate(INGEST_CASE, 'draining', 'nullStore', { atLeast: 0.4 }),
  rateGate(INGEST_CASE, 'waiting', 'product', { atLeast: 0.8 }),
  rateGate(INGEST_CASE, 'draining', 'product', { atLeast: 0.6 }),
]

const BARE_IN_FLIGHT = 64
/** Kept waiting while the worker sends. */
const WAITING = 20_000
const SLICE_MS = 1_000
const WARM_UP_MS = 3_000
const SENDER_CORE = 0
const SINK_CORE = 1

/** Measures delivery, bookkeeping included, against a bare pool of connections, and ingest beside a full outbox. */
export const delivery: Suite = {
  names: [...CASES.map(({ name }) => name), INGEST_CASE],
  bench({ rounds, names, print }) {
    const measures = [
      ...CASES.map((one) => ({ name: one.name, measure: () => measureDelivery(one, rounds) })),
      { name: INGEST_CASE, measure: () => measureIngest(rounds) },
    ]
    return runSuite({
      suite: 'delivery',
      rounds,
      packages: ['better-sqlite3', 'kysely', 'undici'],
      print,
      cases: measures.filter(({ name }) => names.includes(name)).map(({ measure }) => measure),
    })
  },
}

async function measureIngest(rounds: number): Promise<Outcome> {
  const load = { name: INGEST_CASE, connections: 64, keepAlive: true, duplicates: false }
  const variants = ['bare', 'nullStore', 'product', 'waiting', 'draining'] as const
  return receivingOutcome(await measureCase(load, { rounds, variants }), INGEST_GATES)
}

/** One that sends, in a process of its own. */
interface Sender {
  pid: number
  /** Sends as fast as it can for so long. */
  send(durationMs: number): Promise<void>
  /** What it has sent, as it knows itself; each count must be that of the receiver. */
  count(): Promise<Record<string, number>>
  stop(): Promise<void>
}

const SENDERS = { bare: 'undici Pool, c=64', product: 'product, SQLite' }
type SenderName = keyof typeof SENDERS
const senderNames = Object.keys(SENDERS) as SenderName[]

interface Running {
  sender: Sender
  sink: Helper<SinkOrder, SinkReport>
  /** Everything, warm-up included. */
  received: number
  repeated: number
  /** Of all rounds, the one to warm up first. */
  slices: (SinkReport & { cpuUs: number })[]
}

/** As in `measureCase`: all stay up, slices take turns, every second round goes backwards, the first warms up. */
async function measureDelivery(one: DeliveryCase, rounds: number): Promise<Outcome> {
  const running = new Map<SenderName, Running>()
  try {
    const pins: boolean[] = []
    for (const name of senderNames) {
      const sink = await startHelper<SinkOrder, SinkReport>('sink.ts')
      const { port } = await sink.run('begin')
      const sender = await start(name, one, `http://127.0.0.1:${port}`).catch((error: unknown) => {
        sink.stop()
        throw error
      })
      running.set(name, { sender, sink, received: 0, repeated: 0, slices: [] })
      pins.push(pin(sender.pid, SENDER_CORE), pin(sink.pid, SINK_CORE))
    }
    const { counted, setAside } = await untilSteady(rounds, async (round) => {
      const order = round % 2 === 0 ? senderNames : senderNames.toReversed()
      for (const name of order) await slice(running.get(name)!, { isWarmUp: round === 0 })
      return rateOf(running.get('bare')!.slices.at(-1)!)
    })
    return { ...(await outcomeOf(one, running, counted, pins.every(Boolean))), setAside }
  } finally {
    for (const { sender, sink } of running.values()) {
      await sender.stop()
      sink.stop()
    }
  }
}

async function slice(running: Running, { isWarmUp }: { isWarmUp: boolean }): Promise<void> {
  const { sender, sink } = running
  await sink.run('begin')
  const cpuBefore = cpuOf(sender.pid)
  await sender.send(isWarmUp ? WARM_UP_MS : SLICE_MS)
  const cpuAfter = cpuOf(sender.pid)
  const report = await sink.run('end')
  running.received += report.requests
  running.repeated += report.repeated
  running.slices.push({ ...report, cpuUs: (cpuAfter ?? Number.NaN) - (cpuBefore ?? Number.NaN) })
}

function rateOf({ requests, elapsedMs }: SinkReport): number {
  return (requests / elapsedMs) * 1_000
}

function start(name: SenderName, one: DeliveryCase, origin: string): Promise<Sender> {
  return name === 'bare' ? startBare(origin) : startProduct(one, origin)
}

async function startBare(origin: string): Promise<Sender> {
  const helper = await startHelper<BareOrder, BareReport>('bare-pool.ts')
  let sent = 0
  return {
    pid: helper.pid,
    async send(durationMs) {
      const { delivered, failed } = await helper.run({ origin, inFlight: BARE_IN_FLIGHT, durationMs })
      if (failed > 0) throw new Error(`The receiver refused ${failed} of the bare pool.`)
      sent += delivered
    },
    count: async () => ({ sent }),
    stop: async () => helper.stop(),
  }
}

async function startProduct({ endpoints }: DeliveryCase, origin: string): Promise<Sender> {
  const tocsin = await startProfiled()
  try {
    const backlog = await openBacklog(tocsin, { endpoints, receiver: origin })
    await backlog.fill(WAITING)
    return {
      pid: tocsin.pid,
      async send(durationMs) {
        await backlog.open()
        await new Promise((resolve) => setTimeout(resolve, durationMs))
        await backlog.close()
        await backlog.fill(WAITING)
      },
      count: backlog.count,
      async stop() {
        await backlog.dispose()
        await tocsin.dispose()
      },
    }
  } catch (error) {
    await tocsin.dispose()
    throw error
  }
}

async function outcomeOf(
  { name, gate }: DeliveryCase,
  running: ReadonlyMap<SenderName, Running>,
  counted: readonly number[],
  pinned: boolean,
): Promise<Omit<Outcome, 'setAside'>> {
  const slicesOf = (of: SenderName) => counted.map((round) => running.get(of)!.slices[round]!)
  const rates = (of: SenderName) => slicesOf(of).map(rateOf)
  const ratio = median(rates('product').map((rate, round) => rate / rates('bare')[round]!))
  const faults: string[] = []
  const lines: string[][] = []
  const variants: Record<string, object> = {}
  for (const [of, { sender, received, repeated }] of running) {
    const slices = slicesOf(of)
    const counts = await sender.count()
    if (repeated > 0) faults.push(`${name}, ${of}: ${repeated} messages came more than once`)
    for (const [what, count] of Object.entries(counts)) {
      if (count !== received) faults.push(`${name}, ${of}: ${count} ${what}, received ${received}`)
    }
    const measured = {
      rates: rates(of),
      median: median(rates(of)),
      best: Math.max(...rates(of)),
      cpuUs:
        slices.reduce((sum, { cpuUs }) => sum + cpuUs, 0) /
        slices.reduce((sum, { requests }) => sum + requests, 0),
      peakMb: (peakMemoryOf(sender.pid) ?? Number.NaN) / 2 ** 20,
      sinkBusy: median(slices.map(({ busy }) => busy)),
      received,
      repeated,
      stored: counts,
    }
    variants[of] = measured
    lines.push([
      SENDERS[of],
      measured.median.toFixed(0),
      measured.best.toFixed(0),
      of === 'bare' ? '1.000' : ratio.toFixed(3),
      measured.cpuUs.toFixed(0),
      measured.peakMb.toFixed(0),
      `${received}`,
      `${repeated}`,
      (measured.sinkBusy * 100).toFixed(0),
    ])
  }
  return {
    name,
    pinned,
    bareRates: rates('bare'),
    faults,
    gates: gate ? [{ case: name, what: 'product / bare', value: ratio, ...gate }] : [],
    table: table([
      [name, 'msg/s', 'best', '/bare', 'CPU us', 'RSS MB', 'received', 'repeated', 'sink %'],
      ...lines,
    ]),
    json: { name, pinned, variants, productToBare: ratio, faults },
  }
}
