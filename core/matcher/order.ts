import type { MatchEvent, OccurrenceState } from './state.ts'

/** Order by event time, never by arrival, wherever the sender gives a time (matching.md T1). */

/** Start of the stretch an event speaks of; for senders without episodes its own time. */
export function startOf(event: MatchEvent): string {
  return event.episode === null ? event.at : (event.episodeStart ?? event.at)
}

export function startOfOccurrence(occurrence: OccurrenceState): string {
  return occurrence.orderAt ?? occurrence.firedAt!
}

/** T1: by the senders' times; where either is inferred, by arrival. */
export function comesBefore(event: MatchEvent, occurrence: OccurrenceState): boolean {
  return event.timeInferred || occurrence.firedTimeInferred
    ? event.receivedAt < (occurrence.firedReceivedAt ?? occurrence.firedAt!)
    : startOf(event) < startOfOccurrence(occurrence)
}

/** T3: not later than a recovery that closed an occurrence. */
export function isLateFor(event: MatchEvent, closed: OccurrenceState): boolean {
  return event.timeInferred || closed.recoveredTimeInferred
    ? event.receivedAt < (closed.recoveredReceivedAt ?? closed.recoveredAt!)
    : event.at <= closed.recoveredAt!
}

export function hasFired(occurrence: OccurrenceState): boolean {
  return occurrence.firedAt !== null
}

export function isFiring(occurrence: OccurrenceState): boolean {
  return occurrence.firedAt !== null && occurrence.recoveredAt === null
}

export function isClosed(occurrence: OccurrenceState): boolean {
  return occurrence.firedAt !== null && occurrence.recoveredAt !== null
}

/** A recovery that waits for its fire (R5). */
export function isOrphan(occurrence: OccurrenceState): boolean {
  return occurrence.firedAt === null
}

export function earliest<T>(items: readonly T[], time: (item: T) => string): T | undefined {
  return items.reduce<T | undefined>((a, b) => (a !== undefined && time(a) <= time(b) ? a : b), undefined)
}

export function latest<T>(items: readonly T[], time: (item: T) => string): T | undefined {
  return items.reduce<T | undefined>((a, b) => (a !== undefined && time(a) >= time(b) ? a : b), undefined)
}
