import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { isSqlite } from './is-sqlite.ts'

/** Long text of events is kept once, and not in their bodies either. */
export const sharedText: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    const sqlite = isSqlite(db)
    await db.schema
      .createTable('shared_text')
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('hash', 'text', (c) => c.notNull())
      .addColumn('text', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('shared_text_pk', ['project_id', 'hash'])
      .modifyEnd(sqlite ? sql`without rowid` : sql``)
      .execute()
    await db.schema.alterTable('hook_request').addColumn('body_text', 'text').execute()
    await db.schema.alterTable('hook_request').addColumn('body_text_at', 'integer').execute()
  },
}
