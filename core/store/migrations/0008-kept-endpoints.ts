import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Deleted endpoints that may be had back for a while. */
export const keptEndpoints: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('endpoint').addColumn('kept_until', 'text').execute()
    await sql`create index endpoint_kept on endpoint (kept_until) where kept_until is not null`.execute(db)
  },
}
