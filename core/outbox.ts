import { sql } from 'kysely'
import { incidentBody, type Region, readRegions } from './delivery/message-body.ts'
import { newMessage } from './delivery/results.ts'
import type { RetryPolicyName } from './delivery/retry-policy.ts'
import type { Picture } from './matcher/picture.ts'
import type { DecidedEvent, IncidentState, MatchContext, NewTimelineEntry } from './matcher/state.ts'
import { incidentToApi, type LatestOccurrence } from './show-incident.ts'
import { endpointsOfProjects } from './store/endpoint.ts'
import { occurrencesOf } from './store/incident-chunk.ts'
import { insertMessages, type Lanes, RETENTION_MS, readLanes } from './store/message.ts'
import {
  laneKey,
  listensTo,
  matchesLater,
  messagesFor,
  type OutboxEndpoint,
  type Transition,
} from './store/outbox.ts'
import { all, isAnyOf, statement, together, type Work } from './store/statement.ts'
import type { Monitor } from './types.ts'

/** Turns transitions into outgoing messages, in the transaction that makes them. */

interface NotedTransition extends Transition {
  incident: IncidentState
  monitor: Monitor
  regions: Region[]
}

/** What a message says of its project, and who may be told. */
export interface OutboxProject {
  name: string
  plan: string
  /** From memory, where the transaction has confirmed it; else they are looked up. */
  endpoints?: readonly OutboxEndpoint[]
}

const NO_MONITOR: Monitor = { id: null, name: null, url: null }
const MOST_SIGNALS = 20

/** Takes note of what happens on a picture, while it happens, and stores the messages after it was saved. */
export class Outbox {
  readonly #picture: Picture
  readonly #projects: ReadonlyMap<string, OutboxProject>
  readonly #noted: NotedTransition[] = []
  #seen = 0

  constructor(picture: Picture, projects: ReadonlyMap<string, OutboxProject>) {
    this.#picture = picture
    this.#projects = projects
  }

  /** To be called after each decision: a later one of the same batch changes the incident further. */
  note(): void {
    const entries = this.#picture.timeline.slice(this.#seen)
    this.#seen = this.#picture.timeline.length
    const changes = entries.filter((entry) => entry.sequence !== null)
    for (const [index, entry] of changes.entries()) {
      const isLast = !changes.slice(index + 1).some((next) => next.incidentId === entry.incidentId)
      this.#take(entry, entry.kind as Transition['kind'], entry.sequence!, isLast)
    }

    const changed = new Set(changes.map((entry) => entry.incidentId))
    for (const entry of entries) {
      if (changed.has(entry.incidentId) || (entry.kind !== 'context' && entry.kind !== 'note')) continue
      changed.add(entry.incidentId)
      this.#take(entry, 'updated', this.#picture.incidents.get(entry.incidentId)!.sequence, true)
    }
  }

  /** Stores the messages; answers how many. The picture has been saved. */
  *save(context: MatchContext): Work<number> {
    const projects = this.#projects
    if (this.#noted.length === 0) return 0
    const endpoints = yield* endpointsFor(this.#noted, projects)
    const heard = this.#noted.filter((one) =>
      endpoints.some((e) => e.projectId === one.projectId && listensTo(one.kind, e.filters)),
    )
    if (heard.length === 0) return 0

    const incidentIds = [...new Set(heard.map((one) => one.incidentId))]
    const bySource = endpoints.some(({ filters }) => filters.sources.length > 0)
    const opened = new Set(this.#noted.filter(({ kind }) => kind === 'opened').map((one) => one.incidentId))
    const [signals, members, lanes] = yield* together(
      all(shownSignals, { ids: incidentIds, most: MOST_SIGNALS }),
      all(sourcesOfIncidents, { ids: bySource ? incidentIds : [] }),
      readLanes(
        endpoints.map((endpoint) => endpoint.id),
        incidentIds,
        incidentIds.filter((id) => !opened.has(id)),
      ),
    )
    const withSources = heard.map((one) => ({
      ...one,
      sources: members.filter((row) => row.incident_id === one.incidentId).map((row) => row.source_id),
    }))
    const bodies = new Map<string, string>()
    const silent = silentLanes(heard, endpoints, lanes, context.now)
    const rows = messagesFor(withSources, endpoints, silent).map(
      ({ endpoint, transition, type, reopened }) => {
        const key = `${type}/${transition.incidentId}/${transition.sequence}/${transition.kind}`
        let body = bodies.get(key)
        if (body === undefined) {
          body = incidentBody({
            type,
            timestamp: context.now,
            sequence: transition.sequence,
            incident: incidentToApi(transition.incident, signals),
            project: { id: transition.projectId, name: projects.get(transition.projectId)!.name },
            monitor: transition.monitor,
            regions: transition.regions,
            reopened,
          })
          bodies.set(key, body)
        }
        return newMessage({
          id: context.newId(),
          project_id: transition.projectId,
          endpoint_id: endpoint.id,
          type,
          incident_id: transition.incidentId,
          sequence: transition.sequence,
          body,
          policy: endpoint.policy as RetryPolicyName,
          now: context.now,
        })
      },
    )
    return yield* insertMessages(rows, lanes)
  }

  /** Whether anybody listens, as far as is known: most events need no copy of their incident. */
  #mayBeHeard(projectId: string, kind: Transition['kind']): boolean {
    const project = this.#projects.get(projectId)
    if (!project || project.plan === 'free') return false
    return project.endpoints?.some((endpoint) => listensTo(kind, endpoint.filters)) ?? true
  }

  #take(entry: NewTimelineEntry, kind: Transition['kind'], sequence: number, isLast: boolean): void {
    if (!this.#mayBeHeard(entry.projectId, kind)) return
    const incident = this.#picture.incidents.get(entry.incidentId)!
    const event = this.#picture.events.find(({ id }) => entry.eventIds.includes(id))
    this.#noted.push({
      projectId: entry.projectId,
      incidentId: entry.incidentId,
      kind,
      sequence,
      maxSeverity: incident.maxSeverity,
      services: incident.services,
      labels: incident.labels,
      drill: incident.drill,
      sources: [],
      incident: isLast ? copyOf(incident) : asAt(copyOf(incident), entry),
      monitor: event ? monitorOf(event, this.#picture) : NO_MONITOR,
      regions: readRegions(event?.metadata.regions),
    })
  }
}

/** That of the signal, also where a recovery does not name it. */
function monitorOf({ monitor, signalId }: DecidedEvent, picture: Picture): Monitor {
  if (monitor.id !== null || monitor.name !== null || monitor.url !== null) return monitor
  return (signalId !== null && picture.signals.get(signalId)?.monitor) || monitor
}

function copyOf(incident: IncidentState): IncidentState {
  return { ...incident, firing: { ...incident.firing } }
}

/** One decision changed the incident more than once: as it stood after this change. */
function asAt(incident: IncidentState, entry: NewTimelineEntry): IncidentState {
  switch (entry.kind) {
    case 'acknowledged':
      return { ...incident, status: 'acknowledged', acknowledgedAt: entry.at, resolvedAt: null }
    case 'resolved':
      return { ...incident, status: 'resolved', resolvedAt: entry.at }
    default:
      return { ...incident, status: 'open', acknowledgedAt: null, resolvedAt: null }
  }
}

function* endpointsFor(
  noted: readonly Transition[],
  projects: ReadonlyMap<string, OutboxProject>,
): Work<OutboxEndpoint[]> {
  const ids = [...new Set(noted.map((one) => one.projectId))]
  const known = ids.flatMap((id) => projects.get(id)?.endpoints ?? [])
  const unknown = ids.filter((id) => projects.get(id)?.endpoints === undefined)
  return unknown.length === 0 ? known : [...known, ...(yield* endpointsOfProjects(unknown))]
}

/**
 * Where nothing was sent before. Not for endpoints that came after the incident, nor once its messages may have been
 * forgotten. Ids tell their time.
 */
function silentLanes(
  noted: readonly NotedTransition[],
  endpoints: readonly OutboxEndpoint[],
  { waiting, ended }: Lanes,
  now: string,
): Set<string> {
  const remembered = new Date(Date.parse(now) - RETENTION_MS).toISOString()
  const lanes = noted
    .filter(({ kind, incident }) => kind === 'updated' && incident.openedAt > remembered)
    .flatMap(({ incidentId }) =>
      endpoints
        .filter(({ id, filters }) => id < incidentId && matchesLater(filters))
        .map(({ id }) => laneKey(id, incidentId)),
    )
  return new Set(lanes.filter((lane) => !waiting.has(lane) && !ended.has(lane)))
}

/** All of them: of the signals only some are shown. */
const sourcesOfIncidents = statement<{ ids: string[] }, { incident_id: string; source_id: string }>((db, p) =>
  occurrencesOf(db)
    .select(['c.incident_id', 'o.source_id'])
    .distinct()
    .where(isAnyOf('c.incident_id', p.list('ids')))
    .where(isAnyOf<string | null>('o.incident_id', p.list('ids'))),
)

/** The newest occurrence of each signal in these incidents, firing ones first; at most so many of each. */
const shownSignals = statement<{ ids: string[]; most: number }, LatestOccurrence>((db, p) => {
  const ranked = occurrencesOf(db)
    .selectAll('o')
    .select(
      sql<number>`row_number() over (partition by o.incident_id, o.signal_id order by o.fired_at desc, o.id desc)`.as(
        'newest',
      ),
    )
    .where(isAnyOf('c.incident_id', p.list('ids')))
    .where(isAnyOf<string | null>('o.incident_id', p.list('ids')))
  const placed = db
    .selectFrom(ranked.as('r'))
    .selectAll()
    .select(
      sql<number>`row_number() over (partition by r.incident_id order by case when r.recovered_at is null then 0 else 1 end, r.fired_at, r.signal_id)`.as(
        'place',
      ),
    )
    .where('r.newest', '=', sql.lit(1))
  return db
    .selectFrom(placed.as('l'))
    .innerJoin('signal as s', 's.id', 'l.signal_id')
    .innerJoin('source as src', 'src.id', 'l.source_id')
    .select([
      'l.id',
      'l.incident_id',
      'l.signal_id',
      's.key',
      's.title',
      's.monitor_id',
      's.monitor_name',
      's.monitor_url',
      'l.source_id',
      'src.adapter',
      'src.name as source_name',
      'l.fired_at',
      'l.recovered_at',
      'l.closed_by',
    ])
    .where('l.place', '<=', p('most'))
    .orderBy('l.incident_id')
    .orderBy('l.place')
    .$narrowType<{ incident_id: string; fired_at: string }>()
})
