import { type Action, type Decision, verdict } from './decision.ts'
import { countsStretches, eventKey } from './event-key.ts'
import { decideFire } from './fire.ts'
import { isBeforeReopening, stretchesOf } from './order.ts'
import type { Picture } from './picture.ts'
import { decideRecover } from './recover.ts'
import type { MatchEvent, OccurrenceState, SignalState } from './state.ts'
import { later, ms } from './time.ts'

/** How close two byte-identical bodies without id and time must be to be one (D5). */
const SAME_BODY_MS = 10_000

/**
 * What one event does, by the rules of matching.md, on what the picture knows of its signal and incidents.
 * Pure: reads the picture, changes nothing, needs no clock.
 */
export function decide(event: MatchEvent, picture: Picture): Decision {
  if (event.test) return verdict('test', ['N3'])

  const signal = event.signalId === null ? undefined : picture.signals.get(event.signalId)
  const key = eventKey(event)
  if (key === null && signal && isSameBody(event, signal)) return verdict('duplicate', ['D5'])

  const decision = byKind(event, signal, picture)
  if (key === null) return decision

  const counts = countsStretches(event)
  // A recovery under an id that never fired has no stretch it could be a repeat of (R3).
  if (counts && event.looseRecovery && event.kind === 'recover' && decision.stretch === 0) return decision

  const stretch = counts ? decision.stretch : 0
  const seen = picture.seenKeys.get(key)
  if (seen !== undefined && seen >= stretch) {
    const rule = event.upsert ? 'D3' : 'D2'
    return { ...verdict('duplicate', [...decision.receipt, rule]), key, stretch, amends: event.upsert }
  }
  return { ...decision, key, stretch }
}

function byKind(event: MatchEvent, signal: SignalState | undefined, picture: Picture): Decision {
  switch (event.kind) {
    case 'fire':
    case 'refresh':
      return decideFire(event, signal, picture)
    case 'recover':
      return decideRecover(event, signal, picture)
    case 'ack':
      return decideAcknowledge(event, signal, picture)
    case 'info':
      return decideInfo(event, signal, picture)
  }
}

function isSameBody(event: MatchEvent, signal: SignalState): boolean {
  const apart = Math.abs(ms(event.receivedAt) - ms(signal.lastReceivedAt))
  return signal.lastBodyHash === event.bodyHash && apart <= SAME_BODY_MS
}

function decideAcknowledge(event: MatchEvent, signal: SignalState | undefined, picture: Picture): Decision {
  const incidentId = event.episode === null ? signal?.incidentId : ownStretch(event, picture)?.incidentId
  const incident = incidentId ? picture.incidents.get(incidentId) : undefined
  const stretch = stretchOf(event, signal, picture)
  if (!incident || incident.status === 'resolved') return verdict('info', ['A'], [], stretch)
  return verdict(
    'acknowledged',
    ['A'],
    [
      { do: 'acknowledge', incident },
      { do: 'join', incident },
    ],
    stretch,
  )
}

function decideInfo(event: MatchEvent, signal: SignalState | undefined, picture: Picture): Decision {
  const incident = signal?.incidentId ? picture.incidents.get(signal.incidentId) : undefined
  const actions: Action[] = incident && incident.status !== 'resolved' ? [{ do: 'join', incident }] : []
  return verdict('info', ['N2'], actions, stretchOf(event, signal, picture))
}

function stretchOf(event: MatchEvent, signal: SignalState | undefined, picture: Picture): number {
  if (event.episode === null || event.signalId === null) return signal?.counter ?? 0
  return ownStretch(event, picture)?.stretch ?? 1
}

/** The last stretch of the episode the event names that had begun by then. */
function ownStretch(event: MatchEvent, picture: Picture): OccurrenceState | undefined {
  if (event.signalId === null || event.episode === null) return undefined
  const stretches = stretchesOf(picture.occurrences(event.signalId), event.episode)
  return stretches.findLast((o) => !isBeforeReopening(event, o))
}

/**
 * Group status `resolved` with nothing cut off: occurrences of that group that the body does not list have ended too,
 * if they began by its greatest end (R2). Answers what to close and when.
 */
export function unlistedOfResolvedGroup(
  group: { greatestEndsAt: string | null },
  listed: ReadonlySet<string>,
  firing: readonly OccurrenceState[],
  receivedAt: string,
): { occurrence: OccurrenceState; at: string; timeInferred: boolean }[] {
  const end = group.greatestEndsAt
  return firing
    .filter((o) => !listed.has(o.signalId) && (end === null || o.firedTimeInferred || o.firedAt! <= end))
    .map((occurrence) => ({
      occurrence,
      at: later(end ?? receivedAt, occurrence.firedAt!),
      timeInferred: end === null,
    }))
}
