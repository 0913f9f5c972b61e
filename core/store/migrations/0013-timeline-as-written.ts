import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { isSqlite } from './is-sqlite.ts'

/** What is written anew within a few seconds. Nothing is answered meanwhile, and a stop is not heard. */
const MOST_ENTRIES = 300_000

/**
 * SQLite keeps timelines in the order they are written. In one tree ordered by incident nearly every entry went into a
 * full page, and what is full is spread over its neighbours: two pages an entry, of the five an event took. A table with
 * very many entries stays that tree until 0015, which differs in speed only.
 */
export const timelineAsWritten: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    const sqlite = isSqlite(db)
    // PostgreSQL keeps every table so.
    if (!sqlite) return
    const beyond = await sql`select 1 from timeline_entry limit 1 offset ${sql.lit(MOST_ENTRIES)}`.execute(db)
    if (beyond.rows.length > 0) return

    await db.schema
      .createTable('timeline_entry_as_written')
      .addColumn('id', 'text', (c) => c.notNull())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('incident_id', 'text', (c) => c.notNull())
      .addColumn('at', 'text', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('sequence', 'integer')
      .addColumn('actor', 'text', (c) => c.notNull())
      .addColumn('text', 'text', (c) => c.notNull())
      .addColumn('request_id', 'text')
      .addColumn('event_ids', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('timeline_entry_pk', ['incident_id', 'id'])
      .execute()
    const columns = sql`id, project_id, incident_id, at, kind, sequence, actor, text, request_id, event_ids`
    await sql`insert into timeline_entry_as_written (${columns}) select ${columns} from timeline_entry`.execute(
      db,
    )
    await sql`drop table timeline_entry`.execute(db)
    await sql`alter table timeline_entry_as_written rename to timeline_entry`.execute(db)
    await sql`create unique index timeline_sequence on timeline_entry (incident_id, sequence) where sequence is not null`.execute(
      db,
    )
  },
}
