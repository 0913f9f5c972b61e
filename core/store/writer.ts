import { TocsinError } from '../errors.ts'
import type { Database } from './open-database.ts'
import type { Work } from './statement.ts'

/** How one command of a batch ended. A refusal, such as "no such incident", does not undo the others. */
export type Settled<R> = { value: R } | { error: unknown }

/** What all changes go through. */
export interface Writer<C, R> {
  /**
   * Resolves after the commit. Rejects with the command's own refusal, with TocsinError `unavailable` when nothing was
   * kept and trying later makes sense, or with the fault the command caused.
   */
  submit(command: C): Promise<R>
  /** Whether hundreds of commands come a second, several to a commit. */
  isBusy(): boolean
  /** Takes no more, finishes what it took. */
  close(): Promise<void>
}

/** One queue: commits follow each other, and concurrent commands share one. */
export interface Queue<C, R> extends Writer<C, R> {
  readonly stats: { readonly commits: number; readonly commands: number }
}

export interface WriterOptions<C, R> {
  database: Pick<Database, 'transaction' | 'classify'>
  /** Answers one result per command, in order. Runs again from the start when the batch has to be repeated. */
  runBatch: (commands: C[]) => Work<Settled<R>[]>
  /** Minimum milliseconds between commits: what arrives in between shares the next one. */
  intervalMs?: number
  maxBatch?: number
  maxQueue?: number
  /** Milliseconds on a clock that never goes back. */
  monotonicNow?: () => number
  /** Calls back after this many milliseconds; 0: after the requests that are being read right now. */
  schedule?: (delayMs: number, run: () => void) => void
  /** A number from 0 to 1 that spreads retries. */
  jitter?: () => number
}

/**
 * Group commit behind an interval gate: a batch goes when the last commit is long enough ago, or when as many have come
 * again as were there last time, and then only once a turn of the event loop has brought no more. Node takes in one new
 * connection a turn: were each turn to commit, connections would come in no quicker than that.
 */
export function createWriter<C, R>({
  database,
  runBatch,
  intervalMs = 2,
  maxBatch = 256,
  maxQueue = 10_000,
  monotonicNow = () => performance.now(),
  schedule = (delayMs, run) => void (delayMs === 0 ? setImmediate(run) : setTimeout(run, delayMs)),
  jitter = Math.random,
}: WriterOptions<C, R>): Queue<C, R> {
  const queue: Entry<C, R>[] = []
  const stats = { commits: 0, commands: 0 }
  let lastCommit = Number.NEGATIVE_INFINITY
  let pauseMs = intervalMs
  let isBusy = false
  /** How many there are to wait for: so many were there at the last commit, and one less where fewer were. */
  let crowd = 0
  /** A flush is planned or under way. */
  let busy = false
  /** The flush that a pause is to end with, while there is one. */
  let planned: { isOver: boolean } | undefined
  let closing: { promise: Promise<void>; resolve: () => void } | undefined

  function submit(command: C): Promise<R> {
    if (closing) return Promise.reject(unavailable('Tocsin is stopping; try again.'))
    if (queue.length >= maxQueue)
      return Promise.reject(unavailable('Too much is waiting to be stored; try again.'))
    return new Promise((resolve, reject) => {
      queue.push({ command, resolve, reject, at: monotonicNow() })
      if (!busy) planFlush()
      else if (planned !== undefined && queue.length === crowd) planFlush()
    })
  }

  /** Nothing is gained by waiting for more. */
  function isFull(): boolean {
    return queue.length >= maxBatch || closing !== undefined
  }

  function planFlush(): void {
    busy = true
    // Whoever could share the next commit is there: waiting longer would only make all of them wait.
    const pause = queue.length >= crowd ? intervalMs : pauseMs
    flushIn(isFull() ? 0 : Math.max(0, lastCommit + pause - monotonicNow()))
  }

  /** Instead of the flush that was planned. */
  function flushIn(delayMs: number): void {
    if (planned) planned.isOver = true
    const plan = { isOver: false }
    planned = plan
    let seen = 0
    const flushUnlessMoreCome = () => {
      if (plan.isOver) return
      if (isFull() || queue.length === seen || monotonicNow() - queue[0]!.at >= MAX_PAUSE_MS) {
        void flush()
        return
      }
      seen = queue.length
      schedule(0, flushUnlessMoreCome)
    }
    schedule(delayMs, flushUnlessMoreCome)
  }

  async function flush(): Promise<void> {
    planned = undefined
    await settle(queue.splice(0, maxBatch))
    busy = false
    if (queue.length > 0) planFlush()
    else closing?.resolve()
  }

  /** Stores these together, or, when one of them is at fault, in halves until that one is alone. Never throws. */
  async function settle(entries: Entry<C, R>[]): Promise<void> {
    try {
      const results = await commit(entries.map((entry) => entry.command))
      for (const [index, { resolve, reject }] of entries.entries()) {
        const result = results[index]!
        if ('value' in result) resolve(result.value)
        else reject(result.error)
      }
    } catch (error) {
      if (database.classify(error) !== 'fault') {
        const refusal = unavailable('The database is busy or away; try again.', error)
        for (const { reject } of entries) reject(refusal)
        refuseOverdue(refusal)
      } else if (entries.length === 1) {
        entries[0]!.reject(error)
      } else {
        const middle = entries.length >> 1
        await settle(entries.slice(0, middle))
        await settle(entries.slice(middle))
      }
    }
  }

  /**
   * A database that is away may take seconds to say so; those who waited for that do not wait for it again. They are
   * refused some at a time: thousands of answers in one turn of the event loop would keep everybody else waiting.
   */
  function refuseOverdue(refusal: TocsinError): void {
    const due = monotonicNow() - PATIENCE_MS
    const kept = queue.findIndex(({ at }) => at > due)
    const overdue = queue.splice(0, kept === -1 ? queue.length : kept)
    const refuseSome = () => {
      for (const { reject } of overdue.splice(0, REFUSED_AT_ONCE)) reject(refusal)
      if (overdue.length > 0) schedule(0, refuseSome)
    }
    refuseSome()
  }

  // Not made anew for each batch: what V8 notes of a generator function when that first runs stays until everything is
  // collected, and with it all that the function has at hand.
  function* answeringAll(commands: C[]): Work<Settled<R>[]> {
    const settled = yield* runBatch(commands)
    if (settled.length !== commands.length) throw new Error('A batch must answer every command.')
    return settled
  }

  async function commit(commands: C[]): Promise<Settled<R>[]> {
    for (let attempt = 1; ; attempt++) {
      const started = monotonicNow()
      try {
        const results = await database.transaction(() => answeringAll(commands))
        const ended = monotonicNow()
        const isShared = commands.length >= SHARED_BATCH
        isBusy = isShared && commands.length / (ended - lastCommit) >= BUSY_PER_MS
        lastCommit = ended
        crowd = Math.max(commands.length + queue.length, crowd - 1)
        // Under load a slow commit is given a longer pause, so that more share the next one.
        pauseMs = isShared
          ? Math.max(intervalMs, Math.min(MAX_PAUSE_MS, 2 * (lastCommit - started)))
          : intervalMs
        stats.commits++
        stats.commands += commands.length
        return results
      } catch (error) {
        if (attempt > MAX_RETRIES || database.classify(error) !== 'retry') throw error
        await new Promise<void>((resolve) => schedule(attempt * RETRY_MS * jitter(), resolve))
      }
    }
  }

  return {
    submit,
    stats,
    isBusy: () => isBusy,
    close() {
      if (!closing) {
        closing = Promise.withResolvers<void>()
        if (!busy) closing.resolve()
      }
      return closing.promise
    },
  }
}

interface Entry<C, R> {
  command: C
  resolve: (value: R) => void
  reject: (error: unknown) => void
  /** When it came. */
  at: number
}

const MAX_RETRIES = 5
const RETRY_MS = 5
/** A batch that shows several senders at once. */
const SHARED_BATCH = 4
/** Fewer share a commit also where it is slow, as over a network. */
const BUSY_PER_MS = 0.3
/** The longest that one is kept waiting for others. */
const MAX_PAUSE_MS = 10
const PATIENCE_MS = 1_000
const REFUSED_AT_ONCE = 100

function unavailable(message: string, cause?: unknown): TocsinError {
  return new TocsinError('unavailable', message, { cause, retryAfterSeconds: 1 })
}
