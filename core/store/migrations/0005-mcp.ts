import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Credentials to be revealed once, and the calls of assistants' tools. */
export const mcp: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('secret_reveal')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('source_id', 'text', (c) => c.notNull())
      .addColumn('credential_id', 'text', (c) => c.notNull())
      .addColumn('expires_at', 'text', (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('secret_reveal_project')
      .on('secret_reveal')
      .columns(['project_id', 'expires_at'])
      .execute()

    await db.schema
      .createTable('audit')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text')
      .addColumn('at', 'text', (c) => c.notNull())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('key_name', 'text', (c) => c.notNull())
      .addColumn('tool', 'text', (c) => c.notNull())
      .addColumn('arguments', 'text', (c) => c.notNull())
      .addColumn('outcome', 'text', (c) => c.notNull())
      .addColumn('duration_ms', 'integer', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('audit_project').on('audit').columns(['project_id', 'id']).execute()
    await db.schema.createIndex('audit_at').on('audit').column('at').execute()
  },
}
