import { SEVERITIES, type Severity } from '../types.ts'
import type { Picture } from './picture.ts'
import type { Actor, ClosedBy, IncidentState, MatchContext, OccurrenceState, TimelineKind } from './state.ts'
import { later } from './time.ts'

/** Transitions of incidents and occurrences, by events and by people, on the picture alone. */

export interface TransitionNote {
  /** When it took effect. */
  at: string
  /** When we heard of it, where that is another time: the timeline's order is that of hearing. */
  loggedAt?: string
  actor: Actor
  text: string
  requestId: string | null
  eventIds: string[]
}

/** Acknowledges an open incident; false where it is acknowledged or resolved already. */
export function acknowledgeIncident(
  picture: Picture,
  context: MatchContext,
  incident: IncidentState,
  note: TransitionNote,
): boolean {
  if (incident.status !== 'open') return false
  incident.status = 'acknowledged'
  incident.acknowledgedAt = later(note.at, incident.detectedAt)
  incident.acknowledgedAfterMs ??= Date.parse(incident.acknowledgedAt) - Date.parse(incident.detectedAt)
  transition(picture, context, incident, 'acknowledged', {
    ...note,
    at: note.loggedAt ?? incident.acknowledgedAt,
  })
  return true
}

export function resolveIncident(
  picture: Picture,
  context: MatchContext,
  incident: IncidentState,
  note: TransitionNote & { by: 'auto' | 'manual' },
): void {
  const at = later(note.at, incident.stretchStartedAt)
  incident.status = 'resolved'
  incident.resolvedAt = at
  incident.resolvedBy = note.by
  incident.resolveDueAt = null
  incident.durationMs += Date.parse(at) - Date.parse(incident.stretchStartedAt)
  picture.setAcceptsNew(incident, false)
  transition(picture, context, incident, 'resolved', { ...note, at: note.loggedAt ?? at })
}

export function reopenIncident(
  picture: Picture,
  context: MatchContext,
  incident: IncidentState,
  note: TransitionNote & { stretchStartedAt: string },
): void {
  incident.status = 'open'
  incident.acknowledgedAt = null
  incident.resolvedAt = null
  incident.resolvedBy = null
  incident.lastRecoveredAt = null
  incident.stretchStartedAt = note.stretchStartedAt
  incident.reopenCount += 1
  if (!picture.current(incident.projectId, incident.groupKey)) picture.setAcceptsNew(incident, true)
  transition(picture, context, incident, 'reopened', note)
}

/** Ends a firing occurrence and counts it out of its incident. */
export function endOccurrence(
  picture: Picture,
  occurrence: OccurrenceState,
  at: string,
  timeInferred: boolean,
  by: ClosedBy,
  receivedAt: string,
): void {
  occurrence.recoveredAt = at
  occurrence.recoveredTimeInferred = timeInferred
  occurrence.recoveredReceivedAt = receivedAt
  occurrence.closedBy = by
  picture.touchOccurrence(occurrence)

  const incident = incidentById(picture, occurrence.incidentId!)
  incident.firing[occurrence.severity] -= 1
  raiseLastRecovered(incident, at)
  settleSeverity(incident)
  picture.touchIncident(incident)
}

/** Sets an ended occurrence firing again: a person reopened its incident (H4), or its end was no end (T2). */
export function refireOccurrence(picture: Picture, occurrence: OccurrenceState): void {
  occurrence.recoveredAt = null
  occurrence.recoveredTimeInferred = false
  occurrence.recoveredReceivedAt = null
  occurrence.closedBy = null
  picture.touchOccurrence(occurrence)
  const incident = incidentById(picture, occurrence.incidentId!)
  incident.firing[occurrence.severity] += 1
  incident.resolveDueAt = null
  settleSeverity(incident)
  picture.touchIncident(incident)
}

export function addTimeline(
  picture: Picture,
  context: MatchContext,
  incident: IncidentState,
  entry: TransitionNote & { kind: TimelineKind },
  sequence: number | null = null,
): string {
  const id = context.newId()
  picture.timeline.push({
    id,
    projectId: incident.projectId,
    incidentId: incident.id,
    at: entry.at,
    kind: entry.kind,
    sequence,
    actor: entry.actor,
    text: entry.text,
    requestId: entry.requestId,
    eventIds: entry.eventIds,
  })
  incident.updatedAt = context.now
  picture.touchIncident(incident)
  return id
}

export function transition(
  picture: Picture,
  context: MatchContext,
  incident: IncidentState,
  kind: 'opened' | 'acknowledged' | 'resolved' | 'reopened',
  note: TransitionNote,
): void {
  incident.sequence += 1
  addTimeline(picture, context, incident, { ...note, kind }, incident.sequence)
}

export function firingCount(incident: IncidentState): number {
  return SEVERITIES.reduce((sum, severity) => sum + incident.firing[severity], 0)
}

export function noneFiring(): Record<Severity, number> {
  return { critical: 0, high: 0, medium: 0, low: 0, info: 0 }
}

export function incidentById(picture: Picture, id: string): IncidentState {
  const incident = picture.incidents.get(id)
  if (!incident) throw new Error(`incident ${id} is not in the picture`)
  return incident
}

export function raiseLastRecovered(incident: IncidentState, at: string): void {
  if (incident.lastRecoveredAt === null || at > incident.lastRecoveredAt) incident.lastRecoveredAt = at
}

export function raiseMaxSeverity(incident: IncidentState, severity: Severity): void {
  if (SEVERITIES.indexOf(severity) < SEVERITIES.indexOf(incident.maxSeverity)) incident.maxSeverity = severity
}

/** M5: the highest among firing members; once none fires, the highest it ever had. A person's word is not lowered. */
export function settleSeverity(incident: IncidentState): void {
  const firing = SEVERITIES.find((severity) => incident.firing[severity] > 0)
  incident.severity = incident.manual ? incident.maxSeverity : (firing ?? incident.maxSeverity)
}
