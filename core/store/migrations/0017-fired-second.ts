import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { isSqlite } from './is-sqlite.ts'

/**
 * On SQLite occurrences of a signal that fires again and again are found by the second they fired in, and by a table of
 * the seconds in which each signal has some (signal-second.ts). What is there already, and what programs of before go on
 * to write, has no second and stays in the index by signal and time. On PostgreSQL that index holds everything, and no
 * second is stored; the table and the column are there so that both databases have the same.
 */
export const firedSecond: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    const sqlite = isSqlite(db)
    await db.schema
      .createTable('signal_second')
      .addColumn('signal_id', 'text', (c) => c.notNull())
      .addColumn('second', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('signal_second_pk', ['signal_id', 'second'])
      .modifyEnd(sqlite ? sql`without rowid` : sql``)
      .execute()
    await db.schema.alterTable('occurrence').addColumn('fired_second', 'bigint').execute()
    if (!sqlite) return

    await sql`drop index occurrence_fired`.execute(db)
    await sql`create index occurrence_fired on occurrence (signal_id, fired_at) where fired_second is null`.execute(
      db,
    )
    await sql`create index occurrence_second on occurrence (fired_second, signal_id, fired_at) where fired_second is not null`.execute(
      db,
    )
    // A program of before moves a start and leaves the second: then the time is what it is found by.
    await sql`create trigger occurrence_moved after update of fired_at on occurrence
      when old.fired_second is not null and new.fired_second is old.fired_second and new.fired_at is not old.fired_at begin
      update occurrence set fired_second = null where id = new.id;
    end`.execute(db)
    // A second goes with the last occurrence in it, whatever program deletes that; what else there is goes with the signal.
    await sql`create trigger occurrence_gone after delete on occurrence when old.fired_second is not null begin
      delete from signal_second where signal_id = old.signal_id and second = old.fired_second and not exists (
        select 1 from occurrence where fired_second = old.fired_second and signal_id = old.signal_id);
    end`.execute(db)
    await sql`create trigger signal_gone after delete on signal begin
      delete from signal_second where signal_id = old.id;
    end`.execute(db)
  },
}
