import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { isSqlite } from './is-sqlite.ts'

/**
 * Each alert updates its incident and its signal. PostgreSQL writes a new version of the row, which takes the place of an
 * older one and, where no column of an index changes, needs no new entries there, as long as it finds room in its page: so
 * half of each page stays free. Pages that are full already get room as their rows move on.
 */
export const roomForUpdates: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    if (isSqlite(db)) return
    await sql`alter table incident set (fillfactor = 50)`.execute(db)
    await sql`alter table signal set (fillfactor = 50)`.execute(db)
  },
}
