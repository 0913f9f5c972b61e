import { execFileSync } from 'node:child_process'
import { hash, randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import type { ApiEndpoint, ApiEvent, ApiIncident, ApiMessage } from '@tocsin/core'
import Sqlite from 'better-sqlite3'
import pg from 'pg'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Child, commandOf, inRepository, pinnedNode, startChild } from '../support/child.ts'
import { codeBlocks } from '../support/code-blocks.ts'
import { startDumpable } from '../support/dumpable-postgres.ts'
import { printFigure } from '../support/figure.ts'
import { openReceiver } from '../support/receiver.ts'
import { scratchDir } from '../support/scratch.ts'
import { send, startTocsin } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'

/** For both ways of a gigabyte. */
const MOST_MS = 5 * 60_000

const server = await startDumpable()
afterAll(() => server?.stop())

describe.each(server ? (['sqlite', 'postgres'] as const) : (['sqlite'] as const))('backups of %s', (kind) => {
  test('what was acknowledged before the backup began is there again; nothing is sent twice', async () => {
    let status = 204
    const { url, received } = await openReceiver(() => status)
    const place = await openPlace(kind)
    const tocsin = await place.start()
    const source = await tocsin.createSource({ adapter: 'generic' })
    const project = `/projects/${tocsin.projectId}`
    const { endpoint } = await tocsin.api<{ endpoint: ApiEndpoint }>('POST', `${project}/endpoints`, { url })
    const { body } = await send(source, { id: 'first', title: 'Checkout is down' })
    await until('the opening has gone out', () => received.length === 1)
    // This one still waits when the backup is made, and goes out afterwards.
    status = 503
    await send(source, { id: 'first', action: 'acknowledge' })
    await until('the acknowledgement was tried', () => received.length === 2)

    const acknowledged: string[] = []
    let sending = true
    const load = (async () => {
      for (let i = 0; sending; i++) {
        expect((await send(source, { id: `check-${i}`, title: `Alert ${i}` })).status).toBe(200)
        acknowledged.push(`check-${i}`)
      }
    })()
    await until('it is under load', () => acknowledged.length > 20)
    const before = [...acknowledged]
    const file = join(place.dir, 'backup')
    const backup = await run('backup', [file], place.env)
    sending = false
    await load
    expect(backup).toMatchObject({ code: 0, stderr: '' })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    status = 204
    await until('the acknowledgement has gone out', () => received.length === 3)
    await tocsin.stop()

    const elsewhere = await openPlace(kind, place.env)
    expect(await run('restore', [file], elsewhere.env)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 outgoing messages waited'),
    })
    const again = await elsewhere.start()
    const incident = `${project}/incidents/${body.incident!.id}`
    expect((await again.api<{ incident: ApiIncident }>('GET', incident)).incident.reference).toBe('INC-001')
    const stored = new Set<string>()
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: { events: ApiEvent[]; nextCursor: string | null } = await again.api(
        'GET',
        `${incident}/events?limit=100${cursor && `&cursor=${cursor}`}`,
      )
      for (const event of page.events) stored.add(event.externalId!)
      cursor = page.nextCursor
    }
    expect(before.filter((id) => !stored.has(id))).toEqual([])

    // Secrets open: the same source takes the same secret, and the endpoint signs on.
    const moved = { ...source, url: source.url.replace(tocsin.address, again.address) }
    expect((await send(moved, { id: 'later', title: 'Another' })).status).toBe(200)
    await again.api('POST', `${incident}/resolve`)
    const address = `${project}/endpoints/${endpoint.id}/messages`
    const messages = await until('nothing waits any more', async () => {
      const log = await again.api<{ messages: ApiMessage[] }>('GET', address)
      return log.messages.every((message) => message.status !== 'pending') && log.messages
    })
    expect(messages.map(({ type, status, reason }) => [type, status, reason])).toEqual([
      ['incident.resolved', 'delivered', null],
      ['incident.acknowledged', 'failed', 'restored'],
      ['incident.opened', 'delivered', null],
    ])
    expect(received).toHaveLength(4)
  })

  test('a wrong key, a missing key and a place that is taken are refused, and nothing is left behind', async () => {
    const place = await openPlace(kind)
    const tocsin = await place.start()
    await tocsin.stop()
    const file = join(place.dir, 'backup')
    expect((await run('backup', [file], place.env)).code).toBe(0)
    expect(await run('backup', [file], place.env)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('exists'),
    })
    expect(await run('restore', [file], place.env)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/exists|not empty/),
    })

    const elsewhere = await openPlace(kind, place.env)
    const wrong = { ...elsewhere.env, TOCSIN_SECRET_KEY: randomBytes(32).toString('base64') }
    expect(await run('restore', [file], wrong)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('not the key this backup was made with'),
    })
    const { TOCSIN_SECRET_KEY: _key, ...none } = elsewhere.env
    expect(await run('restore', [file], none)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('TOCSIN_SECRET_KEY'),
    })
    // Had anything been left behind, this would be refused.
    expect(await run('restore', [file], elsewhere.env)).toMatchObject({ code: 0 })
    expect(await run('start', [], { ...wrong, TOCSIN_PORT: '0' })).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('TOCSIN_SECRET_KEY'),
    })
  })

  // At full size: npm run promises -- T28
  test('large bodies come back byte for byte', async () => {
    const isFullSize = process.env.TOCSIN_BACKUP_MB !== undefined
    const megabytes = Number(process.env.TOCSIN_BACKUP_MB ?? 4)
    const place = await openPlace(kind)
    const tocsin = await place.start()
    const source = await tocsin.createSource({ adapter: 'generic' })
    await send(source, { title: 'Checkout is down' })
    await tocsin.stop()
    await place.addBodies(megabytes * 10)
    const file = join(place.dir, 'backup')
    const elsewhere = await openPlace(kind, place.env)

    const start = performance.now()
    expect(await run('backup', [file], place.env)).toMatchObject({ code: 0 })
    const backedUp = performance.now()
    expect(await run('restore', [file], elsewhere.env)).toMatchObject({ code: 0 })
    const restored = performance.now()
    expect(await elsewhere.bodies()).toEqual(await place.bodies())
    const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(1)
    printFigure(
      `${megabytes} MB on ${kind}: backup ${seconds(start, backedUp)} s, restore ${seconds(backedUp, restored)} s`,
    )
    if (isFullSize) expect(restored - start).toBeLessThan(MOST_MS)
  })

  test('what is no backup, damaged or of a newer version is refused by name', async () => {
    const place = await openPlace(kind)
    const tocsin = await place.start()
    await tocsin.stop()
    const elsewhere = await openPlace(kind, place.env)
    const refused = async (file: string, sentence: RegExp) =>
      expect(await run('restore', [file], elsewhere.env)).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(sentence),
      })

    await refused(join(place.dir, 'nothing'), /no file/)
    await refused(place.dir, /^Nothing was done: .+ is a directory; name a file\.\n$/)
    const text = join(place.dir, 'text')
    writeFileSync(text, 'no database at all, but long enough')
    await refused(text, /no backup/)

    const cut = join(place.dir, 'cut')
    await run('backup', [cut], place.env)
    truncateSync(cut, Math.floor(statSync(cut).size / 2))
    await refused(cut, /damaged|failed/)

    await place.addMigration('9999-later')
    const newer = join(place.dir, 'newer')
    await run('backup', [newer], place.env)
    await refused(newer, /newer Tocsin \(migration 9999-later\)/)
  })
})

// Where there is no server with pg_dump, startDumpable has said why.
test.runIf(server)('both commands take an address of PostgreSQL that the server takes', async () => {
  const withMore = ({ env }: Place) => ({
    ...env,
    DATABASE_URL: `${env.DATABASE_URL}?uselibpqcompat=true&sslmode=disable&query_timeout=60000&dbname=none`,
  })
  const place = await openPlace('postgres')
  const tocsin = await place.start()
  await tocsin.stop()
  const file = join(place.dir, 'backup')
  expect(await run('backup', [file], withMore(place))).toMatchObject({ code: 0, stderr: '' })
  const elsewhere = await openPlace('postgres', place.env)
  expect(await run('restore', [file], withMore(elsewhere))).toMatchObject({ code: 0, stderr: '' })
})

describe.runIf(server)('a restore on PostgreSQL that is cut', () => {
  test('leaves nothing where it is killed once all has been read; the next one sends nothing twice', async () => {
    const { file, place, received } = await backupWithOneWaiting()
    const killed = `
      "${server!.programs}/pg_restore" "$@" || exit
      case "$*" in *--data-only*) ;; *) kill -9 $PPID ;; esac`
    const path = await withProgram('pg_restore', killed)
    expect(await run('restore', [file], { ...place.env, PATH: path })).toMatchObject({ code: null })

    expect(await run('restore', [file], place.env)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 outgoing messages waited'),
    })
    const again = await place.start()
    await again.api('POST', `/projects/${again.projectId}/incidents/INC-001/resolve`)
    await until('the resolution has gone out', () => received.length === 3)
    await again.stop()
    expect(await query(place.env.DATABASE_URL!, MESSAGES)).toEqual([
      { status: 'failed', reason: 'restored' },
      { status: 'delivered', reason: null },
    ])
  })

  test('leaves nothing where the server ends its connections, and says so', async () => {
    const { file, place } = await backupWithOneWaiting()
    const other = new pg.Client({ connectionString: place.env.DATABASE_URL })
    onTestFinished(() => other.end())
    await other.connect()
    const { rows } = await other.query('select pg_backend_pid() as pid')
    // The restore waits for what becomes of this.
    await other.query('begin')
    await other.query('create table message ()')
    const restore = run('restore', [file], place.env)
    const sessions = `from pg_stat_activity where datname = current_database() and pid not in (pg_backend_pid(), ${rows[0].pid})`
    await until('the restore waits', async () => {
      const waiting = `select 1 ${sessions} and wait_event_type = 'Lock'`
      return (await query(place.env.DATABASE_URL!, waiting)).length === 1
    })
    await query(place.env.DATABASE_URL!, `select pg_terminate_backend(pid) ${sessions}`)
    expect(await restore).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^Nothing was done: psql failed: .*terminating connection.*\n$/),
    })
    await other.query('rollback')

    expect(await run('restore', [file], place.env)).toMatchObject({ code: 0, stderr: '' })
    expect(await query(place.env.DATABASE_URL!, MESSAGES)).toEqual([{ status: 'failed', reason: 'restored' }])
  })

  test('says what to do where nobody knows whether the server has kept it', async () => {
    const { file, place } = await backupWithOneWaiting()
    const path = await withProgram('psql', `"${server!.programs}/psql" "$@"\nexit 2`)
    expect(await run('restore', [file], { ...place.env, PATH: path })).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^The connection .+ whole or not at all .+\. Run the same command again: .+\n$/,
      ),
    })
    expect(await run('restore', [file], place.env)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('not empty'),
    })
    expect(await query(place.env.DATABASE_URL!, MESSAGES)).toEqual([{ status: 'failed', reason: 'restored' }])
  })

  const MESSAGES = 'select status, reason from message order by id'

  /** A backup in which a message waits that has gone out since, and an empty database for it. */
  async function backupWithOneWaiting() {
    let status = 503
    const { url, received } = await openReceiver(() => status)
    const first = await openPlace('postgres')
    const tocsin = await first.start()
    await tocsin.api('POST', `/projects/${tocsin.projectId}/endpoints`, { url })
    await send(await tocsin.createSource({ adapter: 'generic' }), { title: 'Checkout is down' })
    await until('the opening was tried', () => received.length === 1)
    const file = join(first.dir, 'backup')
    expect(await run('backup', [file], first.env)).toMatchObject({ code: 0 })
    status = 204
    await until('the opening has gone out', () => received.length === 2)
    await tocsin.stop()
    return { file, received, place: await openPlace('postgres', first.env) }
  }

  /** A PATH on which this program comes before the one of the same name. */
  async function withProgram(name: string, script: string): Promise<string> {
    const dir = await scratchDir()
    onTestFinished(() => dir.remove())
    writeFileSync(join(dir.path, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    return `${dir.path}${delimiter}${process.env.PATH}`
  }
})

test('a backup of one kind of database is not restored into the other', async () => {
  const dir = await scratchDir()
  onTestFinished(() => dir.remove())
  const file = join(dir.path, 'backup')
  const env = { TOCSIN_SECRET_KEY: randomBytes(32).toString('base64') }
  writeFileSync(file, 'PGDMP and more')
  expect(await run('restore', [file], { ...env, DATABASE_URL: `sqlite:${dir.path}/new.db` })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('backup of PostgreSQL'),
  })
  writeFileSync(file, 'SQLite format 3\0 and more')
  expect(await run('restore', [file], { ...env, DATABASE_URL: 'postgres://127.0.0.1:9/none' })).toMatchObject(
    {
      code: 1,
      stderr: expect.stringContaining('backup of SQLite'),
    },
  )
  expect(await run('backup', [], env)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('npm run backup -- <file>'),
  })
})

describe('as docs/deploy.md does it', () => {
  test('in one container', async () => {
    const scratch = await scratchDir()
    onTestFinished(() => scratch.remove())
    const restored = join(scratch.path, 'restored')
    mkdirSync(restored, { mode: 0o700 })
    const tocsin = await startTocsin()
    onTestFinished(() => tocsin.dispose())
    await send(await tocsin.createSource({ adapter: 'generic' }), { title: 'Checkout is down' })

    const [backup, restore] = blocksOf('Backup of one container')
    pasteInContainer(backup!, scratch.path, tocsin.dataDir)
    for (const name of ['tocsin.backup', 'tocsin.key']) {
      expect(statSync(join(scratch.path, name)).mode & 0o777).toBe(0o600)
    }
    pasteInContainer(restore!, scratch.path, restored)
    expect(readdirSync(tocsin.dataDir)).not.toContain('backup')
    expect(readdirSync(restored).toSorted()).toEqual(['secret.key', 'tocsin.db'])

    const env = { TOCSIN_DATA_DIR: restored, TOCSIN_ADMIN_KEY: tocsin.adminKey }
    const again = await startTocsin({ env })
    onTestFinished(() => again.dispose())
    const { incidents } = await again.api<{ incidents: ApiIncident[] }>(
      'GET',
      `/projects/${tocsin.projectId}/incidents`,
    )
    expect(incidents).toMatchObject([{ title: 'Checkout is down' }])
  })

  // Where there is no server with pg_dump, startDumpable has said why.
  test.runIf(server)('with Compose', async () => {
    const scratch = await scratchDir()
    onTestFinished(() => scratch.remove())
    await query(server!.url, 'create database tocsin')
    const address = new URL(server!.url)
    address.pathname = '/tocsin'
    const env = {
      TOCSIN_SECRET_KEY: randomBytes(32).toString('base64'),
      TOCSIN_ADMIN_KEY: randomBytes(24).toString('hex'),
    }
    const tocsin = await startTocsin({ databaseUrl: address.href, env })
    onTestFinished(() => tocsin.dispose())
    let status = 503
    const { url, received } = await openReceiver(() => status)
    const project = `/projects/${tocsin.projectId}`
    const { endpoint } = await tocsin.api<{ endpoint: ApiEndpoint }>('POST', `${project}/endpoints`, { url })
    await send(await tocsin.createSource({ adapter: 'generic' }), { title: 'Checkout is down' })
    await until('the opening was tried', () => received.length === 1)

    const [backup, restore] = blocksOf('Backup with Compose')
    pasteBesidePostgres(backup!, scratch.path)
    await tocsin.stop()
    pasteBesidePostgres(restore!, scratch.path)
    status = 204
    await tocsin.restart()
    const messages = `${project}/endpoints/${endpoint.id}/messages`
    expect(await tocsin.api('GET', messages)).toMatchObject({
      messages: [{ type: 'incident.opened', status: 'failed', reason: 'restored' }],
    })
    expect(received).toHaveLength(1)
  })
})

function blocksOf(heading: string): string[] {
  return codeBlocks('docs/deploy.md')
    .filter((block) => block.heading === heading)
    .map(({ text }) => text)
}

/** Runs what a page gives to Docker without it: in the container's folder, which has the program, and with its volume. */
function pasteInContainer(text: string, cwd: string, data: string): void {
  const ingest = join(cwd, 'ingest')
  if (!existsSync(ingest)) symlinkSync(inRepository('ingest'), ingest)
  const commands = text
    .replaceAll(/docker (?:exec|run)(?: -\S+| \S+:\/data)* tocsin /g, '')
    .replaceAll('/data/', `${data}/`)
  const env = { PATH: `${dirname(pinnedNode)}:${process.env.PATH}`, TOCSIN_DATA_DIR: data }
  execFileSync('sh', ['-e', '-c', commands], { cwd, env, stdio: 'pipe' })
}

/** Runs what a page gives to the container of PostgreSQL without it; what starts and stops containers is left out. */
function pasteBesidePostgres(text: string, cwd: string): void {
  const { hostname, port, password } = new URL(server!.url)
  const commands = text
    .replaceAll('docker compose exec -T postgres ', '')
    .replaceAll(/docker compose (?:stop|up) .*/g, 'true')
  const env = {
    PATH: `${server!.programs}:${process.env.PATH}`,
    PGHOST: hostname,
    PGPORT: port,
    PGPASSWORD: password,
  }
  execFileSync('sh', ['-e', '-c', commands], { cwd, env, stdio: 'pipe' })
}

interface Place {
  dir: string
  env: Record<string, string>
  start(): ReturnType<typeof startTocsin>
  addMigration(name: string): Promise<void>
  /** Requests with bodies of 100 kB that do not shrink. */
  addBodies(count: number): Promise<void>
  /** What the bodies are, in few words. */
  bodies(): Promise<unknown>
}

/** A database that is not there yet, with its settings. */
async function openPlace(kind: 'sqlite' | 'postgres', like: Record<string, string> = {}): Promise<Place> {
  const dir = await scratchDir()
  onTestFinished(() => dir.remove())
  let url = `sqlite:${join(dir.path, 'data', 'tocsin.db')}`
  if (kind === 'postgres') {
    const name = `tocsin_${randomBytes(8).toString('hex')}`
    await query(server!.url, `create database ${name}`)
    const address = new URL(server!.url)
    address.pathname = `/${name}`
    url = address.href
  } else mkdirSync(join(dir.path, 'data'), { mode: 0o700 })

  const env = {
    TOCSIN_SECRET_KEY: randomBytes(32).toString('base64'),
    TOCSIN_ADMIN_KEY: randomBytes(24).toString('hex'),
    ...like,
    TOCSIN_DATA_DIR: join(dir.path, 'data'),
    DATABASE_URL: url,
  }
  return {
    dir: dir.path,
    env,
    start: async () => {
      const tocsin = await startTocsin({ databaseUrl: url, env })
      onTestFinished(() => tocsin.dispose())
      return tocsin
    },
    addMigration: async (name) => {
      await query(url, `insert into kysely_migration (name, timestamp) values ('${name}', '')`)
    },
    addBodies: async (count) => {
      const columns =
        'project_id, received_at, method, path, headers, status, outcome, drill, event_ids, body_size'
      const body =
        kind === 'sqlite'
          ? 'randomblob(100000)'
          : "(select decode(string_agg(md5(i::text || '/' || g), ''), 'hex') from generate_series(1, 6250) g)"
      await query(
        url,
        `with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})
         insert into hook_request (id, body, ${columns}) select id || '-' || i, ${body}, ${columns} from n, hook_request`,
      )
    },
    bodies: async () => {
      if (kind === 'postgres') return query(url, 'select id, md5(body) from hook_request order by id')
      const db = new Sqlite(url.slice('sqlite:'.length))
      const rows = db.prepare<[], { id: string; body: Buffer }>(
        'select id, body from hook_request order by id',
      )
      const found = Array.from(rows.iterate(), ({ id, body }) => ({ id, md5: hash('md5', body) }))
      db.close()
      return found
    },
  }
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const path = url.startsWith('sqlite:') ? url.slice('sqlite:'.length) : undefined
  if (path !== undefined) {
    const db = new Sqlite(path)
    try {
      const statement = db.prepare<[], Record<string, unknown>>(sql)
      if (statement.reader) return statement.all()
      statement.run()
      return []
    } finally {
      db.close()
    }
  }
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(sql)
  await client.end()
  return rows
}

async function run(command: 'backup' | 'restore' | 'start', args: string[], env: Record<string, string>) {
  const [, ...words] = commandOf(command)
  const dir = await scratchDir()
  const child: Child = await startChild(
    pinnedNode,
    [...words.slice(0, -1), inRepository(words.at(-1)!), ...args],
    {
      cwd: dir.path,
      env,
    },
  )
  const { code } = await child.exited
  dir.remove()
  return { code, stdout: child.stdout(), stderr: child.stderr() }
}
