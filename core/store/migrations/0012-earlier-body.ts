import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** A body that repeats most of an earlier one is kept as what differs. */
export const earlierBody: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('hook_request').addColumn('body_like', 'text').execute()
    await db.schema.alterTable('hook_request').addColumn('body_start', 'integer').execute()
    await db.schema.alterTable('hook_request').addColumn('body_end', 'integer').execute()
  },
}
