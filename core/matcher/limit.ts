/** The rolling hour (matching.md L). Pure: the slots of the hour come in, a verdict goes out. */

const HOUR_MS = 3_600_000
/** Recoveries and acknowledgements pass a full hour up to this many times the limit. */
const PASS_FACTOR = 10

/** 1: a slot of the hour; 2: a recovery that passed a full hour; 3: a duplicate. */
export type SlotKind = 1 | 2 | 3

export interface Slot {
  atMs: number
  kind: SlotKind
}

export type LimitVerdict =
  | { pass: true; kind: SlotKind }
  | { pass: false; retryAfterSeconds: number; kind: SlotKind | null }

/** Requests per rolling hour by plan; null: no limit. `free` never gets here. */
export function hourlyLimit(plan: string): number | null {
  if (plan === 'pro') return 100
  if (plan === 'team') return 500
  return null
}

/**
 * Whether one more request fits. `slots` are those accepted before, oldest first. A slot comes back exactly one hour
 * after it was taken. Duplicates take none, but are refused once accepted and duplicates together reach the limit.
 */
export function checkLimit(
  slots: readonly Slot[],
  limit: number,
  nowMs: number,
  request: 'duplicate' | 'recovery' | 'other',
): LimitVerdict {
  const inHour = slots.filter((slot) => slot.atMs > nowMs - HOUR_MS)
  const taken = inHour.filter((slot) => slot.kind === 1)

  if (request === 'duplicate') {
    const counted = inHour.filter((slot) => slot.kind !== 2)
    if (counted.length < limit) return { pass: true, kind: 3 }
    return { pass: false, retryAfterSeconds: untilFree(counted, limit, nowMs), kind: null }
  }
  if (taken.length < limit) return { pass: true, kind: 1 }
  const retryAfterSeconds = untilFree(taken, limit, nowMs)
  if (request === 'other') return { pass: false, retryAfterSeconds, kind: null }

  const passed = inHour.filter((slot) => slot.kind === 2)
  const mostPassed = limit * PASS_FACTOR
  if (passed.length < mostPassed) return { pass: true, kind: 2 }
  const untilPass = untilFree(passed, mostPassed, nowMs)
  return { pass: false, retryAfterSeconds: Math.min(retryAfterSeconds, untilPass), kind: null }
}

function untilFree(slots: readonly Slot[], limit: number, nowMs: number): number {
  const freeing = slots[slots.length - limit]!
  return Math.max(1, Math.ceil((freeing.atMs + HOUR_MS - nowMs) / 1000))
}
