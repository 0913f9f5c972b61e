import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { isSqlite } from './is-sqlite.ts'

/**
 * Occurrences of incidents are found by chunks as well (incident-chunk.ts), by those in which the incident has some: most
 * chunks of one that lasts hold repeats only. All that is there already is one chunk.
 */
export const occurrenceChunks: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    const sqlite = isSqlite(db)
    // Programs of before go on meanwhile: whatever decides locks its project first. The others it changes as well, before
    // anything is done: where one is read, all of this begins again.
    if (!sqlite) {
      await sql`lock table project in exclusive mode`.execute(db)
      await sql`lock table incident, occurrence in access exclusive mode`.execute(db)
    }

    await db.schema
      .createTable('occurrence_chunk')
      .addColumn('incident_id', 'text', (c) => c.notNull())
      .addColumn('chunk', 'integer', (c) => c.notNull())
      .addPrimaryKeyConstraint('occurrence_chunk_pk', ['incident_id', 'chunk'])
      .modifyEnd(sqlite ? sql`without rowid` : sql``)
      .execute()
    await sql`insert into occurrence_chunk (incident_id, chunk) select id, 0 from incident`.execute(db)
    await db.schema
      .alterTable('occurrence')
      .addColumn('chunk', 'integer', (c) => c.notNull().defaultTo(0))
      .execute()
    await db.schema
      .alterTable('incident')
      .addColumn('occurrence_chunk', 'integer', (c) => c.notNull().defaultTo(0))
      .execute()
    await (sqlite ? triggersOnSqlite : triggersOnPostgres)(db)
    await sql`drop index occurrence_incident`.execute(db)
    // PostgreSQL writes no whole pages at each commit. By incident first, a few looks are enough for any plan it makes.
    const columns = sqlite ? sql`chunk, incident_id` : sql`incident_id, chunk`
    await sql`create index occurrence_incident on occurrence (${columns})`.execute(db)
  },
}

// What a program of before writes is in chunk 0, and it notes nothing. So the database notes that chunk, and that of a
// recovery that waited for its incident (R5); what it noted goes with the incident.

async function triggersOnSqlite(db: Kysely<unknown>): Promise<void> {
  // Not `or ignore` as in 0015: the `or` of the statement that fires a trigger holds for what the trigger does.
  await sql`drop trigger incident_first_chunk`.execute(db)
  await sql`create trigger incident_first_chunk after insert on incident begin
    insert into incident_chunk (incident_id, chunk) values (new.id, 0) on conflict do nothing;
    insert into occurrence_chunk (incident_id, chunk) values (new.id, 0) on conflict do nothing;
  end`.execute(db)
  await sql`create trigger occurrence_found_incident after update of incident_id on occurrence
    when new.incident_id is not null and new.incident_id is not old.incident_id begin
    insert into occurrence_chunk (incident_id, chunk) values (new.incident_id, new.chunk) on conflict do nothing;
  end`.execute(db)
  await sql`create trigger incident_gone_of_occurrences after delete on incident begin
    delete from occurrence_chunk where incident_id = old.id;
  end`.execute(db)
}

async function triggersOnPostgres(db: Kysely<unknown>): Promise<void> {
  const trigger = async (name: string, when: string, run: string) => {
    await sql`create function ${sql.ref(name)}() returns trigger language plpgsql as ${sql.lit(`begin ${run}; return null; end`)}`.execute(
      db,
    )
    await sql`create trigger ${sql.ref(name)} after ${sql.raw(when)} execute function ${sql.ref(name)}()`.execute(
      db,
    )
  }
  const note =
    'insert into occurrence_chunk (incident_id, chunk) values (new.incident_id, new.chunk) on conflict do nothing'
  await trigger(
    'incident_first_occurrence_chunk',
    'insert on incident for each row',
    'insert into occurrence_chunk (incident_id, chunk) values (new.id, 0) on conflict do nothing',
  )
  await trigger(
    'occurrence_found_incident',
    `update of incident_id on occurrence for each row
       when (new.incident_id is not null and new.incident_id is distinct from old.incident_id)`,
    note,
  )
  await trigger(
    'incident_gone_of_occurrences',
    'delete on incident for each row',
    'delete from occurrence_chunk where incident_id = old.id',
  )
}
