import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Indexes that an event touches in fewer places: what a commit writes is whole pages. */
export const localIndexes: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    // Episodes are mostly called by their time, so that new ones lie together.
    await sql`drop index occurrence_episode`.execute(db)
    await sql`create index occurrence_episode on occurrence (episode, signal_id)`.execute(db)
    // An end moves nothing in the index of all, and leaves the small one of those that fire.
    await sql`drop index occurrence_incident`.execute(db)
    await sql`create index occurrence_incident on occurrence (incident_id)`.execute(db)
    await sql`create index occurrence_firing_incident on occurrence (incident_id) where recovered_at is null`.execute(
      db,
    )
  },
}
