import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** A signal knows the text it said last, which is not offered to the store again. */
export const textHash: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('signal').addColumn('text_hash', 'text').execute()
  },
}
