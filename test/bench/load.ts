/** The load generator's process: sends for one slice what its parent asks for, as fast as the answers come. */
import { connect } from 'node:net'
import { requestFactory, SIGNALS, type Target } from './alert-request.ts'
import { carryOut } from './helper.ts'

export interface SliceOrder {
  target: Target
  connections: number
  keepAlive: boolean
  /** Every event goes out twice. */
  duplicates: boolean
  durationMs: number
  /** Number of the first event, and the time of event 0. */
  firstEvent: number
  startMs: number
  /** How many take turns; absent: as the requests have it. */
  signals?: number | undefined
  /** In each request; absent: one. */
  alerts?: number | undefined
}

export interface SliceReport {
  answered: number
  /** Different events among the answered requests. */
  events: number
  /** Answers other than 2xx, and connections cut off without one. */
  failed: number
  /** Requests without an answer five seconds after the end of the slice. */
  timedOut: number
  elapsedMs: number
  latenciesUs: number[]
  /** User and system time of the generator: near 1 it was the bottleneck. */
  generatorBusy: number
}

const PATIENCE_MS = 5_000
const HEAD_END = Buffer.from('\r\n\r\n')
/** Far more than any answer has. */
const ANSWER_BYTES = 64 * 1024

carryOut(runSlice)

async function runSlice(order: SliceOrder): Promise<SliceReport> {
  const { keepAlive, startMs, signals = SIGNALS, alerts = 1 } = order
  const makeRequest = requestFactory(order.target, { keepAlive, startMs, signals, alerts })
  const report: SliceReport = {
    answered: 0,
    events: 0,
    failed: 0,
    timedOut: 0,
    elapsedMs: 0,
    latenciesUs: [],
    generatorBusy: 0,
  }
  let requests = 0
  const nextRequest = () => {
    const event = order.firstEvent + (order.duplicates ? requests >> 1 : requests) * alerts
    requests += 1
    return makeRequest(event)
  }

  const cpu = process.cpuUsage()
  const start = performance.now()
  const end = start + order.durationMs
  let waiting = 0
  const exchange = async (connection: Connection) => {
    const bytes = nextRequest()
    const sentAt = performance.now()
    waiting += 1
    const status = await connection.exchange(bytes)
    waiting -= 1
    report.latenciesUs.push(Math.round((performance.now() - sentAt) * 1_000))
    if (status >= 200 && status < 300) report.answered += 1
    else report.failed += 1
    return status > 0
  }

  const { host, ports } = order.target
  const worker = async (_: unknown, index: number) => {
    while (performance.now() < end) {
      const connection = await openConnection(host, ports[index % ports.length]!)
      let open = true
      do {
        open = await exchange(connection)
      } while (open && keepAlive && performance.now() < end)
      connection.close()
      // A server that is gone would otherwise be asked without a pause.
      if (!open) return
    }
  }
  const workers = Promise.all(Array.from({ length: order.connections }, worker))
  const gaveUp = new Promise((resolve) => setTimeout(resolve, order.durationMs + PATIENCE_MS).unref())
  await Promise.race([workers, gaveUp])

  report.elapsedMs = performance.now() - start
  report.timedOut = waiting
  report.events = (order.duplicates ? Math.ceil(requests / 2) : requests) * alerts
  const used = process.cpuUsage(cpu)
  report.generatorBusy = (used.user + used.system) / 1_000 / report.elapsedMs
  return report
}

interface Connection {
  /** The status answered, once the whole answer is in; 0 where the connection ended instead. */
  exchange(request: Buffer): Promise<number>
  close(): void
}

/** A bare socket that reads into one buffer: node:http would spend more on a request than the servers it measures. */
function openConnection(host: string, port: number): Promise<Connection> {
  return new Promise((resolve) => {
    const answer = Buffer.allocUnsafe(ANSWER_BYTES)
    let length = 0
    let settle: ((status: number) => void) | undefined
    const finish = (status: number) => {
      const done = settle
      settle = undefined
      length = 0
      done?.(status)
    }
    const onRead = (bytes: number, chunk: Uint8Array) => {
      answer.set(chunk.subarray(0, bytes), length)
      length += bytes
      const status = statusOfWhole(answer, length)
      if (status !== undefined) finish(status)
      return true
    }

    const socket = connect({
      host,
      port,
      noDelay: true,
      onread: { buffer: Buffer.allocUnsafe(ANSWER_BYTES), callback: onRead },
    })
    // 'close' follows.
    socket.on('error', () => {})
    socket.on('close', () => {
      resolve(connection)
      finish(0)
    })
    const connection: Connection = {
      close: () => socket.destroy(),
      exchange: (request) =>
        new Promise((done) => {
          if (socket.destroyed) return done(0)
          settle = done
          socket.write(request)
        }),
    }
    socket.on('connect', () => resolve(connection))
  })
}

/** Status of an answer that is whole; undefined where more is to come. */
function statusOfWhole(bytes: Buffer, length: number): number | undefined {
  const headEnd = bytes.indexOf(HEAD_END)
  if (headEnd === -1 || headEnd > length - HEAD_END.length) return undefined
  const head = bytes.toString('latin1', 0, headEnd)
  const bodyLength = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
  return length >= headEnd + HEAD_END.length + bodyLength ? Number(head.slice(9, 12)) : undefined
}
