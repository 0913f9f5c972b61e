import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Bodies apart from the messages that carry them: a message is written several times, its body never again. */
export const messageBody: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('message_body')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('body', 'text', (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('message_body_project')
      .on('message_body')
      .columns(['project_id', 'id'])
      .execute()
    await sql`insert into message_body (id, project_id, body) select id, project_id, body from message`.execute(
      db,
    )
    await sql`alter table message add column body_id text not null default ''`.execute(db)
    await sql`update message set body_id = id`.execute(db)
    await db.schema.alterTable('message').dropColumn('body').execute()

    // With the token, which SQLite would look up in the table although the index has only rows with one.
    await db.schema.dropIndex('message_leased').execute()
    await sql`create index message_leased on message (endpoint_id, due_at, lease_token) where lease_token is not null`.execute(
      db,
    )
  },
}
