import { type Expression, type ExpressionBuilder, type Selectable, type SqlBool, sql } from 'kysely'
import type {
  ApiEvent,
  ApiIncident,
  ApiIncidentInput,
  ApiIncidentQuery,
  ApiPage,
  ApiSignal,
  ApiTimelineEntry,
} from '../api-types.ts'
import { TocsinError } from '../errors.ts'
import { acknowledgeByHand, addNote, openByHand, reopenByHand, resolveByHand } from '../matcher/human.ts'
import { Picture } from '../matcher/picture.ts'
import type { IncidentState, MatchContext } from '../matcher/state.ts'
import { effectivePolicy, readPolicy } from '../policy.ts'
import { numberOf } from '../reference.ts'
import { incidentToApi, type LatestOccurrence, signalToApi } from '../show-incident.ts'
import { currentIncidents, incidentState } from '../store/incident.ts'
import { entriesOf, eventsOf, itsOccurrences, occurrencesOf } from '../store/incident-chunk.ts'
import { firingOfIncidents, manualOfIncident } from '../store/occurrence.ts'
import { loadProjects } from '../store/picture.ts'
import type { IncidentTable, Schema, TimelineEntryTable } from '../store/schema.ts'
import { signalsByIds } from '../store/signal.ts'
import { all, statement, type Work } from '../store/statement.ts'
import type { Caller } from '../tocsin.ts'
import {
  actorOf,
  allow,
  type Core,
  change,
  cutChunkPage,
  cutPage,
  readChunkPage,
  readPage,
  saveDecision,
} from './core.ts'
import { eventToApi } from './events.ts'
import { projectRow } from './projects.ts'

/** Signals shown inside an incident; all of them are at /signals. */
const MOST_SIGNALS = 20

export async function listIncidents(
  core: Core,
  caller: Caller,
  projectId: string,
  filter: ApiIncidentQuery,
): Promise<{ incidents: ApiIncident[]; nextCursor: string | null; total: number }> {
  allow(caller, 'incidents:read', projectId)
  await projectRow(core, projectId)
  const { limit, after } = readPage(filter)
  const sources = filter.source && (await sourcesNamed(core, projectId, filter.source))
  const matching = (eb: ExpressionBuilder<Schema, 'incident'>) =>
    eb.and(conditions(eb, projectId, filter, sources))

  let query = core.database.read
    .selectFrom('incident')
    .selectAll()
    .where(matching)
    .orderBy('number', 'desc')
    .limit(limit + 1)
  if (after !== undefined) {
    query = query.where('number', '<', (eb) =>
      eb.selectFrom('incident as last').select('last.number').where('last.id', '=', after),
    )
  }
  const { total } = await core.database.read
    .selectFrom('incident')
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .where(matching)
    .executeTakeFirstOrThrow()
  const { page, nextCursor } = cutPage(await query.execute(), limit)
  return { incidents: await toApi(core, page.map(incidentState)), nextCursor, total: Number(total) }
}

/** What a filter asks of an incident; `sources` are ids. */
export function conditions(
  eb: ExpressionBuilder<Schema, 'incident'>,
  projectId: string,
  filter: ApiIncidentQuery,
  sources: string[] | undefined,
) {
  const list: Expression<SqlBool>[] = [eb('project_id', '=', projectId)]
  if (filter.ids) {
    const numbers = filter.ids.flatMap((id) => numberOf(id) ?? [])
    const ids = filter.ids.filter((id) => numberOf(id) === undefined)
    list.push(
      eb.or([
        eb('id', 'in', ids.length > 0 ? ids : ['']),
        eb('number', 'in', numbers.length > 0 ? numbers : [-1]),
      ]),
    )
  }
  if (filter.status) list.push(eb('status', 'in', filter.status))
  if (filter.severity) list.push(eb('severity', 'in', filter.severity))
  if (filter.drill !== undefined) list.push(eb('drill', '=', Number(filter.drill)))
  if (filter.since !== undefined) list.push(eb('opened_at', '>=', new Date(filter.since).toISOString()))
  if (filter.until !== undefined) list.push(eb('opened_at', '<=', new Date(filter.until).toISOString()))
  if (filter.service) {
    list.push(eb.or(filter.service.map(hasService)))
  }
  if (filter.q !== undefined && filter.q !== '') {
    const number = numberOf(filter.q)
    list.push(
      eb.or([
        inTitle('lower(title)', filter.q.toLowerCase()),
        // SQLite lowers ASCII letters only.
        inTitle('title', filter.q),
        ...(number === undefined ? [] : [eb('number', '=', number)]),
      ]),
    )
  }
  if (sources) {
    list.push(
      eb.exists(
        itsOccurrences()
          .select('o.id')
          .where('o.source_id', 'in', sources.length > 0 ? sources : ['']),
      ),
    )
  }
  return list
}

/** Whether a service is in the JSON list of them: names end in quotes, so none is found inside another. */
function hasService(service: string) {
  return sql<SqlBool>`replace(services, ${JSON.stringify(service)}, '') <> services`
}

function inTitle(column: 'title' | 'lower(title)', text: string) {
  const pattern = `%${text.replace(/[\\%_]/g, (special) => `\\${special}`)}%`
  return sql<SqlBool>`${sql.raw(column)} like ${pattern} escape '\\'`
}

/** Ids of sources, deleted ones too, named by id or adapter. */
export async function sourcesNamed(core: Core, projectId: string, names: string[]): Promise<string[]> {
  const rows = await core.database.read
    .selectFrom('source')
    .select('id')
    .where('project_id', '=', projectId)
    .where((eb) => eb.or([eb('id', 'in', names), eb('adapter', 'in', names)]))
    .execute()
  return rows.map((row) => row.id)
}

export async function createIncident(
  core: Core,
  caller: Caller,
  projectId: string,
  input: ApiIncidentInput,
): Promise<{ incident: ApiIncident }> {
  allow(caller, 'incidents:write', projectId)
  const incident = await change(core, function* (context) {
    const picture = new Picture()
    const projects = yield* loadProjects(picture, [projectId])
    const project = projects.get(projectId)
    if (!project) throw new TocsinError('not_found', 'project: no such project.')
    const drill = input.drill ?? false
    for (const current of yield* currentIncidents([projectId], [drill ? 'drill:*' : '*']))
      picture.addIncident(current)
    const opened = openByHand(
      picture,
      {
        projectId,
        title: input.title,
        severity: input.severity ?? 'medium',
        description: input.description ?? null,
        services: input.services ?? [],
        labels: input.labels ?? {},
        drill,
        takesAlerts: effectivePolicy(readPolicy(project.policy)).grouping === 'project',
      },
      actorOf(caller),
      context,
    )
    yield* saveDecision(core, picture, projects, context)
    return opened
  })
  return { incident: (await toApi(core, [incident]))[0]! }
}

export async function getIncident(
  core: Core,
  caller: Caller,
  projectId: string,
  incident: string,
): Promise<{ incident: ApiIncident }> {
  allow(caller, 'incidents:read', projectId)
  const row = await incidentRowOf(core, projectId, incident)
  return { incident: (await toApi(core, [incidentState(row)]))[0]! }
}

export async function listTimeline(
  core: Core,
  caller: Caller,
  projectId: string,
  incident: string,
  page: ApiPage,
): Promise<{ timeline: ApiTimelineEntry[]; nextCursor: string | null }> {
  allow(caller, 'incidents:read', projectId)
  const { id } = await incidentRowOf(core, projectId, incident)
  const { limit, after } = readChunkPage(page)
  const { read } = core.database
  const inChunk = (chunk: number) =>
    read
      .selectFrom('timeline_entry as t')
      .selectAll('t')
      .where('t.chunk', '=', chunk)
      .where('t.incident_id', '=', id)
      .orderBy('t.id')
  const later = entriesOf(read)
    .selectAll('t')
    .where('c.incident_id', '=', id)
    .where('c.chunk', '>', after?.chunk ?? 0)
    .orderBy('c.chunk')
    .orderBy('t.id')
  const here = after ? inChunk(after.chunk).where('t.id', '>', after.id) : inChunk(0)
  const rows = await rowsOf(limit + 1, [here, later])
  const cut = cutChunkPage(rows, limit)
  return { timeline: cut.page.map(entryToApi), nextCursor: cut.nextCursor }
}

export async function listIncidentEvents(
  core: Core,
  caller: Caller,
  projectId: string,
  incident: string,
  page: ApiPage,
): Promise<{ events: ApiEvent[]; nextCursor: string | null }> {
  allow(caller, 'incidents:read', projectId)
  const { id } = await incidentRowOf(core, projectId, incident)
  const { limit, after } = readChunkPage(page)
  const { read } = core.database
  const inChunk = (chunk: number) =>
    read
      .selectFrom('event as e')
      .selectAll('e')
      .where('e.chunk', '=', chunk)
      .where('e.incident_id', '=', id)
      .orderBy('e.id', 'desc')
  const chunks = eventsOf(read)
    .selectAll('e')
    .where('c.incident_id', '=', id)
    .where('c.chunk', '>', 0)
    .orderBy('c.chunk', 'desc')
    .orderBy('e.id', 'desc')
  const rows = await rowsOf(
    limit + 1,
    after === undefined
      ? [chunks, inChunk(0)]
      : [
          inChunk(after.chunk).where('e.id', '<', after.id),
          ...(after.chunk > 0 ? [chunks.where('c.chunk', '<', after.chunk), inChunk(0)] : []),
        ],
  )
  const cut = cutChunkPage(rows, limit)
  return { events: cut.page.map(eventToApi), nextCursor: cut.nextCursor }
}

/**
 * The first rows of these lists, one after the other. What is left of a chunk is a list of its own, and so is chunk 0, in
 * which an upgrade may have left any number: within one chunk an index has the order of the list.
 */
async function rowsOf<T>(
  most: number,
  parts: readonly { limit(most: number): { execute(): Promise<T[]> } }[],
): Promise<T[]> {
  const rows: T[] = []
  for (const part of parts)
    if (rows.length < most) rows.push(...(await part.limit(most - rows.length).execute()))
  return rows
}

export async function listIncidentSignals(
  core: Core,
  caller: Caller,
  projectId: string,
  incident: string,
  page: ApiPage,
): Promise<{ signals: ApiSignal[]; nextCursor: string | null }> {
  allow(caller, 'incidents:read', projectId)
  const { id } = await incidentRowOf(core, projectId, incident)
  const { limit, after } = readPage(page)
  let query = latestOccurrences(core, [id])
    .orderBy('l.joined', 'desc')
    .limit(limit + 1)
  if (after !== undefined) query = query.where('l.joined', '<', after)
  const rows = (await query.execute()) as (LatestOccurrence & { joined: string })[]
  const cut = cutPage(
    rows.map((row) => ({ ...row, id: row.joined })),
    limit,
  )
  return { signals: cut.page.map(signalToApi), nextCursor: cut.nextCursor }
}

export async function acknowledgeIncident(
  core: Core,
  caller: Caller,
  projectId: string,
  incident: string,
  { note }: { note?: string },
): Promise<{ incident: ApiIncident }> {
  const { state } = await act(core, caller, projectId, incident, function* (picture, found, context) {
    acknowledgeByHand(picture, found, actorOf(caller), note, context)
  })
  return { incident: (await toApi(core, [state]))[0]! }
}

export async function resolveIncident(
  core: Core,
  caller: Caller,
  projectId: string,
  incident: string,
  { note }: { note?: string },
): Promise<{ incident: ApiIncident; stillFiring?: number }> {
  const { state, value } = await act(core, caller, projectId, incident, function* (picture, found, context) {
    const firing = yield* firingOfIncidents([found.id])
    for (const occurrence of firing) picture.addOccurrence(occurrence)
    return resolveByHand(picture, found, firing, actorOf(caller), note, context)
  })
  return { incident: (await toApi(core, [state]))[0]!, ...(value > 0 && { stillFiring: value }) }
}

export async function reopenIncident(
  core: Core,
  caller: Caller,
  projectId: string,
  incident: string,
  { note }: { note?: string },
): Promise<{ incident: ApiIncident }> {
  const { state } = await act(core, caller, projectId, incident, function* (picture, found, context) {
    for (const current of yield* currentIncidents([projectId], [found.groupKey])) picture.addIncident(current)
    const manual = yield* manualOfIncident(found.id)
    for (const occurrence of manual) picture.addOccurrence(occurrence)
    // A signal that fires elsewhere by now stays there (H4).
    const signalIds = [...new Set(manual.map((occurrence) => occurrence.signalId))]
    for (const signal of yield* signalsByIds(signalIds)) picture.addSignal(signal)
    reopenByHand(picture, found, manual, actorOf(caller), note, context)
  })
  return { incident: (await toApi(core, [state]))[0]! }
}

const entryById = statement<{ incidentId: string; id: string }, Selectable<TimelineEntryTable>>((db, p) =>
  entriesOf(db).selectAll('t').where('c.incident_id', '=', p('incidentId')).where('t.id', '=', p('id')),
)

export async function addIncidentNote(
  core: Core,
  caller: Caller,
  projectId: string,
  incident: string,
  { text }: { text: string },
): Promise<{ entry: ApiTimelineEntry }> {
  const { state, value: id } = await act(
    core,
    caller,
    projectId,
    incident,
    function* (picture, found, context) {
      return addNote(picture, found, actorOf(caller), text, context)
    },
  )
  const [row] = await core.database.query(entryById, { incidentId: state.id, id })
  return { entry: entryToApi(row!) }
}

const incidentByIdOrNumber = statement<
  { projectId: string; id: string; number: number },
  Selectable<IncidentTable>
>((db, p) =>
  db
    .selectFrom('incident')
    // Its rows go on being there for a while when it is gone.
    .innerJoin('project', 'project.id', 'incident.project_id')
    .selectAll('incident')
    .where('incident.project_id', '=', p('projectId'))
    .where((eb) => eb.or([eb('incident.id', '=', p('id')), eb('incident.number', '=', p('number'))])),
)

/** A human action: locks the project, loads the incident, decides, saves, all in one transaction of the queue. */
async function act<T>(
  core: Core,
  caller: Caller,
  projectId: string,
  incident: string,
  decide: (picture: Picture, found: IncidentState, context: MatchContext) => Work<T>,
): Promise<{ state: IncidentState; value: T }> {
  allow(caller, 'incidents:write', projectId)
  return change(core, function* (context) {
    const picture = new Picture()
    const projects = yield* loadProjects(picture, [projectId])
    const [row] = yield* all(incidentByIdOrNumber, {
      projectId,
      id: incident,
      number: numberOf(incident) ?? -1,
    })
    if (!row) noIncident()
    const state = incidentState(row)
    picture.addIncident(state)
    const value = yield* decide(picture, state, context)
    yield* saveDecision(core, picture, projects, context)
    return { state, value }
  })
}

/** Throws `not_found`. */
export async function incidentRowOf(
  core: Core,
  projectId: string,
  incident: string,
): Promise<Selectable<IncidentTable>> {
  const [row] = await core.database.query(incidentByIdOrNumber, {
    projectId,
    id: incident,
    number: numberOf(incident) ?? -1,
  })
  return row ?? noIncident()
}

// ---- shown to people ----

/** The newest occurrence of each signal in these incidents, with its place in them, firing ones first. */
function latestOccurrences(core: Core, incidentIds: string[]) {
  const ranked = occurrencesOf(core.database.read)
    .select([
      'o.id',
      'o.incident_id',
      'o.signal_id',
      'o.source_id',
      'o.fired_at',
      'o.recovered_at',
      'o.closed_by',
      sql<number>`row_number() over (partition by o.incident_id, o.signal_id order by o.fired_at desc, o.id desc)`.as(
        'newest',
      ),
      sql<string>`min(o.id) over (partition by o.incident_id, o.signal_id)`.as('joined'),
    ])
    .where('c.incident_id', 'in', incidentIds)
    .where('o.incident_id', 'in', incidentIds)
  const latest = core.database.read
    .selectFrom(ranked.as('r'))
    .selectAll()
    .select(
      sql<number>`row_number() over (partition by r.incident_id order by case when r.recovered_at is null then 0 else 1 end, r.fired_at, r.signal_id)`.as(
        'place',
      ),
    )
    .where('r.newest', '=', 1)
  return core.database.read
    .selectFrom(latest.as('l'))
    .innerJoin('signal as s', 's.id', 'l.signal_id')
    .innerJoin('source as src', 'src.id', 'l.source_id')
    .select([
      'l.joined',
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
}

async function toApi(core: Core, incidents: IncidentState[]): Promise<ApiIncident[]> {
  if (incidents.length === 0) return []
  const rows = (await latestOccurrences(
    core,
    incidents.map((incident) => incident.id),
  )
    .where('l.place', '<=', MOST_SIGNALS)
    .orderBy('l.place')
    .execute()) as LatestOccurrence[]
  return incidents.map((incident) => incidentToApi(incident, rows))
}

function entryToApi(row: Selectable<TimelineEntryTable>): ApiTimelineEntry {
  return {
    id: row.id,
    at: row.at,
    kind: row.kind as ApiTimelineEntry['kind'],
    sequence: row.sequence,
    actor: JSON.parse(row.actor) as ApiTimelineEntry['actor'],
    text: row.text,
    requestId: row.request_id,
    eventIds: JSON.parse(row.event_ids) as string[],
  }
}

function noIncident(): never {
  throw new TocsinError(
    'not_found',
    'incident: no such incident in this project. Use its id or a reference like INC-042.',
  )
}
