import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { isSqlite } from './is-sqlite.ts'

/** How each source fares, hour by hour; why a request was refused; how long acknowledgements took. */
export const sources: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    const sqlite = isSqlite(db)
    // SQLite keeps such a table in one tree, in the order of its key: a commit then writes one page less.
    const inOneTree = sqlite ? sql`without rowid` : sql``

    await db.schema
      .createTable('source_hour')
      .addColumn('source_id', 'text', (c) => c.notNull())
      .addColumn('hour', 'text', (c) => c.notNull())
      .addColumn('accepted', 'integer', (c) => c.notNull())
      .addColumn('refused', 'integer', (c) => c.notNull())
      .addColumn('opened', 'integer', (c) => c.notNull())
      .addColumn('recovered', 'integer', (c) => c.notNull())
      .addColumn('streak', 'integer', (c) => c.notNull())
      .addColumn('last_at', 'text', (c) => c.notNull())
      .addColumn('last_accepted_at', 'text')
      .addPrimaryKeyConstraint('source_hour_pk', ['source_id', 'hour'])
      .modifyEnd(inOneTree)
      .execute()

    await db.schema
      .createTable('source_word')
      .addColumn('source_id', 'text', (c) => c.notNull())
      .addColumn('word', 'text', (c) => c.notNull())
      .addColumn('count', 'integer', (c) => c.notNull())
      .addColumn('last_at', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('source_word_pk', ['source_id', 'word'])
      .modifyEnd(inOneTree)
      .execute()

    await db.schema.alterTable('hook_request').addColumn('rule', 'text').execute()
    await db.schema.alterTable('hook_request').addColumn('diagnosis', 'text').execute()
    await db.schema.alterTable('incident').addColumn('acknowledged_after_ms', 'bigint').execute()
    await acknowledgeAfterwards(db)
  },
}

/** Incidents acknowledged before there was the column. */
async function acknowledgeAfterwards(db: Kysely<unknown>): Promise<void> {
  const known = db as Kysely<{
    incident: {
      id: string
      detected_at: string
      acknowledged_at: string | null
      acknowledged_after_ms: number | null
    }
  }>
  const rows = await known
    .selectFrom('incident')
    .select(['id', 'detected_at', 'acknowledged_at'])
    .where('acknowledged_at', 'is not', null)
    .execute()
  for (const row of rows) {
    await known
      .updateTable('incident')
      .set({ acknowledged_after_ms: Date.parse(row.acknowledged_at ?? '') - Date.parse(row.detected_at) })
      .where('id', '=', row.id)
      .execute()
  }
}
