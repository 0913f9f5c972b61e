import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** How the last message of a lane ended, for the one that comes after it. */
export const lanes: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`create index message_ended on message (endpoint_id, incident_id, sequence, id, status) where status <> 'pending'`.execute(
      db,
    )
  },
}
