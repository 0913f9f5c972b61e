import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { sql } from 'kysely'
import pg from 'pg'
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { migrate } from '../../../core/store/migrate.ts'
import { migrations } from '../../../core/store/migrations/index.ts'
import { type Database, openDatabase } from '../../../core/store/open-database.ts'
import type { SettingTable } from '../../../core/store/schema.ts'
import {
  all,
  allForEach,
  insertRows,
  run,
  statement,
  together,
  type Work,
} from '../../../core/store/statement.ts'
import { type DatabaseKind, databaseKinds, freshDatabase } from '../../support/databases.ts'
import { holdSqlite } from '../../support/hold-sqlite.ts'
import { scratchDir } from '../../support/scratch.ts'
import { canMount, smallVolume } from '../../support/small-volume.ts'

const hasSmallVolumes = await canMount('of a ping on a full disk')
const settings = statement<object, SettingTable>((db) => db.selectFrom('setting').selectAll().orderBy('name'))

describe.each(databaseKinds)('a database on %s', (kind) => {
  test('keeps a transaction whole', async () => {
    const { database } = await open(kind)
    const answer = await database.transaction(function* () {
      yield* store('a', 'b')
      return 'done'
    })
    expect(answer).toBe('done')
    expect(await names(database)).toEqual(['a', 'b'])
  })

  test('keeps nothing of a work that throws', async () => {
    const { database } = await open(kind)
    const failing = database.transaction(function* () {
      yield* store('a')
      throw new Error('Thought better of it.')
    })
    await expect(failing).rejects.toThrow('Thought better of it.')
    expect(await names(database)).toEqual([])
  })

  test('keeps nothing when a step fails, calls it a fault and goes on', async () => {
    const { database } = await open(kind)
    const failing = database.transaction(() => store('a', 'b', 'a'))
    const error = await failing.catch((caught: unknown) => caught)
    expect(database.classify(error)).toBe('fault')

    await database.transaction(() => store('c'))
    expect(await names(database)).toEqual(['c'])
  })

  test('says what failed first of steps that go out together', async () => {
    const { database } = await open(kind)
    const number = statement<{ text: string }, { number: number }>(
      (_db, p) =>
        sql`select case when ${p('text')} = 'x' then abs(-9223372036854775807 - 1) else 1 end as number`,
    )
    const failing = database.transaction(() =>
      together(
        allForEach(number, [{ text: 'a' }, { text: 'x' }]),
        all(settings, {}),
        allForEach(number, [{ text: 'a' }]),
      ),
    )
    await expect(failing).rejects.toThrow(/integer overflow|out of range/)
  })

  test('answers a dry run and keeps nothing of it', async () => {
    const { database } = await open(kind)
    const seen = await database.transaction(
      function* () {
        yield* store('a')
        return yield* all(settings, {})
      },
      { rollback: true },
    )
    expect(seen).toHaveLength(1)
    expect(await names(database)).toEqual([])
  })

  test('lets no reader write', async () => {
    const { database } = await open(kind)
    const write = database.read.insertInto('setting').values({ name: 'a', value: '' }).execute()
    await expect(write).rejects.toThrow(/read-?only/)
  })

  test('answers a ping until it is closed', async () => {
    const { database } = await open(kind)
    expect(await database.ping()).toBe(true)
    await database.close()
    expect(await database.ping()).toBe(false)
  })

  test('answers pings at once together, and nothing of them is left', async () => {
    const { database } = await open(kind)
    expect(await Promise.all([database.ping(), database.ping()])).toEqual([true, true])
    expect(await database.ping()).toBe(true)
    expect(await names(database)).toEqual([])
  })

  test('finishes what runs before it closes', async () => {
    const { database, url } = await open(kind)
    const running = database.transaction(() => store('a', 'b', 'c'))
    await Promise.all([database.close(), running])
    expect(await names(await reopen(url))).toEqual(['a', 'b', 'c'])
  })

  test('repeats a query of the API as often as it is asked', async () => {
    const { database } = await open(kind)
    for (const name of ['a', 'b', 'c']) {
      await database.transaction(() => store(name))
      expect((await names(database)).at(-1)).toBe(name)
    }
  })
})

describe('SQLite', () => {
  test('waits for the disk at every commit, whatever the driver defaults to', async () => {
    const { database, path } = await openSqlite()
    expect(await pragma(database, 'synchronous')).toEqual([{ synchronous: 2 }])
    expect(new Sqlite(path).pragma('journal_mode', { simple: true })).toBe('wal')
  })

  test('commits a ping every five seconds', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const { database, path } = await openSqlite()
    const other = new Sqlite(path)
    onTestFinished(() => void other.close())
    // Changes with each commit of another connection.
    const version = () => other.pragma('data_version', { simple: true })
    const before = version()
    expect(await database.ping()).toBe(true)
    const first = version()
    expect(first).not.toBe(before)

    vi.advanceTimersByTime(4_000)
    expect(await database.ping()).toBe(true)
    expect(version()).toBe(first)
    vi.advanceTimersByTime(2_000)
    expect(await database.ping()).toBe(true)
    expect(version()).not.toBe(first)
  })

  test('makes pages of 8 KiB', async () => {
    const { database } = await openSqlite()
    expect(await pragma(database, 'page_size')).toEqual([{ page_size: 8192 }])
  })

  test('closes its files to everyone else, also one that stood open', async () => {
    const directory = await scratchDir()
    onTestFinished(directory.remove)
    const path = join(directory.path, 'below', 'tocsin.db')
    await (await reopen(`sqlite:${path}`)).close()
    chmodSync(path, 0o644)

    const database = await reopen(`sqlite:${path}`)
    await migrate(database, migrations)
    const modes = [path, `${path}-wal`, `${path}-shm`].map((file) => statSync(file).mode & 0o777)
    expect(modes).toEqual([0o600, 0o600, 0o600])
    expect(statSync(join(directory.path, 'below')).mode & 0o777).toBe(0o700)
  })

  test('another process that holds the database makes it unavailable for a moment, not broken', async () => {
    const { database, path } = await openSqlite()
    const release = holdSqlite(path)
    onTestFinished(release)

    const started = performance.now()
    const error = await database.transaction(() => store('a')).catch((caught: unknown) => caught)
    expect(performance.now() - started).toBeLessThan(900)
    expect(database.classify(error)).toBe('unavailable')
    // Nobody after the first waits for the same lock, which would hold up everything else in the process as well.
    const later = performance.now()
    for (let i = 0; i < 5; i++) expect(await database.ping()).toBe(false)
    expect(performance.now() - later).toBeLessThan(1_000)
    // Readers do not mind.
    expect(await names(database)).toEqual([])

    release()
    await database.transaction(() => store('a'))
    expect(await names(database)).toEqual(['a'])
  })

  test('a full disk makes it unavailable until there is room again', async () => {
    const { database } = await openSqlite()
    const [{ page_count } = { page_count: 0 }] = await pragma<{ page_count: number }>(database, 'page_count')
    await pragma(database, `max_page_count = ${page_count + 2}`)
    const big = () => insertRows('setting', [{ name: 'big', value: 'x'.repeat(100_000) }])
    const error = await database.transaction(big).catch((caught: unknown) => caught)
    expect(database.classify(error)).toBe('unavailable')

    await database.transaction(() => store('small'))
    await pragma(database, `max_page_count = ${page_count + 1_000}`)
    await database.transaction(big)
    expect(await names(database)).toEqual(['big', 'small'])
  })

  // Where nothing can be mounted, canMount has said why.
  test.runIf(hasSmallVolumes)('a full disk answers a ping with no within five seconds', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const volume = await smallVolume(2)
    onTestFinished(volume.remove)
    const database = await reopen(`sqlite:${join(volume.path, 'tocsin.db')}`)
    await migrate(database, migrations)
    expect(await database.ping()).toBe(true)

    volume.fill()
    vi.advanceTimersByTime(5_001)
    expect(await database.ping()).toBe(false)
    expect(await database.ping()).toBe(false)
    volume.free()
    expect(await database.ping()).toBe(true)
  })

  test('a file that is no database is refused', async () => {
    const directory = await scratchDir()
    onTestFinished(directory.remove)
    const path = join(directory.path, 'tocsin.db')
    writeFileSync(path, 'Dear diary, '.repeat(1_000))
    await expect(openDatabase(`sqlite:${path}`)).rejects.toThrow('file is not a database')
  })

  test('opens the same new file five times at once', async () => {
    const { url, dispose } = await freshDatabase('sqlite')
    onTestFinished(dispose)
    const databases = await Promise.all([1, 2, 3, 4, 5].map(() => reopen(url)))
    await migrate(databases[0]!, migrations)
    for (const database of databases) expect(await database.ping()).toBe(true)
  })
})

// Where there is no PostgreSQL, test/support/postgres-server.ts has said why.
describe.runIf(databaseKinds.includes('postgres'))('PostgreSQL', () => {
  test('waits for the disk at every commit, also where the database says otherwise', async () => {
    const { database, url } = await open('postgres')
    await asOther(url, (other) =>
      other.query(`alter database ${new URL(url).pathname.slice(1)} set synchronous_commit = off`),
    )
    await database.close()
    const fresh = await reopen(url)
    expect(await show(fresh, 'synchronous_commit')).toEqual([{ synchronous_commit: 'on' }])
  })

  test('looks up what a transaction asks for, also in a table of one page and without statistics', async () => {
    const { database } = await open('postgres')
    const plan = await database.transaction(() =>
      all(rawStatement("explain select 1 from pg_namespace where oid = any('{11,99}')"), {}),
    )
    expect(JSON.stringify(plan)).toMatch(/Index|Bitmap/)
  })

  test('limits statements, locks and idle transactions', async () => {
    const { database } = await open('postgres')
    for (const setting of ['statement_timeout', 'lock_timeout']) {
      expect(await show(database, setting)).toEqual([{ [setting]: '5s' }])
    }
    const idle = 'idle_in_transaction_session_timeout'
    expect(await show(database, idle)).toEqual([{ [idle]: '2s' }])
    expect(await show(database, 'application_name')).toEqual([{ application_name: 'tocsin' }])
  })

  test('a ping waits for no other process that stands still in one', async () => {
    const { database, url } = await open('postgres')
    const another = await reopen(url)
    await asOther(url, async (other) => {
      await other.query(`
        create sequence ping_turn;
        create function wait_first() returns trigger language plpgsql as $$ begin
          if nextval('ping_turn') = 1 then perform pg_advisory_xact_lock(1); end if;
          return old;
        end $$;
        create trigger wait_first before delete on setting for each row execute function wait_first();
        select pg_advisory_lock(1)`)
      let isOver = false
      const standing = another.ping().finally(() => {
        isOver = true
      })
      const waiting = `select from pg_locks l join pg_database d on d.oid = l.database
        where l.locktype = 'advisory' and not l.granted and d.datname = current_database()`
      await expect.poll(async () => (await other.query(waiting)).rowCount).toBe(1)
      expect(await database.ping()).toBe(true)
      expect(isOver).toBe(false)
      await other.query('select pg_advisory_unlock(1)')
      expect(await standing).toBe(true)
    })
  })

  test('a transaction whose connection is cut off may run again, on a new one', async () => {
    const { database } = await open('postgres')
    const killSelf = rawStatement('select pg_terminate_backend(pg_backend_pid())')
    const error = await database
      .transaction(function* () {
        yield* store('a')
        yield* all(killSelf, {})
      })
      .catch((caught: unknown) => caught)
    expect(database.classify(error)).toBe('retry')

    await database.transaction(() => store('b'))
    expect(await names(database)).toEqual(['b'])
  })

  test('connections lost while idle are replaced', async () => {
    const { database, url } = await open('postgres')
    await names(database)
    await database.transaction(() => store('a'))
    await asOther(url, (other) =>
      other.query(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'tocsin' and datname = current_database()",
      ),
    )
    const answers = await Promise.allSettled([
      database.transaction(() => store('b')),
      database.read.selectFrom('setting').selectAll().execute(),
    ])
    // Whether the driver had heard of it in time or not: never a fault.
    for (const answer of answers) {
      if (answer.status === 'rejected')
        expect(['retry', 'unavailable']).toContain(database.classify(answer.reason))
    }
    await database.transaction(() => store('c'))
    expect(await names(database)).toContain('c')
  })

  test('has one time for everybody, whatever the clock of this machine is set to', async () => {
    const { database } = await open('postgres')
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 600_000 })
    onTestFinished(() => void vi.useRealTimers())
    const other = await open('postgres')
    for (const { now } of [database, other.database]) {
      const { rows } = await sql<{
        ms: number
      }>`select extract(epoch from clock_timestamp()) * 1000 as ms`.execute(database.read)
      expect(Math.abs(now().getTime() - rows[0]!.ms)).toBeLessThan(60_000)
    }
  })

  test('a statement prepared before a migration is prepared again', async () => {
    const { database, url } = await open('postgres')
    const everything = rawStatement('select * from setting')
    const readAll = () => database.transaction(() => all(everything, {}))
    await readAll()
    await asOther(url, (other) => other.query("alter table setting add column note text default ''"))

    const error = await readAll().catch((caught: unknown) => caught)
    expect(database.classify(error)).toBe('retry')
    expect(await readAll()).toEqual([])
  })

  test.each([
    ['40001', 'retry'],
    ['40P01', 'retry'],
    ['57P01', 'retry'],
    ['57014', 'unavailable'],
    ['53100', 'unavailable'],
    ['53300', 'unavailable'],
    ['08006', 'retry'],
    ['53200', 'unavailable'],
    ['55P03', 'unavailable'],
    ['55000', 'unavailable'],
    ['55006', 'unavailable'],
    ['57P03', 'unavailable'],
    ['57P05', 'unavailable'],
    ['58030', 'unavailable'],
    ['25006', 'unavailable'],
    ['25P04', 'unavailable'],
    ['28P01', 'unavailable'],
    ['42501', 'unavailable'],
    ['3D000', 'unavailable'],
    ['23505', 'fault'],
    ['22P02', 'fault'],
    ['XX001', 'fault'],
  ])('an error %s means %s', async (code, meaning) => {
    const { database } = await open('postgres')
    const raise = rawStatement(`do $$ begin raise exception using errcode = '${code}'; end $$`)
    const error = await database.transaction(() => run(raise, {})).catch((caught: unknown) => caught)
    expect(database.classify(error)).toBe(meaning)
  })

  test.each([
    ['takes no connections', 'allow_connections false', 'allow_connections true'],
    ['takes no writes', 'set default_transaction_read_only = on', 'reset default_transaction_read_only'],
  ])('a database that %s is unavailable until it does', async (_, refuse, allow) => {
    const { database, url } = await open('postgres')
    const name = new URL(url).pathname.slice(1)
    const alter = (how: string) =>
      asOther(inject('postgresUrl')!, async (other) => {
        await other.query(`alter database ${name} ${how}`)
        await other.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1', [
          name,
        ])
      })
    const attempt = () => database.transaction(() => store('a')).catch((caught: unknown) => caught)
    await alter(refuse)
    // Until the pool knows that its connections are gone.
    await expect.poll(async () => database.classify(await attempt())).toBe('unavailable')
    expect(await database.ping()).toBe(false)

    await alter(allow)
    await expect.poll(attempt).toBeUndefined()
    expect(await names(database)).toEqual(['a'])
  })

  test('a server that is not there is unavailable', async () => {
    const { database, url } = await open('postgres')
    const nowhere = new URL(url)
    nowhere.port = '1'
    const error = await openDatabase(nowhere.href).catch((caught: unknown) => caught)
    expect(database.classify(error)).toBe('unavailable')
  })

  test('more transactions than connections wait for each other', async () => {
    const { database } = await open('postgres')
    const keys = Array.from({ length: 40 }, (_, index) => `${index}`.padStart(2, '0'))
    await Promise.all(keys.map((key) => database.transaction(() => store(key))))
    expect(await names(database)).toEqual(keys)
  })
})

test.each(['', 'mysql://localhost/x', 'sqlite:', 'sqlite::memory:', 'data/tocsin.db'])(
  'the address "%s" is refused with its variable',
  async (url) => {
    await expect(openDatabase(url)).rejects.toThrow(/^DATABASE_URL/)
  },
)

function* store(...keys: string[]): Work<void> {
  for (const name of keys) yield* insertRows('setting', [{ name, value: '' }])
}

async function names(database: Database): Promise<string[]> {
  const rows = await database.read.selectFrom('setting').select('name').orderBy('name').execute()
  return rows.map((row) => row.name)
}

async function open(kind: DatabaseKind): Promise<{ database: Database; url: string }> {
  const { url, dispose } = await freshDatabase(kind)
  onTestFinished(dispose)
  const database = await reopen(url)
  await migrate(database, migrations)
  return { database, url }
}

async function openSqlite(): Promise<{ database: Database; path: string }> {
  const { database, url } = await open('sqlite')
  return { database, path: url.slice('sqlite:'.length) }
}

async function reopen(url: string): Promise<Database> {
  const database = await openDatabase(url)
  // Some tests close it themselves.
  onTestFinished(() => database.close().catch(() => {}))
  return database
}

function rawStatement<R = unknown>(text: string) {
  return statement<object, R>(() => sql<R>`${sql.raw(text)}`)
}

function show(database: Database, setting: string): Promise<unknown[]> {
  return database.transaction(() => all(rawStatement(`show ${setting}`), {}))
}

/** Inside a transaction, on the connection that writes. */
function pragma<R>(database: Database, text: string): Promise<R[]> {
  return database.transaction(() => all(rawStatement<R>(`pragma ${text}`), {}))
}

async function asOther<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}
