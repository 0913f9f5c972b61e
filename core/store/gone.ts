import { sql } from 'kysely'
import type { Schema } from './schema.ts'
import { all, isAnyOf, type Placeholders, run, statement, type Work } from './statement.ts'

/** What is left of projects and endpoints that no longer exist: their row goes first, everything else bit by bit afterwards. */

type Table = keyof Schema & string

/** Tables with an index by project, and what tells the rows of one project apart. */
const BY_PROJECT: readonly [Table, string][] = [
  ['endpoint', 'id'],
  ['source_credential', 'id'],
  ['secret_reveal', 'id'],
  ['message', 'id'],
  ['attempt', 'id'],
  ['message_body', 'id'],
  ['hook_request', 'id'],
  ['shared_text', 'hash'],
  ['log_entry', 'position'],
  ['postmortem', 'id'],
  ['postmortem_prose', 'incident_id'],
  ['audit', 'id'],
]

/** Tables found by the source. */
const BY_SOURCE: readonly [Table, string][] = [
  ['sender_group', 'group_key'],
  ['source_hour', 'hour'],
  ['source_word', 'word'],
]

/** Tables with no such index, which are walked through: every one of their projects has rows that are found. */
const WALKED: readonly [Table, string][] = [
  ['event', 'id'],
  ['occurrence', 'id'],
  // After their occurrences, with which most of their seconds go.
  ['signal', 'id'],
  ['idempotency', 'key'],
]

// ---- finding ----

/** Ids of owners that a table names but that are gone, each found by one look into the index. */
function ownersGone(table: Table, column: string, owners: Table) {
  return statement<object, { id: string }>(
    () => sql<{ id: string }>`
      with recursive owner(id) as (
        select min(${sql.ref(column)}) from ${sql.table(table)}
        union all
        select (select min(${sql.ref(column)}) from ${sql.table(table)} where ${sql.ref(column)} > owner.id)
        from owner where owner.id is not null
      )
      select id from owner
      where id is not null and not exists (select 1 from ${sql.table(owners)} as o where o.id = owner.id)`,
  )
}

export const goneProjects = [
  ...BY_PROJECT.map(([table]) => table),
  'incident' as const,
  'source' as const,
].map((table) => ownersGone(table, 'project_id', 'project'))

export const goneEndpoints = ownersGone('message', 'endpoint_id', 'endpoint')

export interface WalkedRow {
  key: string
  project_id: string | null
}

export const walks = WALKED.map(([table, key]) => ({
  /** The next rows after one, in the order of their keys. */
  next: statement<{ after: string; most: number }, WalkedRow>(
    (_db, p) => sql<WalkedRow>`
      select ${sql.ref(key)} as key, project_id from ${sql.table(table)}
      where ${sql.ref(key)} > ${p('after')} order by ${sql.ref(key)} limit ${p('most')}`,
  ),
  /** Deletes the rows of these projects between two, both included. */
  drop: statement<{ projects: string[]; first: string; last: string }, unknown>(
    (_db, p) => sql`
      delete from ${sql.table(table)}
      where ${sql.ref(key)} >= ${p('first')} and ${sql.ref(key)} <= ${p('last')}
        and ${isAnyOf('project_id', p.list('projects'))}`,
  ),
}))

// ---- deleting ----

const turn = statement<object, { name: string }>((db) =>
  db.selectFrom('setting').select('name').where('name', '=', sql.lit('key_check')).forUpdate().skipLocked(),
)

/** Deletes rows as `drop` does, unless another process is at it right now: then it answers null. */
export function* inTurn(drop: Work<number>): Work<number | null> {
  return (yield* all(turn, {})).length === 0 ? null : yield* drop
}

interface Part {
  projectId: string
  most: number
}

const dropBySource = BY_SOURCE.map(([table, key]) =>
  statement<Part, unknown>(
    (_db, p) => sql`
      delete from ${sql.table(table)} where (source_id, ${sql.ref(key)}) in (
        select source_id, ${sql.ref(key)} from ${sql.table(table)}
        where source_id in (select id from source where project_id = ${p('projectId')})
        limit ${p('most')}
      )`,
  ),
)

const dropByProject = [...BY_PROJECT, ['source', 'id'] as const].map(([table, key]) =>
  statement<Part, unknown>(
    (_db, p) => sql`
      delete from ${sql.table(table)} where project_id = ${p('projectId')} and ${sql.ref(key)} in (
        select ${sql.ref(key)} from ${sql.table(table)} where project_id = ${p('projectId')} limit ${p('most')}
      )`,
  ),
)

/** Incidents that are deleted together, after what is in their chunks. */
const INCIDENTS_AT_ONCE = sql.lit(20)
/** Chunks that are looked into, and deleted, together. */
const CHUNKS_AT_ONCE = sql.lit(200)

function someIncidents<P extends { projectId: string }>(p: Placeholders<P>) {
  return sql`
    select id from incident where project_id = ${p('projectId')} order by number limit ${INCIDENTS_AT_ONCE}`
}

const CHUNKS = ['incident_chunk', 'occurrence_chunk'] as const

function someChunks<P extends { projectId: string }>(table: (typeof CHUNKS)[number], p: Placeholders<P>) {
  return sql`
    select incident_id, chunk from ${sql.table(table)} where incident_id in (${someIncidents(p)})
    order by incident_id, chunk limit ${CHUNKS_AT_ONCE}`
}

const dropTimelines = statement<Part, unknown>(
  (_db, p) => sql`
    delete from timeline_entry where (chunk, incident_id, id) in (
      select t.chunk, t.incident_id, t.id
      from (${someChunks('incident_chunk', p)}) as c
      join timeline_entry as t on t.chunk = c.chunk and t.incident_id = c.incident_id
      limit ${p('most')}
    )`,
)

const dropChunks = CHUNKS.map((table) =>
  statement<{ projectId: string }, unknown>(
    (_db, p) => sql`delete from ${sql.table(table)} where (incident_id, chunk) in (${someChunks(table, p)})`,
  ),
)

const dropIncidents = statement<{ projectId: string }, unknown>(
  (_db, p) => sql`
    delete from incident where project_id = ${p('projectId')} and id in (${someIncidents(p)})`,
)

/** Timelines of some incidents, then what tells where these were, then the incidents: one kind each time. */
function* dropSomeOfIncidents(part: Part): Work<number> {
  for (const drop of [dropTimelines, ...dropChunks, dropIncidents]) {
    const gone = yield* run(drop, part)
    if (gone > 0) return gone
  }
  return 0
}

/**
 * Deletes rows of a project that is gone and of whom the walks have left nothing, one kind after the other, in parts:
 * each answers how many rows went, 0 once there are none. Sources come last, as others are found by them.
 */
export const parts: readonly ((part: Part) => Work<number>)[] = [
  dropSomeOfIncidents,
  ...[...dropBySource, ...dropByProject].map((drop) => (part: Part) => run(drop, part)),
]

const someAttempts = statement<{ endpointId: string; most: number }, unknown>(
  (_db, p) => sql`
    delete from attempt where message_id in (
      select id from message where endpoint_id = ${p('endpointId')} order by id limit ${p('most')}
    )`,
)

const someMessages = statement<{ endpointId: string; most: number }, unknown>(
  (_db, p) => sql`
    delete from message where id in (
      select id from message where endpoint_id = ${p('endpointId')} order by id limit ${p('most')}
    )`,
)

/** Deletes messages of an endpoint that is gone, with their log; answers how many. */
export function* dropMessages(part: { endpointId: string; most: number }): Work<number> {
  yield* run(someAttempts, part)
  return yield* run(someMessages, part)
}
