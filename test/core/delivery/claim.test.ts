import Sqlite from 'better-sqlite3'
import { sql } from 'kysely'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { CLOSED_BREAKER } from '../../../core/delivery/retry-policy.ts'
import {
  claimMessages,
  dueEndpoints,
  dueMessages,
  lastCalls,
  leasedCounts,
} from '../../../core/store/claim.ts'
import { endedLanes } from '../../../core/store/message.ts'
import { migrate } from '../../../core/store/migrate.ts'
import { migrations } from '../../../core/store/migrations/index.ts'
import { type Dialect, openDatabase } from '../../../core/store/open-database.ts'
import { dialectSqlite } from '../../../core/store/sqlite.ts'
import { insertRows, type Statement } from '../../../core/store/statement.ts'
import { databaseKinds, freshDatabase } from '../../support/databases.ts'

const NOW = '2026-11-21T08:00:00.000Z'
const ENDPOINTS = 1_000
const MESSAGES = 100_000

/** A thousand endpoints with a hundred thousand messages waiting, nine of ten blocked or due later. */
async function openBacklog(kind: (typeof databaseKinds)[number]) {
  const fresh = await freshDatabase(kind)
  onTestFinished(() => fresh.dispose())
  const database = await openDatabase(fresh.url)
  onTestFinished(() => database.close())
  await migrate(database, migrations)

  const endpointId = (i: number) => `endpoint-${String(i).padStart(4, '0')}`
  await database.transaction(() =>
    insertRows(
      'endpoint',
      Array.from({ length: ENDPOINTS }, (_, i) => ({
        id: endpointId(i),
        project_id: 'project',
        url: `https://example.com/${i}`,
        description: null,
        enabled: 1,
        disabled_reason: null,
        policy: 'standard-3d',
        filters: '{}',
        signature: null,
        created_at: NOW,
        breaker: JSON.stringify(CLOSED_BREAKER),
        open_until: i % 10 === 0 ? '2026-11-21T08:05:00.000Z' : null,
        paused_until: null,
        failing_since: null,
        warned_at: null,
        last_success_at: null,
        last_failure_at: null,
        delivered: 0,
        failed: 0,
        attempts: 0,
      })),
    ),
  )
  const body = '{"type":"incident.opened"}'
  await database.transaction(() => insertRows('message_body', [{ id: 'body', project_id: 'project', body }]))
  for (let from = 0; from < MESSAGES; from += 20_000) {
    await database.transaction(() =>
      insertRows(
        'message',
        Array.from({ length: 20_000 }, (_, index) => {
          const i = from + index
          const due = i % 10 === 0 ? NOW : i % 3 === 0 ? null : '2026-11-21T09:00:00.000Z'
          return {
            id: `message-${String(i).padStart(6, '0')}`,
            project_id: 'project',
            endpoint_id: endpointId(Math.floor(i / 100)),
            type: 'incident.opened',
            incident_id: `incident-${i}`,
            sequence: 1,
            status: 'pending',
            reason: null,
            body_id: 'body',
            gap: 0,
            replay: 0,
            created_at: NOW,
            started_at: NOW,
            deadline_at: i % 20 === 0 ? NOW : null,
            first_attempt_at: null,
            attempts: 0,
            due_at: due,
            lease_token: null,
          }
        }),
      ),
    )
  }
  return { url: fresh.url, database }
}

describe.each(databaseKinds)('claiming from a backlog on %s', (kind) => {
  test('serves every endpoint in turn', async () => {
    const { database } = await openBacklog(kind)
    const claim = (after: string, token: string) =>
      database.transaction(() =>
        claimMessages({
          now: NOW,
          until: '2026-11-21T08:01:00.000Z',
          token,
          free: 50,
          perEndpoint: 5,
          after,
          lastCallUntil: '2026-11-21T07:59:45.000Z',
        }),
      )
    if (kind === 'postgres') await sql`analyze`.execute(database.read).catch(() => {})

    const served = new Set<string>()
    let after = ''
    for (let turn = 0; turn < 20; turn++) {
      const { claimed, after: next } = await claim(after, `token-${turn}`)
      after = next
      expect(claimed).toHaveLength(50)
      for (const message of claimed) served.add(message.endpoint_id)
    }
    // 100 endpoints are left in peace, but for last attempts that may wait no longer.
    expect(served.size).toBeGreaterThanOrEqual(900)
  })

  test('finds the one that is well behind hundreds of slow ones', async () => {
    const { database } = await openBacklog(kind)
    const well = 'endpoint-0997'
    const claim = async (left: number) => {
      const { claimed } = await database.transaction(() => {
        const slow = { left }
        return claimMessages({
          now: NOW,
          until: '2026-11-21T08:01:00.000Z',
          token: `token-${left}`,
          free: 20,
          perEndpoint: 5,
          after: well,
          lastCallUntil: '2026-11-21T07:59:45.000Z',
          standingOf: ({ id }) =>
            id === well
              ? { rooms: [], slowSince: null }
              : { rooms: [slow], slowSince: 2_000 - Number(id.slice(-4)) },
        })
      })
      return claimed.map((message) => message.endpoint_id)
    }
    expect(await claim(0)).toEqual(Array(5).fill(well))
    // The slow one that has waited longest stands at the very end.
    expect(await claim(1)).toEqual(['endpoint-0999'])
  })
})

test('what a claim asks SQLite reads indexes only', async () => {
  const { url, database } = await openBacklog('sqlite')
  const db = new Sqlite(url.slice('sqlite:'.length))
  onTestFinished(() => {
    db.close()
  })
  const plan = (statement: Statement, params: object) => {
    const compiled = statement.compile(database.read, dialectSqlite)
    const rows = db.prepare(`explain query plan ${compiled.sql}`).all(...compiled.bind(params)) as {
      detail: string
    }[]
    return rows.map(({ detail }) => detail).filter((detail) => /\bmessage\b/.test(detail))
  }
  const ids = ['endpoint-0001']
  const params = { now: NOW, endpoint: ids[0], ids, after: '', limit: 5, endpoints: ids, incidents: ids }
  for (const [name, statement, index] of [
    ['endpoints', dueEndpoints, 'message_(due|deadline)'],
    ['messages', dueMessages, 'message_due'],
    ['last calls', lastCalls, 'message_deadline'],
    ['leases', leasedCounts, 'message_leased'],
    ['lanes', endedLanes, 'message_ended'],
  ] as const) {
    const lines = plan(statement, params)
    expect(lines.length, name).toBeGreaterThan(0)
    for (const line of lines)
      expect(line, name).toMatch(
        new RegExp(`SEARCH message( EXISTS)? USING COVERING INDEX ${index} \\(endpoint_id`),
      )
  }
})

// Where there is no PostgreSQL, test/support/postgres-server.ts has said why.
test.runIf(databaseKinds.includes('postgres'))('what a claim asks PostgreSQL scans no table', async () => {
  const { url, database } = await openBacklog('postgres')
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  onTestFinished(() => client.end())
  await client.query('vacuum analyze message')
  await client.query('vacuum analyze endpoint')
  const dialect: Dialect = {
    kind: 'postgres',
    isAnyOf: (column) => sql<boolean>`${column} is not null`,
    listValue: () => '',
  }
  const params = { now: NOW, endpoint: 'endpoint-0001', after: '', limit: 5 }
  for (const statement of [dueEndpoints, dueMessages, lastCalls, endedLanes]) {
    const compiled = (statement as Statement).compile(database.read, dialect)
    const { rows } = await client.query(`explain ${compiled.sql}`, compiled.bind(params))
    const text = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(text).toMatch(/Index( Only)? Scan( Backward)? using message_(due|deadline|ended)/)
    expect(text).not.toMatch(/Seq Scan on message/)
  }
})
