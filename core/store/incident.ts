import { type Insertable, type Selectable, sql } from 'kysely'
import type { IncidentState } from '../matcher/state.ts'
import type { IncidentStatus, Severity } from '../types.ts'
import { textOf, valueIn } from './known-json.ts'
import type { IncidentTable } from './schema.ts'
import { all, allForEach, isAnyOf, isSameBut, only, statement, type Work } from './statement.ts'

const byIds = statement<{ ids: string[] }, Selectable<IncidentTable>>((db, p) =>
  db
    .selectFrom('incident')
    .selectAll()
    .where(isAnyOf('incident.id', p.list('ids'))),
)

export function* incidentsByIds(ids: string[]): Work<IncidentState[]> {
  return ids.length === 0 ? [] : (yield* all(byIds, { ids })).map(incidentState)
}

const currentByKeys = statement<{ projectIds: string[]; keys: string[] }, Selectable<IncidentTable>>(
  (db, p, kind) =>
    db
      .selectFrom('incident')
      .selectAll()
      .where(isAnyOf('project_id', p.list('projectIds')))
      .where(isAnyOf('group_key', p.list('keys')))
      // Bound, it makes SQLite plan anew each time, for its partial index; PostgreSQL would read all of that by a literal.
      .where('accepts_new', '=', kind === 'sqlite' ? sql.lit(1) : 1),
)

/** The current incidents under these keys, in any of these projects. */
export function* currentIncidents(projectIds: string[], keys: string[]): Work<IncidentState[]> {
  return keys.length === 0 ? [] : (yield* all(currentByKeys, { projectIds, keys })).map(incidentState)
}

const someCurrent = statement<{ projectId: string; drill: number }, Selectable<IncidentTable>>((db, p) =>
  db
    .selectFrom('incident')
    .selectAll()
    .where('project_id', '=', p('projectId'))
    .where('accepts_new', '=', sql.lit(1))
    .where('drill', '=', p('drill'))
    .limit(sql.lit(100)),
)

/** Current incidents whatever their key, to see whether there is exactly one (R3). */
export function* anyCurrentIncidents(
  asked: readonly { projectId: string; drill: boolean }[],
): Work<IncidentState[]> {
  const params = asked.map(({ projectId, drill }) => ({ projectId, drill: Number(drill) }))
  return (yield* allForEach(someCurrent, params)).flat().map(incidentState)
}

const dueQuery = statement<{ now: string }, { id: string; project_id: string }>((db, p) =>
  db
    .selectFrom('incident')
    .select(['id', 'project_id'])
    .where('resolve_due_at', '<=', p('now'))
    .where(({ exists, selectFrom }) =>
      exists(selectFrom('project').select('project.id').whereRef('project.id', '=', 'incident.project_id')),
    )
    // Not by project: that would tempt SQLite to walk all incidents.
    .orderBy('resolve_due_at')
    .limit(sql.lit(100)),
)

/** Incidents whose resolveGrace has ended, of projects that are not gone. */
export function* dueIncidents(now: string): Work<{ id: string; project_id: string }[]> {
  return yield* all(dueQuery, { now })
}

/** Besides its place: what every event changes, and what many do. */
const COUNTED = [
  'event_count',
  'last_event_at',
  'last_recovered_at',
  'updated_at',
  'chunk',
  'occurrence_chunk',
] as const

/**
 * What has changed of an incident: no column of an index, since SQLite rewrites each index an update names, and of most
 * incidents the few counters that every event moves, since binding dozens of columns costs more than the update.
 */
export function incidentUpdate(
  incident: IncidentState,
  chunks: ChunksOfIncident,
): Partial<Insertable<IncidentTable>> {
  const row = incidentRow(incident, chunks)
  const loaded = loadedRows.get(incident)
  if (loaded && isSameBut(COUNTED, loaded, row)) return only(['id', ...COUNTED], row)
  const {
    project_id: _project,
    number: _number,
    group_key: _key,
    accepts_new: _accepts,
    resolve_due_at: _due,
    ...rest
  } = row
  return rest
}

/** The columns of indexes that change at a transition. */
export function incidentPlace(incident: IncidentState): Partial<Insertable<IncidentTable>> {
  return {
    id: incident.id,
    accepts_new: incident.acceptsNew ? 1 : null,
    resolve_due_at: incident.resolveDueAt,
  }
}

/** Whether its place in the indexes is another than when it was loaded. */
export function hasMoved(incident: IncidentState): boolean {
  const loaded = loadedRows.get(incident)
  return (
    loaded === undefined ||
    (loaded.accepts_new === 1) !== incident.acceptsNew ||
    loaded.resolve_due_at !== incident.resolveDueAt
  )
}

const loadedRows = new WeakMap<IncidentState, Selectable<IncidentTable>>()

/** The chunks an incident and its occurrences are noted in last (incident-chunk.ts). */
export type ChunksOfIncident = Pick<Selectable<IncidentTable>, 'chunk' | 'occurrence_chunk'>

const FIRST_CHUNKS: ChunksOfIncident = { chunk: 0, occurrence_chunk: 0 }

/** As it was loaded; a new one is noted in chunk 0, by the database. */
export function loadedChunks(incident: IncidentState): ChunksOfIncident {
  return loadedRows.get(incident) ?? FIRST_CHUNKS
}

export function incidentRow(incident: IncidentState, chunks: ChunksOfIncident): Insertable<IncidentTable> {
  return {
    id: incident.id,
    project_id: incident.projectId,
    number: incident.number,
    group_key: incident.groupKey,
    accepts_new: incident.acceptsNew ? 1 : null,
    status: incident.status,
    title: incident.title,
    severity: incident.severity,
    max_severity: incident.maxSeverity,
    source_severity: incident.sourceSeverity,
    drill: Number(incident.drill),
    manual: Number(incident.manual),
    customer_impact: Number(incident.customerImpact),
    services: textOf(incident.services),
    labels: textOf(incident.labels),
    metadata: textOf(incident.metadata),
    url: incident.url,
    started_at: incident.startedAt,
    detected_at: incident.detectedAt,
    opened_at: incident.openedAt,
    acknowledged_at: incident.acknowledgedAt,
    acknowledged_after_ms: incident.acknowledgedAfterMs,
    resolved_at: incident.resolvedAt,
    resolved_by: incident.resolvedBy,
    stretch_started_at: incident.stretchStartedAt,
    last_recovered_at: incident.lastRecoveredAt,
    duration_ms: incident.durationMs,
    resolve_due_at: incident.resolveDueAt,
    signal_count: incident.signalCount,
    firing_critical: incident.firing.critical,
    firing_high: incident.firing.high,
    firing_medium: incident.firing.medium,
    firing_low: incident.firing.low,
    firing_info: incident.firing.info,
    event_count: incident.eventCount,
    reopen_count: incident.reopenCount,
    sequence: incident.sequence,
    last_event_at: incident.lastEventAt,
    updated_at: incident.updatedAt,
    chunk: chunks.chunk,
    occurrence_chunk: chunks.occurrence_chunk,
  }
}

export function incidentState(row: Selectable<IncidentTable>): IncidentState {
  const incident: IncidentState = {
    id: row.id,
    projectId: row.project_id,
    number: row.number,
    groupKey: row.group_key,
    acceptsNew: row.accepts_new === 1,
    status: row.status as IncidentStatus,
    title: row.title,
    severity: row.severity as Severity,
    maxSeverity: row.max_severity as Severity,
    sourceSeverity: row.source_severity,
    drill: row.drill === 1,
    manual: row.manual === 1,
    customerImpact: row.customer_impact === 1,
    services: valueIn<IncidentState['services']>(row.services),
    labels: valueIn<IncidentState['labels']>(row.labels),
    metadata: valueIn<IncidentState['metadata']>(row.metadata),
    url: row.url,
    startedAt: row.started_at,
    detectedAt: row.detected_at,
    openedAt: row.opened_at,
    acknowledgedAt: row.acknowledged_at,
    acknowledgedAfterMs: row.acknowledged_after_ms,
    resolvedAt: row.resolved_at,
    resolvedBy: row.resolved_by as IncidentState['resolvedBy'],
    stretchStartedAt: row.stretch_started_at,
    lastRecoveredAt: row.last_recovered_at,
    durationMs: row.duration_ms,
    resolveDueAt: row.resolve_due_at,
    signalCount: row.signal_count,
    firing: {
      critical: row.firing_critical,
      high: row.firing_high,
      medium: row.firing_medium,
      low: row.firing_low,
      info: row.firing_info,
    },
    eventCount: row.event_count,
    reopenCount: row.reopen_count,
    sequence: row.sequence,
    lastEventAt: row.last_event_at,
    updatedAt: row.updated_at,
  }
  loadedRows.set(incident, row)
  return incident
}
