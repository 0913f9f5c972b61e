import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** What a model answered last for a draft, so that the same facts are written once. */
export const postmortemProse: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('postmortem_prose')
      .addColumn('incident_id', 'text', (c) => c.notNull())
      .addColumn('template', 'text', (c) => c.notNull())
      .addColumn('audience', 'text', (c) => c.notNull())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('fingerprint', 'text', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('written', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('postmortem_prose_pk', ['incident_id', 'template', 'audience'])
      .execute()
    await db.schema
      .createIndex('postmortem_prose_project')
      .on('postmortem_prose')
      .column('project_id')
      .execute()
  },
}
