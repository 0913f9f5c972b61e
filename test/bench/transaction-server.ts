/**
 * Reference: what most would write. The product's HTTP side and adapter, then one kysely transaction per request with
 * a row each for request, event, incident and timeline; each commit waits for the disk (synchronous=FULL).
 */
import { randomUUID } from 'node:crypto'
import Sqlite from 'better-sqlite3'
import { type Generated, Kysely, SqliteDialect, sql } from 'kysely'
import { readJsonBody } from '../../core/adapters/read-body.ts'
import { adapterBySlug } from '../../core/adapters/registry.ts'
import { TocsinError } from '../../core/errors.ts'
import { NO_SETTINGS } from '../../core/policy.ts'
import type { OpenedTocsin } from '../../core/tocsin.ts'
import { createApp, createServer } from '../../ingest/app.ts'
import { announce } from './announce.ts'

interface Tables {
  request: { id: string; received_at: string; headers: string; body: Buffer }
  event: {
    id: string
    request_id: string
    event_key: string
    incident_id: string
    title: string
    data: string
  }
  incident: { id: string; group_key: string; title: string; status: string; event_count: Generated<number> }
  timeline_entry: { id: string; incident_id: string; at: string; text: string }
}

const SECRET = randomUUID()
const alertmanager = adapterBySlug('alertmanager')!
const db = openTables(process.env.DATABASE_URL!.slice('sqlite:'.length))

const receive: OpenedTocsin['receive'] = async (request) => {
  if (!alertmanager.verify(request, SECRET, NO_SETTINGS))
    throw new TocsinError('unauthorized', 'Wrong secret.')
  const event = alertmanager.parse(readJsonBody(request.rawBody), request, NO_SETTINGS).events[0]!
  const requestId = randomUUID()

  return db.transaction().execute(async (trx) => {
    await trx
      .insertInto('request')
      .values({
        id: requestId,
        received_at: request.receivedAt,
        headers: JSON.stringify([...request.headers]),
        body: request.rawBody,
      })
      .execute()
    const incident = await trx
      .insertInto('incident')
      .values({ id: randomUUID(), group_key: event.signalKey!, title: event.title, status: 'open' })
      .onConflict((conflict) =>
        conflict.column('group_key').doUpdateSet({ event_count: sql`event_count + 1` }),
      )
      .returningAll()
      .executeTakeFirstOrThrow()
    const stored = await trx
      .insertInto('event')
      .values({
        id: randomUUID(),
        request_id: requestId,
        event_key: event.eventId!,
        incident_id: incident.id,
        title: event.title,
        data: JSON.stringify(event),
      })
      .onConflict((conflict) => conflict.column('event_key').doNothing())
      .returning('id')
      .executeTakeFirst()
    if (stored) {
      await trx
        .insertInto('timeline_entry')
        .values({ id: randomUUID(), incident_id: incident.id, at: request.receivedAt, text: event.title })
        .execute()
    }

    const outcome = stored ? 'attached' : 'duplicate'
    return {
      success: true,
      outcome,
      duplicate: !stored,
      incident: {
        id: incident.id,
        reference: 'INC-001',
        title: incident.title,
        severity: 'critical',
        status: 'open',
        url: event.url,
      },
      events: [{ outcome, rule: 'M3', incidentId: incident.id }],
      requestId,
    }
  })
}

const tocsin: OpenedTocsin = {
  receive,
  firstStart: null,
  defaultProjectId: null,
  actingAs: () => {
    throw new TocsinError('not_found', 'This server only receives.')
  },
  authenticateKey: async () => undefined,
  beginOnce: () => Promise.reject(new TocsinError('not_found', 'This server only receives.')),
  isReady: async () => true,
  close: async () => {},
}
const server = createServer(createApp({ tocsin, config: { trustProxy: [] }, log: () => {} }))
announce(server, { path: `/api/v1/webhooks/${randomUUID()}/alertmanager`, secret: SECRET })

function openTables(path: string): Kysely<Tables> {
  const file = new Sqlite(path)
  file.pragma('page_size = 8192')
  file.pragma('journal_mode = WAL')
  file.pragma('synchronous = FULL')
  file.exec(`
    create table request (id text primary key, received_at text, headers text, body blob);
    create table incident (id text primary key, group_key text unique, title text, status text,
      event_count integer not null default 1);
    create table event (id text primary key, request_id text, event_key text unique, incident_id text, title text,
      data text);
    create index event_incident on event (incident_id);
    create table timeline_entry (id text primary key, incident_id text, at text, text text);
    create index timeline_incident on timeline_entry (incident_id);
  `)
  return new Kysely<Tables>({ dialect: new SqliteDialect({ database: file }) })
}
