import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Endpoints, and the messages to them with every attempt. */
export const delivery: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('endpoint')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('url', 'text', (c) => c.notNull())
      .addColumn('description', 'text')
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('disabled_reason', 'text')
      .addColumn('policy', 'text', (c) => c.notNull())
      .addColumn('filters', 'text', (c) => c.notNull())
      .addColumn('signature', 'text')
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('breaker', 'text', (c) => c.notNull())
      .addColumn('open_until', 'text')
      .addColumn('paused_until', 'text')
      .addColumn('failing_since', 'text')
      .addColumn('warned_at', 'text')
      .addColumn('last_success_at', 'text')
      .addColumn('last_failure_at', 'text')
      .addColumn('delivered', 'integer', (c) => c.notNull())
      .addColumn('failed', 'integer', (c) => c.notNull())
      .addColumn('attempts', 'integer', (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('endpoint_url')
      .on('endpoint')
      .columns(['project_id', 'url'])
      .unique()
      .execute()

    await db.schema
      .createTable('endpoint_secret')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('endpoint_id', 'text', (c) => c.notNull())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('sealed', 'text', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('expires_at', 'text')
      .execute()
    await db.schema
      .createIndex('endpoint_secret_endpoint')
      .on('endpoint_secret')
      .column('endpoint_id')
      .execute()

    await db.schema
      .createTable('message')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('endpoint_id', 'text', (c) => c.notNull())
      .addColumn('type', 'text', (c) => c.notNull())
      .addColumn('incident_id', 'text')
      .addColumn('sequence', 'integer')
      .addColumn('status', 'text', (c) => c.notNull())
      .addColumn('reason', 'text')
      .addColumn('body', 'text', (c) => c.notNull())
      .addColumn('gap', 'integer', (c) => c.notNull())
      .addColumn('replay', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('started_at', 'text', (c) => c.notNull())
      .addColumn('deadline_at', 'text')
      .addColumn('first_attempt_at', 'text')
      .addColumn('attempts', 'integer', (c) => c.notNull())
      .addColumn('due_at', 'text')
      .addColumn('lease_token', 'text')
      .execute()
    await db.schema.createIndex('message_endpoint').on('message').columns(['endpoint_id', 'id']).execute()
    await db.schema.createIndex('message_project').on('message').columns(['project_id', 'id']).execute()
    // What may be sent, by endpoint: a claim reads nothing else of the table.
    await sql`create index message_due on message (endpoint_id, due_at, id) where due_at is not null`.execute(
      db,
    )
    await sql`create index message_leased on message (endpoint_id, due_at) where lease_token is not null`.execute(
      db,
    )
    await sql`create index message_deadline on message (endpoint_id, deadline_at, due_at, id) where deadline_at is not null and due_at is not null`.execute(
      db,
    )
    await sql`create index message_lane on message (endpoint_id, incident_id, sequence, id) where status = 'pending'`.execute(
      db,
    )

    await db.schema
      .createTable('attempt')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('message_id', 'text', (c) => c.notNull())
      .addColumn('at', 'text', (c) => c.notNull())
      .addColumn('response_status', 'integer')
      .addColumn('duration_ms', 'integer', (c) => c.notNull())
      .addColumn('error', 'text')
      .addColumn('response_body', 'text')
      .execute()
    await db.schema.createIndex('attempt_message').on('attempt').columns(['message_id', 'id']).execute()
    await db.schema.createIndex('attempt_project').on('attempt').columns(['project_id', 'id']).execute()
  },
}
