/** When a message is tried again, and when an endpoint is left in peace. Pure: times are milliseconds, chance comes in. */

export const RETRY_POLICIES = ['standard-3d', 'uptimera-30m', 'runframe-2h', 'once'] as const
export type RetryPolicyName = (typeof RETRY_POLICIES)[number]

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

interface RetryPolicy {
  /** Waits between the attempts: one fewer than there are attempts. */
  steps: readonly number[]
  /** Share of a step by which an attempt may come earlier and later. */
  early: number
  late: number
  /** Attempts keep their distance to the first one, or to the one before. */
  from: 'first' | 'last'
  /** No attempt is planned later than this after the message was made. */
  lastStartMs: number | null
}

const POLICIES: Record<RetryPolicyName, RetryPolicy> = {
  // The example schedule of the Standard Webhooks specification.
  'standard-3d': {
    steps: [
      5 * SECOND,
      5 * MINUTE,
      30 * MINUTE,
      2 * HOUR,
      5 * HOUR,
      10 * HOUR,
      14 * HOUR,
      20 * HOUR,
      24 * HOUR,
    ],
    early: 0.2,
    late: 0.2,
    from: 'last',
    lastStartMs: null,
  },
  // Doubling from 10 s up to 320 s; the last attempt is fixed, so that its 15 s end after 30 minutes.
  'uptimera-30m': {
    steps: [10, 20, 40, 80, 160, 320, 320, 320, 320, 195].map((seconds) => seconds * SECOND),
    early: 0.2,
    late: 0.2,
    from: 'first',
    lastStartMs: 29 * MINUTE + 45 * SECOND,
  },
  'runframe-2h': {
    steps: [0, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR],
    early: 0,
    late: 0.1,
    from: 'last',
    lastStartMs: null,
  },
  once: { steps: [], early: 0, late: 0, from: 'last', lastStartMs: null },
}

/** Attempts a message gets at most. */
export function attemptsOf(policy: RetryPolicyName): number {
  return POLICIES[policy].steps.length + 1
}

/** Until when the last attempt of a message may start; null where only the number of attempts counts. */
export function lastStartOf(policy: RetryPolicyName, createdAt: number): number | null {
  const { lastStartMs } = POLICIES[policy]
  return lastStartMs === null ? null : createdAt + lastStartMs
}

/** How long after its last start a message with a deadline waits for a slot, or for its circuit to close. */
export const LAST_CALL_MS = 15 * SECOND

export interface FailedAttempt {
  policy: RetryPolicyName
  /** Attempts made so far, this one included. */
  attempts: number
  createdAt: number
  /** Start of the first attempt. */
  firstAt: number
  /** End of this attempt. */
  now: number
  /** What the receiver asked for, in milliseconds from now. */
  retryAfterMs: number | null
  /** From 0 to 1. */
  random: number
}

/** When the next attempt starts; null at the end of the policy. */
export function nextAttempt(failed: FailedAttempt): number | null {
  const policy = POLICIES[failed.policy]
  const step = policy.steps[failed.attempts - 1]
  if (step === undefined) return null

  const lastStart = policy.lastStartMs === null ? null : failed.createdAt + policy.lastStartMs
  if (lastStart !== null && failed.now >= lastStart) return null
  const at = Math.round(askedFor(failed, policy, step) ?? planned(failed, policy, step))
  return lastStart === null ? at : Math.min(at, lastStart)
}

function planned(failed: FailedAttempt, policy: RetryPolicy, step: number): number {
  const isLast = failed.attempts === policy.steps.length
  if (isLast && policy.lastStartMs !== null) return failed.createdAt + policy.lastStartMs

  const jitter = step * (-policy.early + failed.random * (policy.early + policy.late))
  if (policy.from === 'last') return failed.now + step + jitter
  // Times count from the first attempt; one that came late is not made up for by hurrying.
  const offset = sum(policy.steps.slice(0, failed.attempts))
  const late = failed.now - failed.firstAt > offset
  return late ? failed.now + step + jitter : failed.firstAt + offset + jitter
}

/** The receiver's own wish, within reason: from the step to twice as long, at least up to 5 minutes. */
function askedFor(failed: FailedAttempt, policy: RetryPolicy, step: number): number | null {
  const { retryAfterMs } = failed
  if (retryAfterMs === null) return null
  const at = failed.now + clamp(retryAfterMs, step, Math.max(2 * step, 5 * MINUTE))
  const end = failed.firstAt + sum(policy.steps) * (1 + policy.late)
  return Math.min(at, Math.max(end, failed.now + step))
}

/** How long an answer 429 or 503 stops all sending to an endpoint: a message's own long step holds back no other. */
export function pauseOf(policy: RetryPolicyName, attempts: number, retryAfterMs: number): number {
  const step = POLICIES[policy].steps[attempts - 1] ?? 0
  return Math.min(retryAfterMs, Math.max(2 * step, 5 * MINUTE))
}

/** `Retry-After` in milliseconds from now: seconds or an HTTP date; null for junk and for the past. */
export function readRetryAfter(value: string | undefined, now: number): number | null {
  const text = value?.trim()
  if (!text) return null
  if (/^\d{1,10}$/.test(text)) return Number(text) > 0 ? Number(text) * SECOND : null
  // Only the forms of RFC 9110, 5.6.7: Date.parse alone takes nearly anything.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .*\d\d:\d\d:\d\d/.test(text)) return null
  const at = Date.parse(/GMT$/.test(text) ? text : `${text} GMT`)
  return Number.isNaN(at) || at <= now ? null : at - now
}

// ---- what the end of a message means for its endpoint ----

const WARN_AFTER_MS = DAY
const DISABLE_AFTER_MS = 5 * DAY

export type EndpointVerdict = 'keep' | 'warn' | 'disable'

/** After a failed attempt. `failingSince`: start of the first failed attempt after the last success. */
export function judgeEndpoint(options: {
  policy: RetryPolicyName
  /** Whether this was the message's last attempt. */
  ended: boolean
  failingSince: number
  now: number
}): EndpointVerdict {
  const { policy, ended, failingSince, now } = options
  if (policy === 'runframe-2h') return ended ? 'disable' : 'keep'
  if (policy !== 'standard-3d') return 'keep'
  if (now - failingSince >= DISABLE_AFTER_MS) return 'disable'
  return now - failingSince >= WARN_AFTER_MS ? 'warn' : 'keep'
}

// ---- the breaker ----

const FAILURES_IN_ROW = 10
const WINDOW_MS = 5 * MINUTE
const BUCKET_MS = 30 * SECOND
const WINDOW_LEAST = 10
const WINDOW_SHARE = 0.7
const OPEN_MS = 30 * SECOND
const MOST_OPEN_MS = 5 * MINUTE
const OPEN_SPREAD = 0.2

/** What an endpoint's breaker remembers; plain JSON, as it is stored. */
export interface Breaker {
  failuresInRow: number
  /** Attempts and failures of the last 5 minutes, by half minutes: `[start, attempts, failures]`, oldest first. */
  recent: [number, number, number][]
  /** Closed: null. Open until then; from then on half-open, which lets one probe through. */
  openUntil: number | null
  /** Length of the last opening. */
  openMs: number
}

export const CLOSED_BREAKER: Breaker = { failuresInRow: 0, recent: [], openUntil: null, openMs: 0 }

export type BreakerState = 'closed' | 'open' | 'half-open'

export function breakerState(breaker: Breaker, now: number): BreakerState {
  if (breaker.openUntil === null) return 'closed'
  return now < breaker.openUntil ? 'open' : 'half-open'
}

/** The breaker after one more attempt. `random` from 0 to 1. */
export function afterAttempt(breaker: Breaker, ok: boolean, now: number, random: number): Breaker {
  const state = breakerState(breaker, now)
  if (state !== 'closed') {
    if (ok) return CLOSED_BREAKER
    // Stragglers that fail while it is open tell nothing new.
    return state === 'open' ? breaker : open(breaker, now, Math.min(2 * breaker.openMs, MOST_OPEN_MS), random)
  }

  const failuresInRow = ok ? 0 : breaker.failuresInRow + 1
  const recent = counted(breaker.recent, ok, now)
  const attempts = sum(recent.map(([, count]) => count))
  const failures = sum(recent.map(([, , count]) => count))
  const next: Breaker = { failuresInRow, recent, openUntil: null, openMs: 0 }
  const broken =
    failuresInRow >= FAILURES_IN_ROW || (attempts >= WINDOW_LEAST && failures >= WINDOW_SHARE * attempts)
  return !ok && broken ? open(next, now, OPEN_MS, random) : next
}

function open(breaker: Breaker, now: number, openMs: number, random: number): Breaker {
  // Spread, as a receiver that fails at a beat of its own could be down at every probe.
  const openUntil = Math.round(now + openMs * (1 - OPEN_SPREAD + 2 * OPEN_SPREAD * random))
  return { failuresInRow: breaker.failuresInRow, recent: [], openUntil, openMs }
}

function counted(recent: Breaker['recent'], ok: boolean, now: number): Breaker['recent'] {
  const start = now - (now % BUCKET_MS)
  const kept = recent.filter(([at]) => at + BUCKET_MS > now - WINDOW_MS && at < start)
  const [, attempts, failures] = recent.find(([at]) => at === start) ?? [start, 0, 0]
  return [...kept, [start, attempts + 1, failures + Number(!ok)]]
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
