import { contextText, quote } from './context-text.ts'
import type { Action, Decision, Place, Start } from './decision.ts'
import { withLabels } from './labels.ts'
import {
  acknowledgeIncident,
  addTimeline,
  endOccurrence,
  firingCount,
  incidentById,
  noneFiring,
  raiseLastRecovered,
  raiseMaxSeverity,
  refireOccurrence,
  reopenIncident,
  resolveIncident,
  settleSeverity,
  transition,
} from './lifecycle.ts'
import type { Picture } from './picture.ts'
import type {
  Actor,
  ClosedBy,
  DecidedEvent,
  IncidentState,
  MatchContext,
  MatchEvent,
  OccurrenceState,
  SignalState,
} from './state.ts'
import { later, ms } from './time.ts'

/** Carrying out decisions: what they do to signals, occurrences and incidents, on the picture alone. */

/** One request on its way through the picture: what it closed and joined so far. */
export interface RequestFold {
  requestId: string
  actor: Actor
  context: MatchContext
  /** Incidents that may have ended; by force where a recovery resolves the incident whole. */
  closing: Map<string, { force: boolean; event: DecidedEvent | null; graceMs: number }>
  joined: Map<string, DecidedEvent[]>
  /** Events of earlier requests that the incidents are told of now: recoveries that waited for their fire (R5). */
  waited: Map<string, string[]>
}

export function beginRequest(requestId: string, actor: Actor, context: MatchContext): RequestFold {
  return { requestId, actor, context, closing: new Map(), joined: new Map(), waited: new Map() }
}

/** Carries out one decision and records the event. A duplicate is only counted (D6). */
export function applyDecision(
  picture: Picture,
  fold: RequestFold,
  event: MatchEvent,
  decision: Decision,
): DecidedEvent {
  const decided: DecidedEvent = {
    ...event,
    title: titleOf(picture, event),
    id: fold.context.newId(),
    position: 0,
    outcome: decision.outcome,
    receipt: decision.receipt,
    incidentId: null,
    eventKey: decision.key,
    stretch: decision.stretch,
    late: decision.late,
  }
  if (decision.outcome === 'duplicate') {
    countRepeat(picture, decided)
    if (decision.amends) amend(picture, decided)
    return decided
  }

  decided.position = picture.nextPosition(event.projectId)
  for (const action of decision.actions) carryOut(picture, fold, decided, action)
  rememberOnSignal(picture, decided)
  if (decided.eventKey !== null) {
    const seen = picture.seenKeys.get(decided.eventKey) ?? 0
    picture.seenKeys.set(decided.eventKey, Math.max(seen, decided.stretch))
  }
  picture.events.push(decided)
  return decided
}

/** A recovery or an acknowledgement may come without a title; its key says less to a reader than its alert's. */
function titleOf(picture: Picture, { kind, title, signalKey, signalId }: MatchEvent): string {
  const isBare = (kind === 'recover' || kind === 'ack') && title === signalKey
  const signal = isBare && signalId !== null ? picture.signals.get(signalId) : undefined
  return signal?.title ?? title
}

/** Closes further occurrences of a resolved group (R2) on behalf of one event. */
export function closeUnlisted(
  picture: Picture,
  fold: RequestFold,
  event: DecidedEvent,
  unlisted: readonly { occurrence: OccurrenceState; at: string; timeInferred: boolean }[],
): void {
  for (const { occurrence, at, timeInferred } of unlisted) {
    closeOccurrence(picture, fold, event, occurrence, at, timeInferred, 'group')
    if (event.outcome === 'unmatched') {
      event.outcome = 'recovered'
      event.receipt = [...event.receipt, 'R2']
      joinIncident(picture, fold, event, incidentById(picture, occurrence.incidentId!))
    }
  }
}

/**
 * Ends the request: one context entry per incident it touched, then the resolution of incidents in which nothing
 * fires any more (R1). The event that closed the last occurrence gets the outcome `resolved`.
 */
export function endRequest(picture: Picture, fold: RequestFold): void {
  for (const [incidentId, events] of fold.joined) {
    addTimeline(picture, fold.context, incidentById(picture, incidentId), {
      kind: 'context',
      at: events[0]!.receivedAt,
      actor: fold.actor,
      text: contextText(events),
      requestId: fold.requestId,
      eventIds: [...events.map((event) => event.id), ...(fold.waited.get(incidentId) ?? [])],
    })
  }

  for (const [incidentId, { force, event, graceMs }] of fold.closing) {
    const incident = incidentById(picture, incidentId)
    if (incident.status === 'resolved' || firingCount(incident) > 0) continue
    if (incident.manual) continue
    if (graceMs > 0 && !force) {
      incident.resolveDueAt = new Date(Date.parse(fold.context.now) + graceMs).toISOString()
      picture.touchIncident(incident)
      continue
    }
    resolveIncident(picture, fold.context, incident, {
      at: incident.lastRecoveredAt ?? fold.context.now,
      loggedAt: event?.receivedAt ?? fold.context.now,
      by: 'auto',
      actor: fold.actor,
      text: 'Resolved: nothing fires any more.',
      requestId: fold.requestId,
      eventIds: event ? [event.id] : [],
    })
    if (event?.outcome === 'recovered') event.outcome = 'resolved'
  }
}

// ---- actions ----

function carryOut(picture: Picture, fold: RequestFold, event: DecidedEvent, action: Action): void {
  switch (action.do) {
    case 'fire':
      fire(picture, fold, event, action)
      return
    case 'insert-closed':
      insertClosed(picture, fold, event, action)
      return
    case 'refresh':
      refresh(picture, fold, event, action.occurrence, action.start)
      return
    case 'close':
      closeOccurrence(picture, fold, event, action.occurrence, action.at, action.timeInferred, action.by)
      return
    case 'amend-recovery': {
      const { occurrence } = action
      occurrence.recoveredAt = action.at
      occurrence.recoveredTimeInferred = action.timeInferred
      occurrence.closedBy = action.by
      picture.touchOccurrence(occurrence)
      if (action.by !== 'recover') return
      occurrence.recoveredReceivedAt = event.receivedAt
      const incident = incidentById(picture, occurrence.incidentId!)
      if (incident.status !== 'resolved') raiseLastRecovered(incident, action.at)
      picture.touchIncident(incident)
      return
    }
    case 'withdraw-recovery':
      withdraw(picture, fold, event, action.occurrence, action.stretch, action.place)
      return
    case 'note-sender-recovery':
      if (action.occurrence.senderRecoveredAt !== null) return
      action.occurrence.senderRecoveredAt = event.at
      action.occurrence.recoveredReceivedAt = event.receivedAt
      picture.touchOccurrence(action.occurrence)
      return
    case 'keep-orphan':
      keepOrphan(picture, event, action.episode)
      return
    case 'acknowledge':
      acknowledgeIncident(picture, fold.context, action.incident, {
        at: event.timeInferred ? event.receivedAt : event.at,
        loggedAt: event.receivedAt,
        actor: fold.actor,
        text: `Acknowledged in ${event.sourceName}.`,
        requestId: fold.requestId,
        eventIds: [event.id],
      })
      return
    case 'close-incident':
      closeWhole(picture, fold, event, action.incident)
      return
    case 'stop-accepting':
      picture.setAcceptsNew(action.incident, false)
      return
    case 'join':
      joinIncident(picture, fold, event, action.incident)
      return
  }
}

function fire(
  picture: Picture,
  fold: RequestFold,
  event: DecidedEvent,
  action: Extract<Action, { do: 'fire' }>,
): void {
  const incident = enter(picture, fold, event, action.place, action.firedAt)
  const signal = signalFor(picture, event)
  const isNewMember = !isMember(picture, signal, incident)
  if (event.episode === null) signal.counter = action.stretch
  signal.incidentId = incident.id

  picture.insertOccurrence({
    ...newOccurrence(event, fold.context.newId(), action.episode, action.stretch),
    incidentId: incident.id,
    firedAt: action.firedAt,
    orderAt: action.orderAt,
    firedTimeInferred: action.timeInferred,
    firedReceivedAt: event.receivedAt,
    explicitReopen: action.explicitReopen,
  })
  incident.firing[event.severity] += 1
  incident.resolveDueAt = null
  takeIn(incident, event, isNewMember)
  reachBack(incident, action.firedAt)
  settleSeverity(incident)
  joinIncident(picture, fold, event, incident)
}

function insertClosed(
  picture: Picture,
  fold: RequestFold,
  event: DecidedEvent,
  action: Extract<Action, { do: 'insert-closed' }>,
): void {
  const incident = enter(picture, fold, event, action.place, action.firedAt)
  const signal = signalFor(picture, event)
  const isNewMember = !isMember(picture, signal, incident)
  if (event.episode === null) signal.counter = Math.max(signal.counter, action.stretch)
  // What comes next sticks to it (M1) where it is the newest, or where it brought the signal into an open incident.
  if (action.isNewest || (action.orphan && action.place.in === 'attached')) signal.incidentId = incident.id

  const closed = {
    incidentId: incident.id,
    episode: action.episode,
    stretch: action.stretch,
    firedAt: action.firedAt,
    orderAt: action.orderAt,
    firedTimeInferred: event.timeInferred,
    firedReceivedAt: event.receivedAt,
    recoveredAt: action.recoveredAt,
    recoveredTimeInferred: action.recoveredTimeInferred,
    // Known from now on, so stragglers are counted from now on (T2).
    recoveredReceivedAt: event.receivedAt,
    closedBy: action.closedBy,
    severity: event.severity,
    late: true,
  }
  if (action.orphan) {
    Object.assign(action.orphan, closed)
    picture.touchOccurrence(action.orphan)
    picture.usedOrphans.push({ eventId: action.orphan.id, incidentId: incident.id })
    fold.waited.set(incident.id, [...(fold.waited.get(incident.id) ?? []), action.orphan.id])
    incident.eventCount += 1
  } else {
    picture.insertOccurrence({
      ...newOccurrence(event, fold.context.newId(), action.episode, action.stretch),
      ...closed,
    })
  }

  takeIn(incident, event, isNewMember)
  reachBack(incident, action.firedAt)
  if (incident.status !== 'resolved') raiseLastRecovered(incident, action.recoveredAt)
  if (action.place.in === 'new') mayClose(fold, incident, event, true)
  settleSeverity(incident)
  joinIncident(picture, fold, event, incident)
}

function refresh(
  picture: Picture,
  fold: RequestFold,
  event: DecidedEvent,
  occurrence: OccurrenceState,
  start: Start | null,
): void {
  const incident = incidentById(picture, occurrence.incidentId!)
  if (occurrence.severity !== event.severity) {
    incident.firing[occurrence.severity] -= 1
    incident.firing[event.severity] += 1
    occurrence.severity = event.severity
    picture.touchOccurrence(occurrence)
  }
  if (start !== null) {
    Object.assign(occurrence, start)
    reachBack(incident, start.firedAt)
    picture.touchOccurrence(occurrence)
  }
  const senderGroup = event.senderGroup ?? occurrence.senderGroup
  if (occurrence.senderGroup !== senderGroup || occurrence.titleHash !== event.titleHash) {
    occurrence.senderGroup = senderGroup
    occurrence.titleHash = event.titleHash
    picture.touchOccurrence(occurrence)
  }
  takeIn(incident, event, false)
  settleSeverity(incident)
  joinIncident(picture, fold, event, incident)
}

function closeOccurrence(
  picture: Picture,
  fold: RequestFold,
  event: DecidedEvent,
  occurrence: OccurrenceState,
  at: string,
  timeInferred: boolean,
  by: ClosedBy,
): void {
  endOccurrence(picture, occurrence, at, timeInferred, by, event.receivedAt)
  mayClose(fold, incidentById(picture, occurrence.incidentId!), event, false)
}

function withdraw(
  picture: Picture,
  fold: RequestFold,
  event: DecidedEvent,
  occurrence: OccurrenceState,
  stretch: number,
  place: Place,
): void {
  const incident = enter(picture, fold, event, place, event.firedAt)
  occurrence.stretch = stretch
  refireOccurrence(picture, occurrence)
  joinIncident(picture, fold, event, incident)
}

function keepOrphan(picture: Picture, event: DecidedEvent, episode: string): void {
  signalFor(picture, event)
  picture.insertOccurrence({
    ...newOccurrence(event, event.id, episode, 0),
    recoveredAt: event.at,
    recoveredTimeInferred: event.timeInferred,
    recoveredReceivedAt: event.receivedAt,
  })
}

function closeWhole(picture: Picture, fold: RequestFold, event: DecidedEvent, incident: IncidentState): void {
  for (const occurrence of picture.firingOf(incident.id)) {
    const at = later(event.at, occurrence.firedAt!)
    endOccurrence(picture, occurrence, at, event.timeInferred, 'incident', event.receivedAt)
  }
  mayClose(fold, incident, event, true)
  joinIncident(picture, fold, event, incident)
}

// ---- helpers ----

/** The incident a firing stretch goes into: made, joined or reopened. */
function enter(
  picture: Picture,
  fold: RequestFold,
  event: DecidedEvent,
  place: Place,
  firedAt: string,
): IncidentState {
  if (place.in === 'attached') return place.incident
  const note = {
    actor: fold.actor,
    requestId: fold.requestId,
    eventIds: [event.id],
  }
  if (place.in === 'reopened') {
    reopenIncident(picture, fold.context, place.incident, {
      ...note,
      at: event.receivedAt,
      text: `Reopened: ${quote(event.title)} fires again.`,
      // What it was open for before counts once.
      stretchStartedAt: later(firedAt, place.incident.resolvedAt!),
    })
    return place.incident
  }

  const incident: IncidentState = {
    id: fold.context.newId(),
    projectId: event.projectId,
    number: picture.nextIncidentNumber(event.projectId),
    groupKey: event.groupKey,
    acceptsNew: picture.current(event.projectId, event.groupKey) === undefined,
    status: 'open',
    title: event.title,
    severity: event.severity,
    maxSeverity: event.severity,
    sourceSeverity: event.sourceSeverity,
    drill: event.drill,
    manual: false,
    customerImpact: event.customerImpact,
    services: [],
    labels: {},
    metadata: {},
    url: event.url,
    startedAt: firedAt,
    detectedAt: event.receivedAt,
    openedAt: fold.context.now,
    acknowledgedAt: null,
    acknowledgedAfterMs: null,
    resolvedAt: null,
    resolvedBy: null,
    stretchStartedAt: firedAt,
    lastRecoveredAt: null,
    durationMs: 0,
    resolveDueAt: null,
    signalCount: 0,
    firing: noneFiring(),
    eventCount: 0,
    reopenCount: 0,
    sequence: 0,
    lastEventAt: event.receivedAt,
    updatedAt: fold.context.now,
  }
  picture.insertIncident(incident)
  transition(picture, fold.context, incident, 'opened', {
    ...note,
    at: event.receivedAt,
    text: `Opened by ${event.sourceName}: ${quote(event.title)}.`,
  })
  return incident
}

function isMember(picture: Picture, signal: SignalState, incident: IncidentState): boolean {
  if (signal.incidentId === incident.id) return true
  return picture.occurrences(signal.id).some((o) => o.incidentId === incident.id)
}

/** The incident starts with its earliest member; so does the stretch it is open for, unless that is a later one. */
function reachBack(incident: IncidentState, firedAt: string): void {
  if (firedAt < incident.startedAt) incident.startedAt = firedAt
  if (incident.reopenCount > 0 || firedAt >= incident.stretchStartedAt) return
  if (incident.status === 'resolved') incident.durationMs += ms(incident.stretchStartedAt) - ms(firedAt)
  incident.stretchStartedAt = firedAt
}

/** A member's services, labels and metadata become part of the incident (M5). */
function takeIn(incident: IncidentState, event: DecidedEvent, isNewMember: boolean): void {
  if (isNewMember) incident.signalCount += 1
  raiseMaxSeverity(incident, event.severity)
  if (event.customerImpact) incident.customerImpact = true
  const services = event.services.filter((service) => !incident.services.includes(service))
  if (services.length > 0) incident.services = [...incident.services, ...new Set(services)]
  incident.labels = withLabels(incident.labels, event.labels, isNewMember)
  const metadata = Object.entries(event.metadata).filter(([key]) => !Object.hasOwn(incident.metadata, key))
  if (metadata.length > 0) incident.metadata = { ...incident.metadata, ...Object.fromEntries(metadata) }
  incident.url ??= event.url
}

function joinIncident(
  picture: Picture,
  fold: RequestFold,
  event: DecidedEvent,
  incident: IncidentState,
): void {
  if (event.incidentId !== null) return
  event.incidentId = incident.id
  incident.eventCount += 1
  if (event.kind === 'fire' || event.kind === 'refresh' || event.kind === 'recover') {
    incident.lastEventAt = later(incident.lastEventAt, event.receivedAt)
  }
  incident.updatedAt = fold.context.now
  picture.touchIncident(incident)
  const events = fold.joined.get(incident.id)
  if (events) events.push(event)
  else fold.joined.set(incident.id, [event])
}

function mayClose(fold: RequestFold, incident: IncidentState, event: DecidedEvent, force: boolean): void {
  const before = fold.closing.get(incident.id)
  fold.closing.set(incident.id, {
    force: force || before?.force === true,
    event: event.kind === 'recover' ? event : (before?.event ?? event),
    graceMs: event.policy.resolveGraceMs,
  })
}

function signalFor(picture: Picture, event: DecidedEvent): SignalState {
  const known = picture.signals.get(event.signalId!)
  if (known) return known
  const signal: SignalState = {
    id: event.signalId!,
    projectId: event.projectId,
    sourceId: event.sourceId,
    key: event.signalKey!,
    drill: event.drill,
    title: event.title,
    titleHash: event.titleHash,
    monitor: event.monitor,
    counter: 0,
    incidentId: null,
    lastBodyHash: null,
    lastReceivedAt: event.receivedAt,
    lastEventId: null,
    newestAt: '',
  }
  picture.insertSignal(signal)
  return signal
}

function rememberOnSignal(picture: Picture, event: DecidedEvent): void {
  if (event.signalId === null) return
  // Only its signal can tell a bare title from its repetition (D5).
  const known = picture.signals.get(event.signalId)
  const signal =
    known ?? (event.eventKey === null && event.bodyHash !== '' ? signalFor(picture, event) : null)
  if (!signal) return
  signal.lastBodyHash = event.bodyHash
  signal.lastReceivedAt = event.receivedAt
  signal.lastEventId = event.id
  signal.newestAt = later(signal.newestAt, later(event.at, event.firedAt))
  if (event.kind === 'fire' || event.kind === 'refresh') {
    signal.title = event.title
    signal.titleHash = event.titleHash
    signal.monitor = event.monitor
  }
  picture.touchSignal(signal)
}

/** D3: texts and names are updated; nothing else changes. */
function amend(picture: Picture, event: DecidedEvent): void {
  picture.amended.push(event)
  const signal = event.signalId === null ? undefined : picture.signals.get(event.signalId)
  if (!signal || event.kind !== 'fire') return
  signal.title = event.title
  signal.monitor = event.monitor
  picture.touchSignal(signal)
}

function countRepeat(picture: Picture, event: DecidedEvent): void {
  const signal = event.signalId === null ? undefined : picture.signals.get(event.signalId)
  if (event.eventKey !== null) {
    picture.repeats.push({ eventKey: event.eventKey, stretch: event.stretch, at: event.receivedAt })
  } else if (signal?.lastEventId) picture.repeats.push({ eventId: signal.lastEventId, at: event.receivedAt })
}

function newOccurrence(event: DecidedEvent, id: string, episode: string, stretch: number): OccurrenceState {
  return {
    id,
    projectId: event.projectId,
    signalId: event.signalId!,
    sourceId: event.sourceId,
    incidentId: null,
    episode,
    stretch,
    firedAt: null,
    orderAt: null,
    firedTimeInferred: false,
    firedReceivedAt: null,
    recoveredAt: null,
    recoveredTimeInferred: false,
    recoveredReceivedAt: null,
    closedBy: null,
    senderRecoveredAt: null,
    severity: event.severity,
    senderGroup: event.senderGroup,
    titleHash: event.titleHash,
    anonymous: event.anonymous,
    monitorId: event.monitor.id,
    explicitReopen: false,
    late: false,
  }
}
