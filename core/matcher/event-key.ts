import type { MatchEvent } from './state.ts'

/**
 * What makes an event the same event (matching.md D2): signal, kind, moment and the sender's event id. The number of the
 * firing stretch is kept beside it, because only the decision knows it. Null where the sender gave nothing to tell two
 * events apart (D5). Long text: the store keeps its hash.
 */
export function eventKey(event: MatchEvent): string | null {
  if (event.policy.strictExternalId && event.eventId !== null) {
    return join('strict', sourceOf(event), event.kind, event.eventId)
  }

  const moment = momentOf(event)
  if (event.eventId === null && moment === 'counter') return null
  return join(event.signalId ?? sourceOf(event), event.kind, moment, event.eventId ?? '')
}

function momentOf(event: MatchEvent): string {
  // An explicit reopening begins a stretch: its own time tells it from the next one.
  if (event.reopen && event.moment !== null) return `t${event.moment}`
  if (event.episode !== null) return `e${event.episode}`
  return event.moment !== null ? `t${event.moment}` : 'counter'
}

function sourceOf(event: MatchEvent): string {
  return event.drill ? `${event.sourceId} drill` : event.sourceId
}

/** Whether the number of the stretch is part of the identity: not where the sender's time or id alone is. */
export function countsStretches(event: MatchEvent): boolean {
  if (event.policy.strictExternalId && event.eventId !== null) return false
  return event.moment === null || (event.episode !== null && !event.reopen)
}

function join(...parts: string[]): string {
  return parts.map((part) => `${part.length}:${part}`).join('')
}
