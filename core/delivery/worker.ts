import { randomBytes } from 'node:crypto'
import { createIds } from '../ids.ts'
import { catchUpNames, endpointOfName } from '../store/catch-up.ts'
import {
  type ClaimedMessage,
  claimMessages,
  dueEndpoints,
  extendLeases,
  releaseLeases,
} from '../store/claim.ts'
import { type EndpointSecretRow, secretsOfEndpoints } from '../store/endpoint.ts'
import { forgetBefore, RETENTION_MS } from '../store/message.ts'
import type { Database } from '../store/open-database.ts'
import { openSecret } from '../store/secrets.ts'
import { all, type Work } from '../store/statement.ts'
import type { Log } from '../tocsin.ts'
import { catchUp } from './catch-up.ts'
import { withGap } from './message-body.ts'
import { type Pace, placeLimits, SLOW_MS, standings } from './places.ts'
import { type AttemptOutcome, type ResultContext, type StoredResults, storeResults } from './results.ts'
import { LAST_CALL_MS } from './retry-policy.ts'
import { SEND_LIMITS, type Sender, type SendResult } from './send.ts'
import { type SignatureOption, signedHeaders } from './sign.ts'

/** Sends what is due: claims, sends, stores what became of it, again and again. */
export interface Worker {
  /** Sends everything that is due now and waits for the results; answers how many messages it took up. */
  runOnce(): Promise<number>
  /** Begins to look by itself. */
  start(): void
  /** There is something new. */
  wake(): void
  /** Takes nothing more, waits a little for what is under way, and gives the rest back. */
  stop(): Promise<void>
}

export interface WorkerOptions {
  database: Pick<Database, 'query'>
  /** Runs a change through the writer queue. */
  change: <T>(run: (context: ResultContext) => Work<T>) => Promise<T>
  /** Whether many wait for the same queue: their answers come before what is sent. */
  isBusy?: () => boolean
  secretKey: Buffer
  sender: Sender
  log: Log
  /** An endpoint was switched off: what is remembered of its project is old. */
  onDisabled?: (projectId: string) => void
  now?: () => Date
  random?: () => number
  /** Calls back later; the answer takes it back. */
  schedule?: (delayMs: number, run: () => void) => () => void
  inFlight?: number
  perEndpoint?: number
  leaseMs?: number
  /** How often it looks for what other processes have put in, and for what has become due. */
  pollMs?: number
  /** How long a stop waits for what is under way. */
  stopMs?: number
}

interface Held {
  message: ClaimedMessage
  token: string
  since: number
}

/** How long a result may wait for others. */
const GATHER_MS = 5
/** While many webhooks come in, this keeps sending to a part of the process's time: at most 50 messages each time. */
const YIELD_MS = 100
/** Between parts of a long queue that follow a change of its endpoint, so that everything else has its turn. */
const REST_MS = 20

const UNSIGNED: SendResult = {
  status: null,
  durationMs: 0,
  error: 'Not sent: the signing secret cannot be opened. Rotate the secret of the endpoint.',
  excerpt: null,
  retryAfterMs: null,
}

const FORGET_EVERY_MS = 60_000
/** Endpoints whose pace is remembered. */
const MOST_PACES = 10_000
/** A database that is away stays away for a while, and is asked several times a second. */
const SAY_EVERY_MS = 60_000

export function createWorker({
  database,
  change,
  isBusy = () => false,
  secretKey,
  sender,
  log,
  onDisabled = () => {},
  now = () => new Date(),
  random = Math.random,
  schedule = (delayMs, run) => {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
  inFlight = 50,
  perEndpoint = 5,
  leaseMs = 60_000,
  pollMs = 250,
  stopMs = 1_500,
}: WorkerOptions): Worker {
  const held = new Map<string, Held>()
  const underWay = new Set<Promise<void>>()
  const outcomes: AttemptOutcome[] = []
  const secrets = new Map<string, string>()
  // Forgotten with the process: what hangs is soon known again.
  const paces = new Map<string, Pace>()
  const slowProjects = new Set<string>()
  let turns = 0
  const newId = createIds(now, randomBytes)
  let after = ''
  let started = false
  let stopping = false
  let aborting = false
  let turning: Promise<void> | undefined
  let wakeAgain = false
  let cancelPoll = () => {}
  let forgotAt = Number.NEGATIVE_INFINITY
  let saidAt = Number.NEGATIVE_INFINITY
  /** The endpoint whose waiting messages were seen to last. */
  let caughtUp = ''
  let lookedAt = Number.NEGATIVE_INFINITY
  let lookAfterMs = 0

  // ---- one turn: store results, claim as many ----

  /** Answers how many messages it took up: claimed, or failed for good as too late. */
  async function turn(): Promise<number> {
    const token = randomBytes(12).toString('base64url')
    const taken: { stored: AttemptOutcome[] } = { stored: [] }
    const storing = change((context) => storeAndClaim(token, taken, context))
    const { claimed, late, sealed, until, prolonged, tell } = await storing.catch((error: unknown) => {
      // They stay for the next turn, as their leases hold for a while.
      for (const outcome of taken.stored) outcome.mayBeStored = true
      throw error
    })
    const { stored } = taken
    outcomes.splice(0, stored.length)
    for (const { messageId, token } of stored) {
      // A late result says nothing of a newer claim.
      if (held.get(messageId)?.token === token) held.delete(messageId)
    }
    for (const one of prolonged) one.since = until - leaseMs
    // A commit may take its time: an attempt that could outlive its lease is left to who claims it next.
    const inTime = now().getTime() + SEND_LIMITS.totalMs <= until
    for (const message of inTime ? claimed : []) begin(message, token, sealed)
    report(tell)
    return claimed.length + late
  }

  /**
   * One transaction; `taken` tells which results it stores, also where it fails. Not made anew for each turn, for the
   * reason told in store/writer.ts.
   */
  function* storeAndClaim(token: string, taken: { stored: AttemptOutcome[] }, context: ResultContext) {
    const at = Date.parse(context.now)
    const until = at + leaseMs
    // Also those that came while this waited for its turn in the queue.
    const stored = [...outcomes]
    taken.stored = stored
    const prolonged = heldLong()
    const free = stopping ? 0 : inFlight - held.size + stored.length
    const leases = leasesOf(prolonged)
    let tell = yield* storeResults(stored, [], context, leases.ids)
    // Before the claim, which would take what a jump of the clock has let run out.
    yield* extendLeases(leases, isoOf(until))
    const claim =
      free > 0
        ? yield* claimMessages({
            now: context.now,
            until: isoOf(until),
            token,
            free,
            perEndpoint,
            after,
            lastCallUntil: isoOf(at - LAST_CALL_MS),
            standingOf: standings({
              underWay: underWayBut(stored),
              paces,
              slowProjects,
              limits: placeLimits(inFlight),
            }),
          })
        : { claimed: [], late: [], after }
    if (claim.late.length > 0) {
      const more = yield* storeResults([], claim.late, context)
      tell = {
        disabled: [...tell.disabled, ...more.disabled],
        warned: [...tell.warned, ...more.warned],
      }
    }
    const endpoints = [...new Set(claim.claimed.map((message) => message.endpoint_id))]
    const sealed =
      endpoints.length > 0 ? yield* all(secretsOfEndpoints, { ids: endpoints, now: context.now }) : []
    after = claim.after
    return { claimed: claim.claimed, late: claim.late.length, sealed, until, prolonged, tell }
  }

  function begin(message: ClaimedMessage, token: string, sealed: readonly EndpointSecretRow[]): void {
    held.set(message.id, { message, token, since: now().getTime() })
    noteTurn(message.endpoint_id)
    const sending = attempt(message, token, sealed).then((outcome) => {
      if (outcome) {
        outcomes.push(outcome)
        notePace(outcome)
      }
      underWay.delete(sending)
      wake()
    })
    underWay.add(sending)
  }

  async function attempt(
    message: ClaimedMessage,
    token: string,
    sealed: readonly EndpointSecretRow[],
  ): Promise<AttemptOutcome | undefined> {
    const at = now().getTime()
    const outcome = (result: SendResult): AttemptOutcome => ({
      ...result,
      id: newId(),
      mayBeStored: false,
      messageId: message.id,
      endpointId: message.endpoint_id,
      projectId: message.project_id,
      token,
      at,
      endedAt: Math.max(at, now().getTime()),
      random: random(),
    })
    const secrets = secretsOf(message.endpoint_id, sealed)
    if (secrets.length === 0) return outcome(UNSIGNED)
    const body = message.gap === 1 ? withGap(message.body) : message.body
    const signed = signedHeaders({
      id: message.id,
      at,
      body,
      secrets,
      signature: message.signature === null ? null : (JSON.parse(message.signature) as SignatureOption),
    })
    const result = await sender.send({
      url: message.url,
      headers: { ...sentHeaders(message), ...signed },
      body,
    })
    // Broken off by the stop: as if it had not been.
    if (aborting && result.error !== null) return undefined
    // A test may be sent anywhere at will: it must not become a way to read what stands there.
    if (message.type === 'test') return outcome({ ...result, excerpt: null })
    return outcome({
      ...result,
      excerpt: result.excerpt && redacted(result.excerpt, [...secrets, ...signatures(signed)]),
    })
  }

  /** None where one of them does not open: nothing goes out with half of its signatures. */
  function secretsOf(endpointId: string, sealed: readonly EndpointSecretRow[]): string[] {
    try {
      return sealed.filter((secret) => secret.endpoint_id === endpointId).map(opened)
    } catch {
      return []
    }
  }

  function opened(secret: EndpointSecretRow): string {
    let plain = secrets.get(secret.id)
    if (plain === undefined) {
      plain = openSecret(secretKey, secret.sealed, secretPlace(secret.id))
      if (secrets.size >= 10_000) secrets.clear()
      secrets.set(secret.id, plain)
    }
    return plain
  }

  function noteTurn(endpointId: string): void {
    const isSlow = paces.get(endpointId)?.isSlow
    turns += 1
    // The one whose turn was longest ago stands first, and is forgotten first.
    paces.delete(endpointId)
    paces.set(endpointId, { isSlow, turn: turns })
    const [oldest] = paces.keys()
    if (paces.size > MOST_PACES) paces.delete(oldest!)
  }

  function notePace({ endpointId, projectId, durationMs }: AttemptOutcome): void {
    const isSlow = durationMs >= SLOW_MS
    paces.set(endpointId, { isSlow, turn: paces.get(endpointId)?.turn ?? turns })
    if (isSlow) slowProjects.add(projectId)
    else slowProjects.delete(projectId)
  }

  /** What still waits for its receiver: a result that waits for its commit says nothing of it. */
  function underWayBut(stored: readonly AttemptOutcome[]) {
    const at = now().getTime()
    const ended = new Set(stored.map(({ messageId }) => messageId))
    return [...held.values()]
      .filter(({ message }) => !ended.has(message.id))
      .map(({ message, since }) => ({
        endpointId: message.endpoint_id,
        projectId: message.project_id,
        isFailing: message.failing_since !== null,
        forMs: at - since,
      }))
  }

  /** What it has held for so long that its leases want prolonging. */
  function heldLong(): Held[] {
    const at = now().getTime()
    return [...held.values()].filter(({ since }) => at - since > leaseMs / 3)
  }

  function report({ disabled, warned }: StoredResults): void {
    for (const { id, projectId, reason } of disabled) {
      log('warn', 'endpoint disabled', { endpoint: id, project: projectId, reason })
      lookAfterMs = 0
      onDisabled(projectId)
    }
    for (const { id, projectId } of warned) {
      log('warn', 'endpoint has not taken a message for a day', { endpoint: id, project: projectId })
    }
  }

  // ---- the loop ----

  /** Turns until nothing is left that could be done now. */
  async function loop(): Promise<void> {
    for (;;) {
      wakeAgain = false
      await pause()
      const canClaim = !stopping && held.size < inFlight
      const isDue = outcomes.length > 0 || heldLong().length > 0 || (canClaim && (await anythingDue()))
      const isWorking = isDue && (await turn()) > 0
      if (!stopping) await catchUpNowAndThen()
      if (isWorking) continue
      if (!wakeAgain && outcomes.length === 0) return
    }
  }

  /** Before the next turn. */
  async function pause(): Promise<void> {
    if (stopping) return
    if (isBusy()) return waitFor(YIELD_MS)
    // A commit costs nearly the same for many results as for one.
    if (outcomes.length > 0 && outcomes.length < held.size / 2) {
      await Promise.race([waitFor(GATHER_MS), Promise.all(underWay)])
    }
  }

  function waitFor(delayMs: number): Promise<void> {
    return new Promise((resolve) => schedule(delayMs, resolve))
  }

  /** Asks on a connection that only reads, so that looking costs no commit. */
  async function anythingDue(): Promise<boolean> {
    const due = await database.query(dueEndpoints, { now: now().toISOString(), after: '', limit: 1 })
    return due.length > 0
  }

  async function catchUpNowAndThen(): Promise<void> {
    // A clock may go back.
    if (Math.abs(now().getTime() - lookedAt) < lookAfterMs) return
    lookAfterMs = (await catchUpNext()) ? REST_MS : pollMs
    lookedAt = now().getTime()
  }

  /** One part of what changed endpoints mean for what waits for them, in turns; answers whether there was one. */
  async function catchUpNext(): Promise<boolean> {
    const ids = (await database.query(catchUpNames, {})).map(({ name }) => endpointOfName(name))
    for (const id of [...ids.filter((id) => id > caughtUp), ...ids.filter((id) => id <= caughtUp)]) {
      if (!(await change((context) => catchUp(id, context.now)))) continue
      caughtUp = id
      return true
    }
    return false
  }

  function wake(): void {
    wakeAgain = true
    if (!started || turning) return
    cancelPoll()
    turning = loop()
      .then(maintain)
      .then(
        () => true,
        (error: unknown) => {
          const at = now().getTime()
          if (at - saidAt >= SAY_EVERY_MS) {
            saidAt = at
            log('warn', 'sending waits', { error: String(error) })
          }
          return false
        },
      )
      .then((ok) => {
        turning = undefined
        if (stopping) return
        if (ok && wakeAgain) wake()
        else cancelPoll = schedule(ok ? Math.min(pollMs, lookAfterMs) : pollMs, wake)
      })
  }

  async function maintain(): Promise<void> {
    const at = now().getTime()
    if (at - forgotAt >= FORGET_EVERY_MS) {
      const { isAll } = await change(() => forgetBefore(at - RETENTION_MS))
      // What is left of a long backlog goes with the next looks, a small part each.
      if (isAll) forgotAt = at
    }
  }

  async function runOnce(): Promise<number> {
    let total = 0
    for (;;) {
      const taken = await turn()
      total += taken
      if ((await catchUpNext()) || outcomes.length > 0) continue
      if (taken === 0 && underWay.size === 0) return total
      if (underWay.size > 0) await Promise.race(underWay)
    }
  }

  async function stop(): Promise<void> {
    stopping = true
    cancelPoll()
    await turning
    let cancel = () => {}
    const limit = new Promise<void>((resolve) => {
      cancel = schedule(stopMs, resolve)
    })
    await Promise.race([Promise.all(underWay), limit])
    cancel()

    // What is broken off goes back, for the next process to go on with at once; all else keeps its result.
    aborting = true
    await sender.close()
    await Promise.all(underWay)
    // Each end of a send has woken it once more.
    await turning
    try {
      if (outcomes.length > 0) await turn()
    } finally {
      // What was sent, but could not be noted down, would else go out a second time at once.
      const sent = new Set(outcomes.map(({ messageId }) => messageId))
      const rest = [...held.values()].filter(({ message }) => !sent.has(message.id))
      held.clear()
      if (rest.length > 0) await change((context) => releaseLeases(leasesOf(rest), context.now))
    }
  }

  return {
    runOnce,
    start: () => {
      started = true
      wake()
    },
    wake,
    stop,
  }
}

/** Where the secret of an endpoint is sealed for. */
export function secretPlace(secretId: string): string {
  return `endpoint_secret/${secretId}/sealed`
}

/** Headers of a message without signature and time, which each attempt has anew. */
export function sentHeaders(message: { replay: number }): Record<string, string> {
  return {
    'content-type': 'application/json',
    'user-agent': 'Tocsin',
    ...(message.replay === 1 && { 'tocsin-replay': 'true' }),
  }
}

function leasesOf(held: readonly Held[]): { ids: string[]; tokens: string[] } {
  return { ids: held.map(({ message }) => message.id), tokens: [...new Set(held.map(({ token }) => token))] }
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}

/** A receiver may answer with what it was sent. */
function redacted(text: string, hidden: readonly string[]): string {
  return hidden.reduce((shown, secret) => (secret === '' ? shown : shown.replaceAll(secret, '***')), text)
}

function signatures(headers: Record<string, string>): string[] {
  return Object.entries(headers)
    .filter(([name]) => name !== 'webhook-id' && name !== 'webhook-timestamp')
    .flatMap(([, value]) => value.split(' '))
}
