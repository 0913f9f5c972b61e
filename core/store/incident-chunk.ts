import { expressionBuilder, type Kysely, sql } from 'kysely'
import type { Schema } from './schema.ts'
import { insertRows, type Work } from './statement.ts'

/**
 * Where the events, the occurrences and the timeline of an incident are. What a commit writes is whole pages, and in an
 * index by incident every incident has a place of its own: one page for each event. So the log of a project is cut into
 * chunks, the indexes begin with the chunk, and `incident_chunk` tells in which of them an incident has rows,
 * `occurrence_chunk` in which it has occurrences: what is written together lies together then, of however many incidents
 * it is. On PostgreSQL, whose commits write no page twice between two checkpoints, the index of occurrences begins with the incident. The database
 * itself notes chunk 0, in which programs of before write, and the chunk of what came before its incident
 * (migrations/0015-chunks.ts, 0016-occurrence-chunks.ts).
 */

/** Entries of the log in a chunk. Their rows take about ten pages of each index. */
const CHUNK = 1024

/** The chunk of what is written when the log has come to this position. */
export function chunkAt(position: number): number {
  return Math.floor(position / CHUNK)
}

/** Notes in which chunk each of these incidents has rows, or occurrences. */
export function* noteChunks(
  table: 'incident_chunk' | 'occurrence_chunk',
  chunks: ReadonlyMap<string, number>,
): Work<number> {
  return yield* insertRows(
    table,
    [...chunks].map(([incident_id, chunk]) => ({ incident_id, chunk })),
    { onConflict: { do: 'ignore', columns: ['incident_id', 'chunk'] } },
  )
}

type From = Pick<Kysely<Schema>, 'selectFrom'>

// Rows of incidents, for `where c.incident_id …`. By chunk and id, events and entries are in the order they were written in;
// the sum keeps PostgreSQL, where it knows little of the tables, from walking through those of all incidents in that order.

export function eventsOf(db: From) {
  return db
    .selectFrom('incident_chunk as c')
    .innerJoin('event as e', (join) =>
      join.on('e.chunk', '=', sql<number>`c.chunk + 0`).onRef('e.incident_id', '=', 'c.incident_id'),
    )
}

export function entriesOf(db: From) {
  return db
    .selectFrom('incident_chunk as c')
    .innerJoin('timeline_entry as t', (join) =>
      join.on('t.chunk', '=', sql<number>`c.chunk + 0`).onRef('t.incident_id', '=', 'c.incident_id'),
    )
}

/** Of several incidents `o.incident_id` is asked for as well: in a join PostgreSQL takes a list for one side only. */
export function occurrencesOf(db: From) {
  return db
    .selectFrom('occurrence_chunk as c')
    .innerJoin('occurrence as o', (join) =>
      join.onRef('o.chunk', '=', 'c.chunk').onRef('o.incident_id', '=', 'c.incident_id'),
    )
}

/** Occurrences of that row of `incident` which the query around this one is at. */
export function itsOccurrences() {
  return occurrencesOf(expressionBuilder<Schema, never>()).where(
    'c.incident_id',
    '=',
    sql.ref<string>('incident.id'),
  )
}
