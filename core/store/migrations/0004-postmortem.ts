import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Revisions of post-mortems. */
export const postmortem: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('postmortem')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('incident_id', 'text', (c) => c.notNull())
      .addColumn('revision', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('created_by', 'text', (c) => c.notNull())
      .addColumn('content', 'text', (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('postmortem_revision')
      .on('postmortem')
      .columns(['incident_id', 'revision'])
      .unique()
      .execute()
    await db.schema.createIndex('postmortem_project').on('postmortem').column('project_id').execute()
  },
}
