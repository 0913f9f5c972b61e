import type { MatchEvent, OccurrenceState } from './state.ts'

/** Order by event time, never by arrival, wherever the sender gives a time (matching.md T1). */

/** Start of the stretch an event speaks of: its own time where the sender names no start, or starts anew. */
export function startOf(event: MatchEvent): string {
  return event.episode === null || event.reopen ? event.at : (event.episodeStart ?? event.at)
}

/** The stretches of an episode the sender names, in order. */
export function stretchesOf(occurrences: readonly OccurrenceState[], episode: string): OccurrenceState[] {
  return occurrences.filter((o) => hasFired(o) && o.episode === episode).sort((a, b) => a.stretch - b.stretch)
}

/** T1: an explicit reopening began the stretch, and the event is from before it. */
export function isBeforeReopening(event: MatchEvent, stretch: OccurrenceState): boolean {
  return stretch.explicitReopen && !event.timeInferred && event.at < startOfOccurrence(stretch)
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
