import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { isSqlite } from './is-sqlite.ts'

/**
 * Events and timelines of incidents are found by chunks of the project's log (incident-chunk.ts), so that what a commit
 * writes lies together in the indexes, however many incidents it is of. All that is there already is one chunk.
 */
export const chunks: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    const sqlite = isSqlite(db)
    // Programs of before go on meanwhile: whatever decides locks its project first.
    if (!sqlite) await sql`lock table project in exclusive mode`.execute(db)

    await db.schema
      .createTable('incident_chunk')
      .addColumn('incident_id', 'text', (c) => c.notNull())
      .addColumn('chunk', 'integer', (c) => c.notNull())
      .addPrimaryKeyConstraint('incident_chunk_pk', ['incident_id', 'chunk'])
      .modifyEnd(sqlite ? sql`without rowid` : sql``)
      .execute()
    await sql`insert into incident_chunk (incident_id, chunk) select id, 0 from incident`.execute(db)
    for (const table of ['event', 'incident']) {
      await db.schema
        .alterTable(table)
        .addColumn('chunk', 'integer', (c) => c.notNull().defaultTo(0))
        .execute()
    }
    await (sqlite ? triggersOnSqlite : triggersOnPostgres)(db)
    await sql`drop index event_incident`.execute(db)
    await sql`create index event_incident on event (chunk, incident_id, id)`.execute(db)

    if (sqlite) await timelineOnSqlite(db)
    else {
      await sql`alter table timeline_entry
        add column chunk integer not null default 0,
        drop constraint timeline_entry_pk,
        add constraint timeline_entry_pk primary key (chunk, incident_id, id)`.execute(db)
    }
  },
}

// What a program of before writes is in chunk 0, and it notes nothing. So the database notes that chunk of each incident,
// and that of a recovery that waited for its incident (R5); what it noted goes with the incident.

async function triggersOnSqlite(db: Kysely<unknown>): Promise<void> {
  await sql`create trigger incident_first_chunk after insert on incident begin
    insert or ignore into incident_chunk (incident_id, chunk) values (new.id, 0);
  end`.execute(db)
  await sql`create trigger event_found_incident after update of incident_id on event when new.incident_id is not null begin
    insert or ignore into incident_chunk (incident_id, chunk) values (new.incident_id, new.chunk);
  end`.execute(db)
  await sql`create trigger incident_gone after delete on incident begin
    delete from incident_chunk where incident_id = old.id;
  end`.execute(db)
}

async function triggersOnPostgres(db: Kysely<unknown>): Promise<void> {
  const trigger = async (name: string, when: string, on: string, run: string) => {
    await sql`create function ${sql.ref(name)}() returns trigger language plpgsql as ${sql.lit(`begin ${run}; return null; end`)}`.execute(
      db,
    )
    await sql`create trigger ${sql.ref(name)} after ${sql.raw(when)} on ${sql.table(on)}
      for each row execute function ${sql.ref(name)}()`.execute(db)
  }
  const note = 'insert into incident_chunk (incident_id, chunk) values'
  await trigger('incident_first_chunk', 'insert', 'incident', `${note} (new.id, 0) on conflict do nothing`)
  await trigger(
    'event_found_incident',
    'update of incident_id',
    'event',
    `if new.incident_id is not null then ${note} (new.incident_id, new.chunk) on conflict do nothing; end if`,
  )
  await trigger(
    'incident_gone',
    'delete',
    'incident',
    'delete from incident_chunk where incident_id = old.id',
  )
}

/** SQLite changes no primary key, so the table is written anew; what 0013 left in a tree of its own is there no more. */
async function timelineOnSqlite(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('timeline_entry_in_chunks')
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
    .addColumn('chunk', 'integer', (c) => c.notNull().defaultTo(0))
    .execute()
  const columns = sql`id, project_id, incident_id, at, kind, sequence, actor, text, request_id, event_ids`
  await sql`insert into timeline_entry_in_chunks (${columns}) select ${columns} from timeline_entry`.execute(
    db,
  )
  await sql`drop table timeline_entry`.execute(db)
  await sql`alter table timeline_entry_in_chunks rename to timeline_entry`.execute(db)
  // Made of all rows at once, sorted, an index takes a fraction of the time.
  await sql`create unique index timeline_entry_pk on timeline_entry (chunk, incident_id, id)`.execute(db)
  await sql`create unique index timeline_sequence on timeline_entry (incident_id, sequence) where sequence is not null`.execute(
    db,
  )
}
