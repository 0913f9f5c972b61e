import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { isSqlite } from './is-sqlite.ts'

/** Every table of the first release. */
export const first: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    const sqlite = isSqlite(db)
    const bytes = sqlite ? sql`blob` : sql`bytea`
    // SQLite keeps such a table in one tree, in the order of its key: a commit then writes one page less.
    const inOneTree = sqlite ? sql`without rowid` : sql``

    await db.schema
      .createTable('project')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('plan', 'text', (c) => c.notNull())
      .addColumn('policy', 'text', (c) => c.notNull())
      .addColumn('ingestion_enabled', 'integer', (c) => c.notNull())
      .addColumn('config_version', 'integer', (c) => c.notNull())
      .addColumn('log_position', 'bigint', (c) => c.notNull())
      .addColumn('last_incident_number', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .execute()

    await db.schema
      .createTable('source')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('adapter', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('address', 'text', (c) => c.notNull())
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('settings', 'text', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('deleted_at', 'text')
      .execute()
    await db.schema.createIndex('source_project').on('source').columns(['project_id', 'id']).execute()

    await db.schema
      .createTable('source_credential')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('source_id', 'text', (c) => c.notNull())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('lookup_hash', 'text')
      .addColumn('sealed', 'text', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('expires_at', 'text')
      .execute()
    await db.schema
      .createIndex('source_credential_lookup')
      .on('source_credential')
      .column('lookup_hash')
      .execute()
    await db.schema
      .createIndex('source_credential_source')
      .on('source_credential')
      .columns(['source_id', 'id'])
      .execute()
    await db.schema
      .createIndex('source_credential_project')
      .on('source_credential')
      .column('project_id')
      .execute()

    await db.schema
      .createTable('api_key')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text')
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('hash', 'text', (c) => c.notNull().unique())
      .addColumn('scopes', 'text', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('expires_at', 'text')
      .execute()

    await db.schema
      .createTable('hook_request')
      .addColumn('id', 'text', (c) => c.notNull())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('source_id', 'text')
      .addColumn('received_at', 'text', (c) => c.notNull())
      .addColumn('method', 'text', (c) => c.notNull())
      .addColumn('path', 'text', (c) => c.notNull())
      .addColumn('ip', 'text')
      .addColumn('headers', 'text', (c) => c.notNull())
      .addColumn('status', 'integer', (c) => c.notNull())
      .addColumn('outcome', 'text', (c) => c.notNull())
      .addColumn('reason', 'text')
      .addColumn('message', 'text')
      .addColumn('delivery_key', 'text')
      .addColumn('incident_id', 'text')
      .addColumn('slot_at', 'text')
      .addColumn('slot_kind', 'integer')
      .addColumn('drill', 'integer', (c) => c.notNull())
      .addColumn('event_ids', 'text', (c) => c.notNull())
      .addColumn('body_size', 'integer', (c) => c.notNull())
      .addColumn('body', bytes)
      .addPrimaryKeyConstraint('hook_request_pk', ['project_id', 'id'])
      .execute()
    await sql`create index hook_request_delivery on hook_request (source_id, delivery_key) where delivery_key is not null`.execute(
      db,
    )
    await sql`create index hook_request_slot on hook_request (project_id, slot_at) where slot_at is not null`.execute(
      db,
    )
    await sql`create index hook_request_refused on hook_request (source_id, id) where outcome = 'rejected'`.execute(
      db,
    )

    await db.schema
      .createTable('event')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('position', 'bigint', (c) => c.notNull())
      .addColumn('request_id', 'text', (c) => c.notNull())
      .addColumn('source_id', 'text', (c) => c.notNull())
      .addColumn('signal_id', 'text')
      .addColumn('incident_id', 'text')
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('outcome', 'text', (c) => c.notNull())
      .addColumn('receipt', 'text', (c) => c.notNull())
      .addColumn('title', 'text', (c) => c.notNull())
      .addColumn('description', 'text')
      .addColumn('severity', 'text', (c) => c.notNull())
      .addColumn('source_severity', 'text')
      .addColumn('source_status', 'text')
      .addColumn('event_time', 'text', (c) => c.notNull())
      .addColumn('source_time', 'text')
      .addColumn('received_at', 'text', (c) => c.notNull())
      .addColumn('external_id', 'text')
      .addColumn('event_key', 'text')
      .addColumn('stretch', 'integer', (c) => c.notNull())
      .addColumn('url', 'text')
      .addColumn('data', 'text', (c) => c.notNull())
      .addColumn('duplicate_count', 'integer', (c) => c.notNull())
      .addColumn('last_seen_at', 'text', (c) => c.notNull())
      .execute()
    await sql`create unique index event_key on event (event_key, stretch) where event_key is not null`.execute(
      db,
    )
    await sql`create index event_incident on event (incident_id, id) where incident_id is not null`.execute(
      db,
    )

    await db.schema
      .createTable('signal')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('source_id', 'text', (c) => c.notNull())
      .addColumn('key', 'text', (c) => c.notNull())
      .addColumn('drill', 'integer', (c) => c.notNull())
      .addColumn('title', 'text', (c) => c.notNull())
      .addColumn('title_hash', 'text', (c) => c.notNull())
      .addColumn('monitor_id', 'text')
      .addColumn('monitor_name', 'text')
      .addColumn('monitor_url', 'text')
      .addColumn('counter', 'integer', (c) => c.notNull())
      .addColumn('incident_id', 'text')
      .addColumn('last_body_hash', 'text')
      .addColumn('last_received_at', 'text', (c) => c.notNull())
      .addColumn('last_event_id', 'text')
      .addColumn('newest_at', 'text', (c) => c.notNull())
      .execute()

    await db.schema
      .createTable('occurrence')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('signal_id', 'text', (c) => c.notNull())
      .addColumn('source_id', 'text', (c) => c.notNull())
      .addColumn('incident_id', 'text')
      .addColumn('episode', 'text', (c) => c.notNull())
      .addColumn('stretch', 'integer', (c) => c.notNull())
      .addColumn('fired_at', 'text')
      .addColumn('order_at', 'text')
      .addColumn('fired_time_inferred', 'integer', (c) => c.notNull())
      .addColumn('fired_received_at', 'text')
      .addColumn('recovered_at', 'text')
      .addColumn('recovered_time_inferred', 'integer', (c) => c.notNull())
      .addColumn('recovered_received_at', 'text')
      .addColumn('closed_by', 'text')
      .addColumn('sender_recovered_at', 'text')
      .addColumn('severity', 'text', (c) => c.notNull())
      .addColumn('sender_group', 'text')
      .addColumn('title_hash', 'text')
      .addColumn('anonymous', 'integer', (c) => c.notNull())
      .addColumn('monitor_id', 'text')
      .addColumn('explicit_reopen', 'integer', (c) => c.notNull())
      .addColumn('late', 'integer', (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('occurrence_fired')
      .on('occurrence')
      .columns(['signal_id', 'fired_at'])
      .execute()
    await db.schema
      .createIndex('occurrence_episode')
      .on('occurrence')
      .columns(['signal_id', 'episode'])
      .execute()
    await db.schema
      .createIndex('occurrence_incident')
      .on('occurrence')
      .columns(['incident_id', 'recovered_at'])
      .execute()
    await sql`create index occurrence_firing on occurrence (signal_id) where recovered_at is null`.execute(db)
    await sql`create index occurrence_orphan on occurrence (signal_id) where fired_at is null`.execute(db)
    await sql`create index occurrence_firing_group on occurrence (source_id, sender_group) where recovered_at is null and sender_group is not null`.execute(
      db,
    )
    await sql`create index occurrence_firing_title on occurrence (source_id, title_hash) where recovered_at is null and title_hash is not null`.execute(
      db,
    )

    await db.schema
      .createTable('incident')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('number', 'integer', (c) => c.notNull())
      .addColumn('group_key', 'text', (c) => c.notNull())
      .addColumn('accepts_new', 'integer')
      .addColumn('status', 'text', (c) => c.notNull())
      .addColumn('title', 'text', (c) => c.notNull())
      .addColumn('severity', 'text', (c) => c.notNull())
      .addColumn('max_severity', 'text', (c) => c.notNull())
      .addColumn('source_severity', 'text')
      .addColumn('drill', 'integer', (c) => c.notNull())
      .addColumn('manual', 'integer', (c) => c.notNull())
      .addColumn('customer_impact', 'integer', (c) => c.notNull())
      .addColumn('services', 'text', (c) => c.notNull())
      .addColumn('labels', 'text', (c) => c.notNull())
      .addColumn('metadata', 'text', (c) => c.notNull())
      .addColumn('url', 'text')
      .addColumn('started_at', 'text', (c) => c.notNull())
      .addColumn('detected_at', 'text', (c) => c.notNull())
      .addColumn('opened_at', 'text', (c) => c.notNull())
      .addColumn('acknowledged_at', 'text')
      .addColumn('resolved_at', 'text')
      .addColumn('resolved_by', 'text')
      .addColumn('stretch_started_at', 'text', (c) => c.notNull())
      .addColumn('last_recovered_at', 'text')
      .addColumn('duration_ms', 'bigint', (c) => c.notNull())
      .addColumn('resolve_due_at', 'text')
      .addColumn('signal_count', 'integer', (c) => c.notNull())
      .addColumn('firing_critical', 'integer', (c) => c.notNull())
      .addColumn('firing_high', 'integer', (c) => c.notNull())
      .addColumn('firing_medium', 'integer', (c) => c.notNull())
      .addColumn('firing_low', 'integer', (c) => c.notNull())
      .addColumn('firing_info', 'integer', (c) => c.notNull())
      .addColumn('event_count', 'integer', (c) => c.notNull())
      .addColumn('reopen_count', 'integer', (c) => c.notNull())
      .addColumn('sequence', 'integer', (c) => c.notNull())
      .addColumn('last_event_at', 'text', (c) => c.notNull())
      .addColumn('updated_at', 'text', (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('incident_current')
      .on('incident')
      .columns(['project_id', 'group_key', 'accepts_new'])
      .unique()
      .execute()
    await db.schema
      .createIndex('incident_number')
      .on('incident')
      .columns(['project_id', 'number'])
      .unique()
      .execute()
    await sql`create index incident_accepting on incident (project_id) where accepts_new = 1`.execute(db)
    await sql`create index incident_due on incident (resolve_due_at) where resolve_due_at is not null`.execute(
      db,
    )

    await db.schema
      .createTable('timeline_entry')
      .addColumn('id', 'text', (c) => c.notNull())
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('incident_id', 'text', (c) => c.notNull())
      .addColumn('at', 'text', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('sequence', 'integer')
      .addColumn('actor', 'text', (c) => c.notNull())
      .addColumn('text', 'text', (c) => c.notNull())
      .addColumn('request_id', 'text')
      .addColumn('event_ids', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('timeline_entry_pk', ['incident_id', 'id'])
      .modifyEnd(inOneTree)
      .execute()
    await sql`create unique index timeline_sequence on timeline_entry (incident_id, sequence) where sequence is not null`.execute(
      db,
    )

    await db.schema
      .createTable('log_entry')
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('position', 'bigint', (c) => c.notNull())
      .addColumn('at', 'text', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('incident_id', 'text')
      .addColumn('data', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('log_entry_pk', ['project_id', 'position'])
      .modifyEnd(inOneTree)
      .execute()

    await db.schema
      .createTable('sender_group')
      .addColumn('source_id', 'text', (c) => c.notNull())
      .addColumn('group_key', 'text', (c) => c.notNull())
      .addColumn('fingerprint', 'text', (c) => c.notNull())
      .addColumn('partial', 'integer', (c) => c.notNull())
      .addPrimaryKeyConstraint('sender_group_pk', ['source_id', 'group_key'])
      .modifyEnd(inOneTree)
      .execute()

    await db.schema
      .createTable('idempotency')
      .addColumn('key', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text')
      .addColumn('request_hash', 'text', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('answer', 'text')
      .execute()
    await db.schema.createIndex('idempotency_created').on('idempotency').column('created_at').execute()

    await db.schema
      .createTable('setting')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('value', 'text', (c) => c.notNull())
      .execute()
  },
}
