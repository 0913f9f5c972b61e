import type { Labels, Severity } from '../types.ts'
import {
  acknowledgeIncident,
  addTimeline,
  endOccurrence,
  firingCount,
  noneFiring,
  refireOccurrence,
  reopenIncident,
  resolveIncident,
  transition,
} from './lifecycle.ts'
import type { Picture } from './picture.ts'
import type { Actor, IncidentState, LogEntry, MatchContext, OccurrenceState } from './state.ts'
import { later } from './time.ts'

/** What people do to incidents (matching.md A, H): entries of the same log, on the same picture. */

/** Idempotent: acknowledging what is acknowledged or resolved changes nothing. */
export function acknowledgeByHand(
  picture: Picture,
  incident: IncidentState,
  actor: Actor,
  note: string | undefined,
  context: MatchContext,
): void {
  const changed = acknowledgeIncident(picture, context, incident, {
    ...by(actor),
    at: context.now,
    text: `Acknowledged by ${actor.name}.`,
  })
  if (changed) addLog(picture, incident, 'action', { action: 'acknowledge', actor }, context)
  if (note !== undefined) addNote(picture, incident, actor, note, context)
}

/** H1, H2: allowed with members firing, which end as `manual`. Answers how many there were. */
export function resolveByHand(
  picture: Picture,
  incident: IncidentState,
  firing: readonly OccurrenceState[],
  actor: Actor,
  note: string | undefined,
  context: MatchContext,
): number {
  const ended = incident.status === 'resolved' ? [] : firing
  for (const occurrence of ended) {
    const at = later(context.now, occurrence.firedAt!)
    endOccurrence(picture, occurrence, at, false, 'manual', context.now)
  }
  if (incident.status !== 'resolved') {
    resolveIncident(picture, context, incident, {
      ...by(actor),
      at: context.now,
      by: 'manual',
      text:
        ended.length === 0
          ? `Resolved by ${actor.name}.`
          : `Resolved by ${actor.name} while ${ended.length} ${ended.length === 1 ? 'signal' : 'signals'} still fired.`,
    })
    addLog(picture, incident, 'action', { action: 'resolve', actor }, context)
  }
  if (note !== undefined) addNote(picture, incident, actor, note, context)
  return ended.length
}

/** H4: what a person had closed and the sender has not recovered since fires again. An open incident stays as it is. */
export function reopenByHand(
  picture: Picture,
  incident: IncidentState,
  manual: readonly OccurrenceState[],
  actor: Actor,
  note: string | undefined,
  context: MatchContext,
): void {
  if (incident.status === 'resolved') {
    reopenIncident(picture, context, incident, {
      ...by(actor),
      at: context.now,
      text: `Reopened by ${actor.name}.`,
      stretchStartedAt: context.now,
    })
    for (const occurrence of manual) {
      const signal = picture.signals.get(occurrence.signalId)
      // A newer stretch of the signal in another incident says that this one has ended.
      const hasMovedOn = signal !== undefined && signal.incidentId !== incident.id
      if (occurrence.senderRecoveredAt === null && !hasMovedOn) refireOccurrence(picture, occurrence)
    }
    addLog(picture, incident, 'action', { action: 'reopen', actor }, context)
  }
  if (note !== undefined) addNote(picture, incident, actor, note, context)
}

/** Answers the id of the timeline entry. */
export function addNote(
  picture: Picture,
  incident: IncidentState,
  actor: Actor,
  text: string,
  context: MatchContext,
): string {
  addLog(picture, incident, 'action', { action: 'note', actor }, context)
  return addTimeline(picture, context, incident, { ...by(actor), kind: 'note', at: context.now, text })
}

export interface ManualIncident {
  projectId: string
  title: string
  severity: Severity
  description: string | null
  services: string[]
  labels: Labels
  drill: boolean
  /** Whether alerts of the whole project may join it (H5: only in grouping mode `project`). */
  takesAlerts: boolean
}

/** H5: an incident without signals. It resolves only by hand. */
export function openByHand(
  picture: Picture,
  input: ManualIncident,
  actor: Actor,
  context: MatchContext,
): IncidentState {
  const groupKey = input.drill ? 'drill:*' : '*'
  const incident: IncidentState = {
    id: context.newId(),
    projectId: input.projectId,
    number: picture.nextIncidentNumber(input.projectId),
    groupKey,
    acceptsNew: input.takesAlerts && picture.current(input.projectId, groupKey) === undefined,
    status: 'open',
    title: input.title,
    severity: input.severity,
    maxSeverity: input.severity,
    sourceSeverity: null,
    drill: input.drill,
    manual: true,
    customerImpact: false,
    services: input.services,
    labels: Object.fromEntries(
      Object.entries(input.labels).map(([key, value]) => [key, { values: [value], more: 0 }]),
    ),
    metadata: {},
    url: null,
    startedAt: context.now,
    detectedAt: context.now,
    openedAt: context.now,
    acknowledgedAt: null,
    acknowledgedAfterMs: null,
    resolvedAt: null,
    resolvedBy: null,
    stretchStartedAt: context.now,
    lastRecoveredAt: null,
    durationMs: 0,
    resolveDueAt: null,
    signalCount: 0,
    firing: noneFiring(),
    eventCount: 0,
    reopenCount: 0,
    sequence: 0,
    lastEventAt: context.now,
    updatedAt: context.now,
  }
  picture.insertIncident(incident)
  transition(picture, context, incident, 'opened', {
    ...by(actor),
    at: context.now,
    text: `Opened by ${actor.name}.`,
  })
  addLog(picture, incident, 'action', { action: 'open', actor }, context)
  if (input.description !== null) addNote(picture, incident, actor, input.description, context)
  return incident
}

/** The end of resolveGrace: resolves the incident if nothing fires by then. */
export function resolveWhenDue(picture: Picture, incident: IncidentState, context: MatchContext): void {
  if (incident.resolveDueAt === null || incident.resolveDueAt > context.now) return
  if (incident.status === 'resolved' || firingCount(incident) > 0) return
  addLog(picture, incident, 'due', { due: 'resolveGrace' }, context)
  resolveIncident(picture, context, incident, {
    ...by({ type: 'system', id: null, name: 'Tocsin' }),
    at: incident.lastRecoveredAt ?? context.now,
    loggedAt: context.now,
    by: 'auto',
    text: 'Resolved: nothing fires any more.',
  })
}

export function addLog(
  picture: Picture,
  subject: { projectId: string; id?: string },
  kind: LogEntry['kind'],
  data: Record<string, unknown>,
  context: MatchContext,
): void {
  picture.log.push({
    projectId: subject.projectId,
    position: picture.nextPosition(subject.projectId),
    at: context.now,
    kind,
    incidentId: subject.id ?? null,
    data,
  })
}

function by(actor: Actor): { actor: Actor; requestId: null; eventIds: string[] } {
  return { actor, requestId: null, eventIds: [] }
}
