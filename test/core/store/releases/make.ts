import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { ApiEndpoint } from '@tocsin/core'
import Sqlite from 'better-sqlite3'
import { migrate } from '../../../../core/store/migrate.ts'
import { migrations } from '../../../../core/store/migrations/index.ts'
import { openDatabase } from '../../../../core/store/open-database.ts'
import { scratchDir } from '../../../support/scratch.ts'
import { send, startTocsin } from '../../../support/tocsin-process.ts'
import { until } from '../../../support/until.ts'
import { SECRET_KEY } from './secret-key.ts'

// Writes, for every schema that has no file here yet, the tables as its migrations make them, and once the rows of a
// small life. What is there stays as it is: a released schema never changes.
// npm run schemas

const here = import.meta.dirname

const names = Object.keys(migrations).toSorted()
for (const [index, name] of names.entries()) {
  const file = join(here, `${name}.sql`)
  if (!existsSync(file)) writeFileSync(file, await tablesOf(names.slice(0, index + 1)))
}
const rows = join(here, 'rows.json')
if (!existsSync(rows)) writeFileSync(rows, `${JSON.stringify(await rowsOfALife(), null, 1)}\n`)

/** The statements that make a SQLite database as these migrations leave it, names of the migrations included. */
async function tablesOf(applied: readonly string[]): Promise<string> {
  const dir = await scratchDir()
  try {
    const path = join(dir.path, 'tocsin.db')
    const database = await openDatabase(`sqlite:${path}`)
    await migrate(database, Object.fromEntries(applied.map((name) => [name, migrations[name]!])))
    await database.close()
    const db = new Sqlite(path)
    const made = db
      .prepare<[], string>("select sql from sqlite_schema where sql is not null and name not like 'sqlite_%'")
      .pluck()
      .all()
    db.close()
    const marks = applied.map(
      (name) => `insert into kysely_migration values ('${name}', '2026-11-01T10:00:00.000Z');`,
    )
    const lock = "insert into kysely_migration_lock values ('migration_lock', 0);"
    return `${[...made.map((statement) => `${statement};`), ...marks, lock].join('\n')}\n`
  } finally {
    dir.remove()
  }
}

/** Rows of every table, by table, after a little of everything was done; bytes as `{"base64": …}`. */
async function rowsOfALife(): Promise<Record<string, unknown[]>> {
  const server = createServer((_req, res) => void res.writeHead(204).end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const tocsin = await startTocsin({ env: { TOCSIN_SECRET_KEY: SECRET_KEY } })
  try {
    const project = `/projects/${tocsin.projectId}`
    const generic = await tocsin.createSource({ adapter: 'generic' })
    const grouped = await tocsin.createSource({ adapter: 'alertmanager' })
    const { endpoint } = await tocsin.api<{ endpoint: ApiEndpoint }>('POST', `${project}/endpoints`, {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    })
    await fetch(`${tocsin.address}/api/v1${project}/keys`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${tocsin.adminKey}`,
        'Content-Type': 'application/json',
        'Idempotency-Key': 'once',
      },
      body: JSON.stringify({ name: 'Reader', scopes: ['incidents:read'] }),
    })
    await tocsin.api('POST', `${project}/sources`, { adapter: 'grafana', reveal: true })
    await fetch(`${tocsin.address}/mcp`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${tocsin.adminKey}`,
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'list_incidents', arguments: { status: 'all' } },
      }),
    })

    const alert = (status: string, name: string) => ({
      status,
      labels: { alertname: name, severity: 'critical' },
      annotations: { summary: `${name}: grün` },
      startsAt: '2026-11-01T10:00:00Z',
      endsAt: status === 'resolved' ? '2026-11-01T10:20:00Z' : '0001-01-01T00:00:00Z',
      fingerprint: name,
    })
    await send(grouped, {
      version: '4',
      groupKey: '{}:{alertname="A"}',
      status: 'firing',
      alerts: [alert('firing', 'Latency'), alert('firing', 'Errors')],
    })
    const { body } = await send(generic, { id: 'checkout', title: 'Checkout is down', severity: 'high' })
    await send(generic, { id: 'checkout', title: 'Checkout is down', severity: 'high' })
    await send(generic, { id: 'checkout', action: 'odd word', title: 'Checkout is down' })
    await send({ ...generic, secret: 'not the secret of this source' }, { title: 'Stranger' })
    const incident = `${project}/incidents/${body.incident!.id}`
    await tocsin.api('POST', `${incident}/acknowledge`, { note: 'Looking.' })
    await tocsin.api('POST', `${incident}/notes`, { text: 'Rolled back.' })
    await send(generic, { id: 'checkout', action: 'resolve' })
    await tocsin.api('POST', `${incident}/resolve`)
    await tocsin.api('POST', `${incident}/postmortem`, {})
    await until('all messages are sent', async () => {
      const { endpoint: now } = await tocsin.api<{ endpoint: ApiEndpoint }>(
        'GET',
        `${project}/endpoints/${endpoint.id}`,
      )
      return now.counters.delivered >= 3
    })
    await tocsin.stop()
    return readRows(join(tocsin.dataDir, 'tocsin.db'))
  } finally {
    await tocsin.dispose()
    server.close()
    server.closeAllConnections()
  }
}

function readRows(path: string): Record<string, unknown[]> {
  const db = new Sqlite(path, { readonly: true })
  const tables = db
    .prepare<[], string>(
      "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' and name not like 'kysely_%' order by name",
    )
    .pluck()
    .all()
  const rows = Object.fromEntries(
    tables.map((table) => {
      const found = db.prepare<[], Record<string, unknown>>(`select * from "${table}"`).all()
      if (found.length === 0) throw new Error(`The life left nothing in ${table}: do something that does.`)
      return [table, found.map(withoutBytes)]
    }),
  )
  db.close()
  return rows
}

function withoutBytes(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [
      column,
      Buffer.isBuffer(value) ? { base64: value.toString('base64') } : value,
    ]),
  )
}
