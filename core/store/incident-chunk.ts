import { type Kysely, sql } from 'kysely'
import type { Schema } from './schema.ts'
import { insertRows, type Work } from './statement.ts'

/**
 * Where the events and the timeline of an incident are. What a commit writes is whole pages, and in an index by incident
 * every incident has a place of its own: one page for each event. So the log of a project is cut into chunks, the indexes
 * begin with the chunk, and `incident_chunk` tells in which of them an incident has rows: what is written together lies
 * together then, of however many incidents it is. The database itself notes chunk 0 of each incident, in which programs
 * of before write, and the chunk of an event that came before its incident (migrations/0015-chunks.ts).
 */

/** Entries of the log in a chunk. Their rows take about ten pages of each index. */
const CHUNK = 1024

/** The chunk of what is written when the log has come to this position. */
export function chunkAt(position: number): number {
  return Math.floor(position / CHUNK)
}

/** Notes in which chunk each of these incidents has rows. */
export function* noteChunks(chunks: ReadonlyMap<string, number>): Work<number> {
  return yield* insertRows(
    'incident_chunk',
    [...chunks].map(([incident_id, chunk]) => ({ incident_id, chunk })),
    { onConflict: { do: 'ignore', columns: ['incident_id', 'chunk'] } },
  )
}

type From = Pick<Kysely<Schema>, 'selectFrom'>

// Rows of incidents, for `where c.incident_id …`. By chunk and id, they are in the order they were written in.
// The sum keeps PostgreSQL, where it knows little of the tables, from walking through the rows of all incidents in that order.

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
