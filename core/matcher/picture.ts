import type { Slot } from './limit.ts'
import type {
  DecidedEvent,
  IncidentState,
  LogEntry,
  NewTimelineEntry,
  OccurrenceState,
  ProjectState,
  SignalState,
} from './state.ts'

/**
 * What the store knows of everything a batch touches, in memory. Decisions are made on it one by one and change it;
 * what changed is written at the end. Loaded whole, it is also the state of the fold over the log.
 */
export class Picture {
  readonly projects = new Map<string, ProjectState>()
  readonly signals = new Map<string, SignalState>()
  readonly incidents = new Map<string, IncidentState>()
  readonly occurrencesBySignal = new Map<string, OccurrenceState[]>()
  /** Last stretch number seen per event key (D2). */
  readonly seenKeys = new Map<string, number>()
  /** Last fingerprint per sender's group (D4). */
  readonly groups = new Map<string, { fingerprint: string; partial: boolean }>()
  /** Arrival of accepted requests by delivery key (D1). */
  readonly deliveries = new Map<string, string>()
  /** Slots taken in the last hour, oldest first, of projects whose plan counts (L). */
  readonly slots = new Map<string, readonly Slot[]>()

  readonly changed = {
    projects: new Set<ProjectState>(),
    signals: new Set<SignalState>(),
    occurrences: new Set<OccurrenceState>(),
    incidents: new Set<IncidentState>(),
    groups: new Set<string>(),
  }
  readonly newSignals = new Set<SignalState>()
  readonly newOccurrences = new Set<OccurrenceState>()
  readonly newIncidents = new Set<IncidentState>()
  readonly events: DecidedEvent[] = []
  readonly timeline: NewTimelineEntry[] = []
  /** Repeats to count on the event they repeat (D6). */
  readonly repeats: ({ eventKey: string; stretch: number; at: string } | { eventId: string; at: string })[] =
    []
  /** Repeats that update the event they repeat (D3). */
  readonly amended: DecidedEvent[] = []
  /** Events of waiting recoveries that have found their fire (R5): the orphan's id is its event's. */
  readonly usedOrphans: { eventId: string; incidentId: string }[] = []
  /** Entries of the log that are no events. */
  readonly log: LogEntry[] = []

  readonly #current = new Map<string, IncidentState>()
  readonly #firingByIncident = new Map<string, Set<OccurrenceState>>()
  readonly #occurrenceIds = new Set<string>()

  addProject(project: ProjectState): void {
    this.projects.set(project.id, project)
  }

  addSignal(signal: SignalState): void {
    this.signals.set(signal.id, signal)
  }

  /** Takes a loaded incident in; one that is there already stays as it is, changes included. */
  addIncident(incident: IncidentState): void {
    if (this.incidents.has(incident.id)) return
    this.incidents.set(incident.id, incident)
    if (incident.acceptsNew) this.#current.set(currentKey(incident), incident)
  }

  addOccurrence(occurrence: OccurrenceState): void {
    if (this.#occurrenceIds.has(occurrence.id)) return
    this.#occurrenceIds.add(occurrence.id)
    const list = this.occurrencesBySignal.get(occurrence.signalId)
    if (list) list.push(occurrence)
    else this.occurrencesBySignal.set(occurrence.signalId, [occurrence])
    this.#index(occurrence)
  }

  occurrences(signalId: string): readonly OccurrenceState[] {
    return this.occurrencesBySignal.get(signalId) ?? []
  }

  /** The incident that takes new alerts under this key. */
  current(projectId: string, groupKey: string): IncidentState | undefined {
    return this.#current.get(`${projectId}/${groupKey}`)
  }

  /** All current incidents of a project that are loaded. */
  *currentOf(projectId: string): Generator<IncidentState> {
    for (const incident of this.#current.values()) if (incident.projectId === projectId) yield incident
  }

  firingOf(incidentId: string): readonly OccurrenceState[] {
    return [...(this.#firingByIncident.get(incidentId) ?? [])]
  }

  /** Every firing occurrence loaded. */
  *firing(): Generator<OccurrenceState> {
    for (const set of this.#firingByIncident.values()) yield* set
  }

  insertSignal(signal: SignalState): void {
    this.addSignal(signal)
    this.newSignals.add(signal)
  }

  insertIncident(incident: IncidentState): void {
    this.addIncident(incident)
    this.newIncidents.add(incident)
  }

  insertOccurrence(occurrence: OccurrenceState): void {
    this.addOccurrence(occurrence)
    this.newOccurrences.add(occurrence)
  }

  touchSignal(signal: SignalState): void {
    if (!this.newSignals.has(signal)) this.changed.signals.add(signal)
  }

  touchIncident(incident: IncidentState): void {
    if (!this.newIncidents.has(incident)) this.changed.incidents.add(incident)
  }

  touchOccurrence(occurrence: OccurrenceState): void {
    this.#index(occurrence)
    if (!this.newOccurrences.has(occurrence)) this.changed.occurrences.add(occurrence)
  }

  /** Whether new alerts of its key join this incident; at most one per key does. */
  setAcceptsNew(incident: IncidentState, accepts: boolean): void {
    const key = currentKey(incident)
    if (accepts) this.#current.set(key, incident)
    else if (this.#current.get(key) === incident) this.#current.delete(key)
    incident.acceptsNew = accepts
    this.touchIncident(incident)
  }

  setGroup(key: string, group: { fingerprint: string; partial: boolean }): void {
    this.groups.set(key, group)
    this.changed.groups.add(key)
  }

  nextPosition(projectId: string): number {
    const project = this.project(projectId)
    project.logPosition += 1
    this.changed.projects.add(project)
    return project.logPosition
  }

  nextIncidentNumber(projectId: string): number {
    const project = this.project(projectId)
    project.lastIncidentNumber += 1
    this.changed.projects.add(project)
    return project.lastIncidentNumber
  }

  project(projectId: string): ProjectState {
    const project = this.projects.get(projectId)
    if (!project) throw new Error(`project ${projectId} is not in the picture`)
    return project
  }

  #index(occurrence: OccurrenceState): void {
    if (occurrence.incidentId === null) return
    const set = this.#firingByIncident.get(occurrence.incidentId)
    const fires = occurrence.firedAt !== null && occurrence.recoveredAt === null
    if (fires) {
      if (set) set.add(occurrence)
      else this.#firingByIncident.set(occurrence.incidentId, new Set([occurrence]))
    } else set?.delete(occurrence)
  }
}

function currentKey(incident: IncidentState): string {
  return `${incident.projectId}/${incident.groupKey}`
}
