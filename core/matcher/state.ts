import type { EventKind, Evidence, IncidentStatus, Labels, Monitor, Outcome, Severity } from '../types.ts'

/** What the matcher knows of one signal (matching.md 1). */
export interface SignalState {
  id: string
  projectId: string
  sourceId: string
  key: string
  drill: boolean
  title: string
  titleHash: string
  monitor: Monitor
  /** Firing stretches so far, for senders that name no episodes. */
  counter: number
  /** The incident of its newest occurrence. */
  incidentId: string | null
  lastBodyHash: string | null
  lastReceivedAt: string
  lastEventId: string | null
  /** Latest time an event of it spoke of: what is later needs no look at its history. */
  newestAt: string
}

/** Who ended an occurrence; everything but `recover` and `manual` is an inference. */
export type ClosedBy = 'recover' | 'episode' | 'group' | 'incident' | 'manual'

/** One firing stretch inside an incident; without `firedAt` an orphan recovery that waits for its fire (R5). */
export interface OccurrenceState {
  id: string
  projectId: string
  signalId: string
  sourceId: string
  incidentId: string | null
  episode: string
  stretch: number
  firedAt: string | null
  /** Time to order by where it is not `firedAt` (Sentry's SDK clocks are not Sentry's). */
  orderAt: string | null
  firedTimeInferred: boolean
  firedReceivedAt: string | null
  recoveredAt: string | null
  recoveredTimeInferred: boolean
  recoveredReceivedAt: string | null
  closedBy: ClosedBy | null
  /** The sender's own recovery after a person had closed it (H2). */
  senderRecoveredAt: string | null
  severity: Severity
  senderGroup: string | null
  titleHash: string
  anonymous: boolean
  monitorId: string | null
  explicitReopen: boolean
  late: boolean
}

export interface IncidentState {
  id: string
  projectId: string
  number: number
  groupKey: string
  acceptsNew: boolean
  status: IncidentStatus
  title: string
  severity: Severity
  maxSeverity: Severity
  sourceSeverity: string | null
  drill: boolean
  manual: boolean
  customerImpact: boolean
  services: readonly string[]
  /** Values seen per label, sorted; at most 20, then the count of those left out (M5). */
  labels: Readonly<Record<string, LabelValues>>
  metadata: Readonly<Record<string, unknown>>
  url: string | null
  startedAt: string
  detectedAt: string
  openedAt: string
  acknowledgedAt: string | null
  /** Milliseconds from detection to the first acknowledgement ever; null while there is none. */
  acknowledgedAfterMs: number | null
  resolvedAt: string | null
  resolvedBy: 'auto' | 'manual' | null
  stretchStartedAt: string
  lastRecoveredAt: string | null
  durationMs: number
  resolveDueAt: string | null
  signalCount: number
  firing: Record<Severity, number>
  eventCount: number
  reopenCount: number
  sequence: number
  lastEventAt: string
  updatedAt: string
}

export interface LabelValues {
  readonly values: readonly string[]
  readonly more: number
}

/** The policy that holds for one event (matching.md M2). Windows in milliseconds. */
export interface MatchPolicy {
  /** Null: for ever. */
  attachWindowMs: number | null
  /** 0: never. */
  reopenWindowMs: number
  manualQuietMs: number
  resolveGraceMs: number
  strictExternalId: boolean
  resolveScope: 'signal' | 'incident'
}

/** An event ready to be decided: times settled, keys made, defaults applied. */
export interface MatchEvent {
  projectId: string
  sourceId: string
  sourceName: string
  requestId: string
  kind: EventKind
  test: boolean
  /** Null: joins to nothing. */
  signalId: string | null
  signalKey: string | null
  anonymous: boolean
  /** A recovery without id or with an unknown one may still find its signal (R3). */
  looseRecovery: boolean
  /** GitPulse's shape: a repeat updates what is stored (D3), a recovery may find its alert by the monitor (R4). */
  upsert: boolean
  bodyNotRead: boolean
  /** What a recovery is found by besides its id: the title (R3), or for `upsert` the monitor (R4). */
  titleHash: string
  episode: string | null
  episodeStart: string | null
  reopen: boolean
  /** Event time: the sender's where it is usable, else the arrival (N4). */
  at: string
  timeInferred: boolean
  backfilled: boolean
  /** Start of an occurrence it opens. */
  firedAt: string
  receivedAt: string
  /** The sender's time in the body, as sent, or what stands in for it (D2). */
  moment: string | null
  eventId: string | null
  bodyHash: string
  /** The incident key by the grouping that holds (M2). */
  groupKey: string
  senderGroup: string | null
  policy: MatchPolicy
  externalId: string | null
  title: string
  description: string | null
  severity: Severity
  sourceSeverity: string | null
  sourceStatus: string | null
  sourceTime: string | null
  url: string | null
  monitor: Monitor
  services: string[]
  customerImpact: boolean
  labels: Labels
  metadata: Record<string, unknown>
  drill: boolean
  evidence: Evidence | null
}

/** A decided event, as it is stored. */
export interface DecidedEvent extends MatchEvent {
  id: string
  position: number
  outcome: Outcome
  /** The rule path; the last one decided. */
  receipt: readonly string[]
  incidentId: string | null
  /** What identifies it for D2; null where D2 does not apply. */
  eventKey: string | null
  stretch: number
  late: boolean
}

export interface Actor {
  type: 'source' | 'key' | 'system'
  id: string | null
  name: string
}

export type TimelineKind =
  | 'opened'
  | 'acknowledged'
  | 'resolved'
  | 'reopened'
  | 'context'
  | 'note'
  | 'partial'

export interface NewTimelineEntry {
  id: string
  projectId: string
  incidentId: string
  at: string
  kind: TimelineKind
  sequence: number | null
  actor: Actor
  text: string
  requestId: string | null
  eventIds: string[]
}

export interface ProjectState {
  id: string
  logPosition: number
  lastIncidentNumber: number
}

/** What the fold takes from outside: ids, and the time of the decision. */
export interface MatchContext {
  newId: () => string
  /** ISO time of the decision, which is the commit's. */
  now: string
}

/** An entry of the project's ordered log that is no event: a human action, a due transition, a policy change. */
export interface LogEntry {
  projectId: string
  position: number
  at: string
  kind: 'action' | 'due' | 'policy'
  incidentId: string | null
  data: Record<string, unknown>
}
