import { hash, randomUUID } from 'node:crypto'
import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import {
  type Expression,
  Kysely,
  PostgresDialect,
  type RawBuilder,
  type SelectModifierNode,
  SqliteDialect,
  SqliteQueryCompiler,
  sql,
} from 'kysely'
import pg from 'pg'
import type { Schema } from './schema.ts'
import {
  type CompiledStatement,
  type InsertStep,
  insertRows,
  type Row,
  run,
  runWork,
  type Statement,
  type Step,
  statement,
  type UpdateStep,
  type Work,
} from './statement.ts'

/** A database, whichever kind. Everything the two kinds do differently is in this file. */
export interface Database<S = Schema> {
  readonly kind: 'sqlite' | 'postgres'
  /** Queries of the API, on connections of their own that cannot write. */
  readonly read: Kysely<S>
  /** Runs a statement that reads, on those same connections: compiled once, for what every request asks. */
  query<P extends object, R>(statement: Statement<P, R>, params: P): Promise<R[]>
  /**
   * Runs a work in one transaction and resolves after the commit; rolls back when it throws, or anyway with `rollback`
   * (a dry run). On SQLite the whole transaction happens before this returns, so it never spans an `await` and two
   * connections of one thread cannot block each other.
   */
  transaction<T>(work: () => Work<T>, options?: { rollback?: boolean }): Promise<T>
  /** Lends a connection without time limits to a migration, alone: other processes wait for their turn. */
  migrate<T>(run: (db: Kysely<S>) => Promise<T>): Promise<T>
  /** `unavailable`: try later. `retry`: run the same transaction again at once. `fault`: a bug, or broken data. */
  classify(error: unknown): 'retry' | 'unavailable' | 'fault'
  /**
   * Whether the database takes writes. A full disk shows within KEPT_MS; that of PostgreSQL's tables only to those who make
   * one grow.
   */
  ping(): Promise<boolean>
  /** The time, the same for all processes on this database whatever their machines say. */
  now(): Date
  /** Waits for running transactions, then disconnects. */
  close(): Promise<void>
}

/** What a statement needs to know of its database when it is compiled and bound. */
export interface Dialect {
  isAnyOf(column: Expression<unknown>, list: Expression<unknown>): RawBuilder<boolean>
  listValue(list: readonly unknown[]): unknown
}

/**
 * Opens `sqlite:<path>` or `postgres://…` and refuses one that would not keep what it acknowledged. `signal` breaks off
 * waiting for another process's lock on a file, also that of a migration.
 */
export async function openDatabase<S = Schema>(url: string, signal?: AbortSignal): Promise<Database<S>> {
  const path = sqlitePath(url)
  if (path !== undefined) return openSqlite<S>(path, signal)
  if (/^postgres(ql)?:\/\//.test(url)) return openPostgres<S>(url)
  throw new Error('DATABASE_URL must be sqlite:<path>, such as sqlite:data/tocsin.db, or postgres://…')
}

/** The file of a `sqlite:` address; undefined for another kind. */
export function sqlitePath(url: string): string | undefined {
  return url.startsWith('sqlite:') ? url.slice('sqlite:'.length).replace(/^\/\//, '') : undefined
}

// --- SQLite ----------------------------------------------------------------------------------------------------------

/** How long a synchronous wait for another process's lock may stop the event loop. */
const BUSY_MS = 500
/** How long once such a wait was in vain, until the lock is free again: the wait stops everything else as well. */
const STILL_BUSY_MS = 20
const STARTUP_WAIT_MS = 30_000

async function openSqlite<S>(path: string, signal: AbortSignal | undefined): Promise<Database<S>> {
  if (path === '' || path.includes(':memory:'))
    throw new Error('DATABASE_URL: sqlite: needs the path of a file.')
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // SQLite gives -wal and -shm the mode of the database file.
  closeSync(openSync(path, 'a', 0o600))

  const writer = await whenNotBusy(() => openSqliteWriter(path), signal)
  const reader = openSqliteReader(path)
  for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600)

  const read = new Kysely<S>({ dialect: new LockFreeSqliteDialect({ database: cachedPrepare(reader) }) })
  const execute = sqliteSteps(writer, read)
  const query = sqliteSteps(reader, read)
  const begin = writer.prepare('begin immediate')
  const commit = writer.prepare('commit')
  const rollBack = writer.prepare('rollback')

  let isHeld = false
  function take(): void {
    try {
      begin.run()
      if (isHeld) writer.pragma(`busy_timeout = ${BUSY_MS}`)
      isHeld = false
    } catch (error) {
      if (!isHeld) writer.pragma(`busy_timeout = ${STILL_BUSY_MS}`)
      isHeld = true
      throw error
    }
  }

  async function transaction<T>(work: () => Work<T>, options: { rollback?: boolean } = {}): Promise<T> {
    take()
    try {
      const value = runWork(work(), execute)
      if (options.rollback) rollBack.run()
      else commit.run()
      return value
    } catch (error) {
      // A full disk may have rolled back already.
      if (writer.inTransaction) rollBack.run()
      throw error
    }
  }

  return {
    kind: 'sqlite',
    read,
    transaction,
    query: async <P extends object, R>(statement: Statement<P, R>, params: P) =>
      query({ do: 'all', statement, params }) as R[],
    migrate: (run) => migrateSqlite(path, run, signal),
    classify: classifySqlite,
    ping: pingBy(transaction),
    // All of them are on this machine.
    now: () => new Date(),
    async close() {
      reader.close()
      writer.close()
    },
  }
}

function openSqliteWriter(path: string): Sqlite.Database {
  const db = new Sqlite(path, { timeout: BUSY_MS })
  try {
    db.pragma('page_size = 8192')
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.pragma('mmap_size = 0')
    db.pragma('cache_size = -16000')
    // 32 MB of 8 KB pages: a page changed often is copied once, and a commit that checkpoints copies no more than these.
    db.pragma('wal_autocheckpoint = 4000')
    db.pragma('trusted_schema = OFF')

    // better-sqlite3 defaults to NORMAL in WAL mode, which may lose acknowledged events when the power fails.
    const durable = db.pragma('synchronous', { simple: true }) === 2
    const wal = db.pragma('journal_mode', { simple: true }) === 'wal'
    if (durable && wal) return db
    throw new Error(
      'The SQLite database cannot be opened in WAL mode with synchronous=FULL: use a local disk.',
    )
  } catch (error) {
    db.close()
    throw error
  }
}

function openSqliteReader(path: string): Sqlite.Database {
  const db = new Sqlite(path, { timeout: BUSY_MS, readonly: true })
  db.pragma('mmap_size = 0')
  db.pragma('cache_size = -16000')
  db.pragma('trusted_schema = OFF')
  return db
}

/** Exported for the benchmark, which runs the same statements another way. */
export const dialectSqlite: Dialect = {
  isAnyOf: (column, list) => sql<boolean>`${column} in (select value from json_each(${list}))`,
  listValue: (list) => JSON.stringify(list),
}

/** How many rows one statement inserts: as many as there are. */
const ROWS_TOGETHER = [32, 8, 1]

/** All values of these rows, one row after the other. */
function valuesOf(rows: readonly Row[], from: number, to: number): unknown[] {
  const values: unknown[] = []
  for (let at = from; at < to; at++) for (const value of Object.values(rows[at]!)) values.push(value)
  return values
}

/** Executes steps on one connection, each SQL prepared once. */
function sqliteSteps<S>(db: Sqlite.Database, compiler: Kysely<S>): (step: Step) => unknown {
  const compiled = new Map<
    Statement,
    { statement: Sqlite.Statement<unknown[]>; bind: CompiledStatement['bind'] }
  >()
  const prepared = new Map<string, Sqlite.Statement<unknown[]>>()

  function query(statement: Statement) {
    let known = compiled.get(statement)
    if (!known) {
      const { sql: text, bind } = statement.compile(compiler, dialectSqlite)
      known = { statement: db.prepare(text), bind }
      compiled.set(statement, known)
    }
    return known
  }

  function write(key: string, text: () => string) {
    let known = prepared.get(key)
    if (!known) {
      known = db.prepare(text())
      prepared.set(key, known)
    }
    return known
  }

  function runEach(statement: Sqlite.Statement<unknown[]>, columns: readonly string[], rows: readonly Row[]) {
    let changes = 0
    // One list for all rows: what is bound is copied at once.
    const values = new Array<unknown>(columns.length)
    for (const row of rows) {
      for (let i = 0; i < columns.length; i++) values[i] = row[columns[i]!]
      changes += statement.run(values).changes
    }
    return changes
  }

  return function execute(step: Step): unknown {
    switch (step.do) {
      case 'all': {
        const { statement, bind } = query(step.statement)
        return statement.all(bind(step.params))
      }
      case 'allForEach': {
        const { statement, bind } = query(step.statement)
        return step.paramsList.map((params) => statement.all(bind(params)))
      }
      case 'run': {
        const { statement, bind } = query(step.statement)
        return statement.run(bind(step.params)).changes
      }
      case 'insert': {
        const { table, columns, onConflict, rows } = step
        const key = `insert ${table} ${columns} ${onConflict?.do} ${onConflict?.columns}`
        const row = `(${columns.map(() => '?')})`
        // `or fail`, as a statement of many rows that may undo itself copies each page first; the transaction undoes it.
        const text = (count: number) => () =>
          `insert or fail into ${quoted(table)} (${names(columns)}) values ${Array(count).fill(row)}${conflict(step)}`
        let changes = 0
        let at = 0
        for (const count of ROWS_TOGETHER) {
          for (; at + count <= rows.length; at += count) {
            changes += write(`${count} ${key}`, text(count)).run(valuesOf(rows, at, at + count)).changes
          }
        }
        return changes
      }
      case 'update': {
        const { table, columns, key } = step
        const text = () =>
          `update ${quoted(table)} set ${columns.map((column) => `${quoted(column)} = ?`)} where ${key
            .map((column) => `${quoted(column)} = ?`)
            .join(' and ')}`
        return runEach(write(`update ${table} ${columns} ${key}`, text), [...columns, ...key], step.rows)
      }
      case 'together':
        return step.steps.map(execute)
    }
  }
}

/** Kysely prepares a statement for every execution, which costs more than running it. */
function cachedPrepare(db: Sqlite.Database, limit = 200) {
  const cache = new Map<string, Sqlite.Statement<unknown[]>>()
  return {
    close: () => db.close(),
    prepare(text: string): Sqlite.Statement<unknown[]> {
      const known = cache.get(text)
      cache.delete(text)
      // A busy one is still being iterated elsewhere.
      const statement = known && !known.busy ? known : db.prepare<unknown[]>(text)
      cache.set(text, statement)
      if (cache.size > limit) cache.delete(cache.keys().next().value!)
      return statement
    },
  }
}

/** `for update` and `skip locked` say nothing here: BEGIN IMMEDIATE holds the whole database. */
class LockFreeSqliteDialect extends SqliteDialect {
  override createQueryCompiler(): SqliteQueryCompiler {
    return new LockFreeSqliteCompiler()
  }
}

class LockFreeSqliteCompiler extends SqliteQueryCompiler {
  protected override visitSelectModifier(node: SelectModifierNode): void {
    if (node.rawModifier || node.modifier === 'Distinct') super.visitSelectModifier(node)
  }
}

/** One transaction around all migrations: SQLite's DDL takes part in it, and its lock keeps other processes out. */
async function migrateSqlite<S, T>(
  path: string,
  run: (db: Kysely<S>) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  // No waiting inside SQLite: another migration of this very process could then never finish.
  const db = new Sqlite(path, { timeout: 0 })
  try {
    db.pragma('synchronous = FULL')
    // Tables are rebuilt under their references; the check below makes up for it.
    db.pragma('foreign_keys = OFF')
    await whenNotBusy(() => db.exec('begin immediate'), signal)
    const result = await run(new Kysely<S>({ dialect: new LockFreeSqliteDialect({ database: db }) }))
    const dangling = db.pragma('foreign_key_check') as unknown[]
    if (dangling.length > 0) throw new Error(`The migration leaves ${dangling.length} dangling references.`)
    db.exec('commit')
    return result
  } finally {
    db.close()
  }
}

async function whenNotBusy<T>(attempt: () => T, signal: AbortSignal | undefined): Promise<T> {
  for (const deadline = performance.now() + STARTUP_WAIT_MS; ; await wait(50, undefined, { signal })) {
    try {
      return attempt()
    } catch (error) {
      if (!codeOf(error).startsWith('SQLITE_BUSY') || performance.now() > deadline) throw error
    }
  }
}

function classifySqlite(error: unknown): 'unavailable' | 'fault' {
  return /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|READONLY|NOMEM|PROTOCOL)/.test(codeOf(error))
    ? 'unavailable'
    : 'fault'
}

// --- shared ----------------------------------------------------------------------------------------------------------

/** How long a write that was kept vouches for the next one: who asks each second makes it commit only now and then. */
const KEPT_MS = 5_000

/**
 * Writes a row and drops it, so that nothing of it is left; in between it rolls that back, which waits for no disk. Those
 * who ask at once share one answer.
 */
function pingBy(transaction: Database['transaction']): () => Promise<boolean> {
  // Nobody waits for the row of another process, which may stand still.
  const name = `ping ${randomUUID()}`
  const drop = statement<object, unknown>((db) => db.deleteFrom('setting').where('name', '=', sql.lit(name)))
  let keptAt = Number.NEGATIVE_INFINITY
  let underWay: Promise<boolean> | undefined

  function* write(): Work<void> {
    yield* insertRows('setting', [{ name, value: '' }])
    yield* run(drop, {})
  }

  async function ask(): Promise<boolean> {
    const rollback = performance.now() - keptAt < KEPT_MS
    try {
      await transaction(write, { rollback })
      if (!rollback) keptAt = performance.now()
      return true
    } catch {
      // Whatever is wrong, the answer is no, and the next yes is one that was kept.
      keptAt = Number.NEGATIVE_INFINITY
      return false
    } finally {
      underWay = undefined
    }
  }

  return () => {
    underWay ??= ask()
    return underWay
  }
}

function conflict({ columns, onConflict }: InsertStep): string {
  if (!onConflict) return ''
  const target = onConflict.columns ? ` (${names(onConflict.columns)})` : ''
  if (onConflict.do === 'ignore') return ` on conflict${target} do nothing`
  const others = columns.filter((column) => !onConflict.columns.includes(column))
  return ` on conflict${target} do update set ${others.map((name) => `${quoted(name)} = excluded.${quoted(name)}`)}`
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function names(columns: readonly string[]): string {
  return columns.map(quoted).join(', ')
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : ''
}

// --- PostgreSQL ------------------------------------------------------------------------------------------------------

const CONNECT_MS = 2_000
const STATEMENT_MS = 5_000
/**
 * How long a transaction may wait for us between two statements: one of a process that stands still holds rows that others
 * wait for. Longer than deciding the largest body takes.
 */
const IDLE_MS = 2_000
const READ_MS = 15_000
/** How often the server is asked for the time. */
const LOOK_MS = 5_000
const MAX_ROWS = 1_000
const MAX_JSON = 8 * 1024 * 1024

async function openPostgres<S>(url: string): Promise<Database<S>> {
  // Pools of their own, so that slow readers never keep a batch waiting.
  const writers = postgresPool(url, {
    max: 4,
    timeoutMs: STATEMENT_MS,
    idleMs: IDLE_MS,
    onConnect: readyToWrite,
  })
  const readers = postgresPool(url, { max: 10, timeoutMs: READ_MS, onConnect: readyToRead })
  const read = new Kysely<S>({ dialect: new PostgresDialect({ pool: readers }) })
  const prepare = postgresStatements(read)
  const underWay = new Set<Promise<unknown>>()

  /** A pool that ends forgets who is waiting for a connection, so closing waits for them first. */
  async function tracked<T>(task: Promise<T>): Promise<T> {
    underWay.add(task)
    try {
      return await task
    } finally {
      underWay.delete(task)
    }
  }

  async function runTransaction<T>(work: () => Work<T>, options: { rollback?: boolean } = {}): Promise<T> {
    const client = await writers.connect()
    let broken = false
    let isCommitting = false
    // Of statements that go out together each fails that follows one that failed, and says nothing of why.
    let why: unknown
    const ask: Ask = (query) =>
      client.query(query).catch((error) => {
        why ??= error
        throw error
      })
    try {
      await client.query('begin')
      const running = work()
      let turn = running.next()
      while (!turn.done) turn = running.next(await postgresStep(ask, turn.value, prepare))
      isCommitting = true
      const end = await client.query(options.rollback ? 'rollback' : 'commit')
      // PostgreSQL answers COMMIT of a failed transaction with ROLLBACK, not with an error.
      if (!options.rollback && end.command !== 'COMMIT') throw new Error('The transaction was rolled back.')
      return turn.value
    } catch (failure) {
      const error = why ?? failure
      broken = isLost(error) || isStalePlan(error) || !(await rolledBack(client))
      throw !isCommitting && isCutOff(error)
        ? new CutOff('The connection was cut off.', { cause: error })
        : error
    } finally {
      client.release(broken)
    }
  }

  const transaction: Database['transaction'] = (work, options) => tracked(runTransaction(work, options))
  const clock = serverClock(readers)
  try {
    await checkServer(writers)
    await clock.look()
  } catch (error) {
    await Promise.all([writers.end(), readers.end()])
    throw error
  }
  const looking = setInterval(() => void tracked(clock.look()).catch(() => {}), LOOK_MS).unref()

  return {
    kind: 'postgres',
    read,
    transaction,
    query: async <P extends object, R>(statement: Statement<P, R>, params: P) =>
      (await tracked(readers.query(prepare(statement, params)))).rows as R[],
    migrate: (run) => migratePostgres(url, run),
    classify: classifyPostgres,
    ping: pingBy(transaction),
    now: clock.now,
    async close() {
      clearInterval(looking)
      await Promise.allSettled(underWay)
      await Promise.all([writers.end(), readers.end()])
    },
  }
}

function postgresPool(
  url: string,
  options: {
    max: number
    timeoutMs: number
    lockMs?: number
    idleMs?: number
    onConnect?: (client: pg.ClientBase) => Promise<void>
  },
): pg.Pool {
  const { max, timeoutMs, lockMs = timeoutMs, idleMs = timeoutMs, onConnect } = options
  const types = new pg.TypeOverrides()
  types.setTypeParser(pg.types.builtins.INT8, Number)
  types.setTypeParser(pg.types.builtins.NUMERIC, Number)

  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'tocsin',
    max,
    types,
    onConnect,
    // Steps that run side by side go out in one round trip.
    pipeline: true,
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: timeoutMs,
    lock_timeout: lockMs,
    idle_in_transaction_session_timeout: idleMs,
    // A server that no longer answers at all cannot keep its own time limit.
    query_timeout: timeoutMs && timeoutMs + 1_000,
  })
  // A lost connection also fails the query that was using it; without listeners it would end the process as well.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

async function readyToRead(client: pg.ClientBase): Promise<void> {
  await client.query('set default_transaction_read_only = on')
}

async function readyToWrite(client: pg.ClientBase): Promise<void> {
  // Only "off" may forget a commit that was answered; the other values wait for at least this server's disk.
  await client.query(
    "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'",
  )
  // Whatever a transaction looks up has an index. For some dozens of keys PostgreSQL would rather walk through a table of
  // thousands of rows: dearer for each batch the more there are, and by counts that a new database does not have yet.
  await client.query('set enable_seqscan = off')
}

async function checkServer(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query(
    "select current_setting('synchronous_commit') as durable, current_setting('server_encoding') as encoding",
  )
  if (rows[0].durable === 'off') throw new Error('PostgreSQL must not run with synchronous_commit=off.')
  if (rows[0].encoding !== 'UTF8') throw new Error('The PostgreSQL database must have the encoding UTF8.')
}

interface ServerClock {
  now(): Date
  /** Sets it by the server. */
  look(): Promise<void>
}

/**
 * The server's clock, carried on in between by one that no setting of this machine's clock moves. It is set only as far
 * as an answer proves it wrong, so that a slow answer does not make it go back.
 */
function serverClock(pool: pg.Pool): ServerClock {
  // Milliseconds between the two.
  let ahead = Number.NEGATIVE_INFINITY
  return {
    now: () => new Date(performance.now() + ahead),
    async look() {
      const asked = performance.now()
      const { rows } = await pool.query('select extract(epoch from clock_timestamp()) * 1000 as ms')
      const [least, most] = [rows[0].ms - performance.now(), rows[0].ms - asked]
      ahead = Math.min(Math.max(ahead, least), most)
    },
  }
}

/** How long a migration waits for a table that others read, as a backup does: so long all that write wait behind it. */
const MIGRATION_LOCK_MS = 1_000
/** How long they go on before it asks again. */
const MIGRATION_PAUSE_MS = 1_000

async function migratePostgres<S, T>(url: string, run: (db: Kysely<S>) => Promise<T>): Promise<T> {
  const pool = postgresPool(url, {
    max: 2,
    timeoutMs: 0,
    lockMs: MIGRATION_LOCK_MS,
    onConnect: readyToWrite,
  })
  try {
    for (;;) {
      try {
        return await run(new Kysely<S>({ dialect: new PostgresDialect({ pool }) }))
      } catch (error) {
        if (!/^(55P03|40P01)$/.test(codeOf(error))) throw error
        await wait(MIGRATION_PAUSE_MS)
      }
    }
  } finally {
    await pool.end()
  }
}

export const dialectPostgres: Dialect = {
  isAnyOf: (column, list) => sql<boolean>`${column} = any(${list})`,
  listValue: (list) => list,
}

type Prepare = (statement: Statement, params: object) => pg.QueryConfig

/** Compiles each statement once and names it, so that each connection parses and plans it once. */
function postgresStatements<S>(compiler: Kysely<S>): Prepare {
  const compiled = new Map<Statement, CompiledStatement & { name: string }>()
  return (statement, params) => {
    let known = compiled.get(statement)
    if (!known) {
      known = { ...statement.compile(compiler, dialectPostgres), name: `tocsin_${compiled.size}` }
      compiled.set(statement, known)
    }
    return { name: known.name, text: known.sql, values: known.bind(params) }
  }
}

type Ask = (query: pg.QueryConfig) => Promise<pg.QueryResult>

async function postgresStep(ask: Ask, step: Step, prepare: Prepare): Promise<unknown> {
  switch (step.do) {
    case 'all':
      return (await ask(prepare(step.statement, step.params))).rows
    case 'allForEach': {
      const queries = step.paramsList.map((params) => ask(prepare(step.statement, params)))
      return (await Promise.all(queries)).map((result) => result.rows)
    }
    case 'run':
      return (await ask(prepare(step.statement, step.params))).rowCount ?? 0
    case 'insert':
      return writeRows(ask, step, insertSql(step))
    case 'update':
      return writeRows(ask, step, updateSql(step))
    case 'together':
      return Promise.all(step.steps.map((one) => postgresStep(ask, one, prepare)))
  }
}

async function writeRows(ask: Ask, step: InsertStep | UpdateStep, text: string): Promise<number> {
  const queries = jsonChunks(step.rows).map((json) => ask({ name: nameOf(text), text, values: [json] }))
  return (await Promise.all(queries)).reduce((sum, result) => sum + (result.rowCount ?? 0), 0)
}

function insertSql(step: InsertStep): string {
  const columns = names(step.columns)
  return `insert into ${quoted(step.table)} (${columns}) select ${columns} from json_populate_recordset(null::${quoted(step.table)}, $1::json)${conflict(step)}`
}

function updateSql({ table, columns, key }: UpdateStep): string {
  const set = columns.map((column) => `${quoted(column)} = v.${quoted(column)}`)
  const found = key.map((column) => `t.${quoted(column)} = v.${quoted(column)}`).join(' and ')
  return `update ${quoted(table)} t set ${set} from json_populate_recordset(null::${quoted(table)}, $1::json) v where ${found}`
}

/** The name of a prepared statement must belong to one text for the life of a connection. */
function nameOf(text: string): string {
  return `tocsin_${hash('sha256', text, 'base64url').slice(0, 24)}`
}

/** Rows as JSON arrays of bounded size. */
function jsonChunks(rows: readonly Row[]): string[] {
  const chunks: string[] = []
  let parts: string[] = []
  let size = 0
  for (const row of rows) {
    const part = rowJson(row)
    if (parts.length === MAX_ROWS || (parts.length > 0 && size + part.length > MAX_JSON)) {
      chunks.push(`[${parts}]`)
      parts = []
      size = 0
    }
    parts.push(part)
    size += part.length
  }
  return [...chunks, `[${parts}]`]
}

function rowJson(row: Row): string {
  const plain: Record<string, unknown> = {}
  for (const column in row) {
    const value = row[column]
    // Bytes go as the text form of bytea; half a surrogate pair, which PostgreSQL refuses, becomes U+FFFD as on SQLite.
    if (Buffer.isBuffer(value)) plain[column] = `\\x${value.toString('hex')}`
    else plain[column] = typeof value === 'string' ? value.toWellFormed() : value
  }
  return JSON.stringify(plain)
}

async function rolledBack(client: pg.ClientBase): Promise<boolean> {
  return client.query('rollback').then(
    () => true,
    () => false,
  )
}

function classifyPostgres(error: unknown): 'retry' | 'unavailable' | 'fault' {
  const code = codeOf(error)
  if (code === '40001' || code === '40P01' || isStalePlan(error) || error instanceof CutOff) return 'retry'
  return isLost(error) || AWAY.test(code) ? 'unavailable' : 'fault'
}

/**
 * Server states that pass: connection, login, resources, prerequisites (a lock, a database that takes no connections),
 * operator, system; a standby, a time limit, rights that are taken away, or a name that is missing while a server is set
 * up again. https://www.postgresql.org/docs/18/errcodes-appendix.html
 */
const AWAY = /^(08|28|53|55|57|58)...$|^(25006|25P03|25P04|3D000|42501)$/

/** The connection is gone or was never made, so nothing can be sent on it. */
function isLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return /^E(?!RR_)[A-Z_]+$/.test(codeOf(error)) || LOST.test(error.message)
}

const LOST =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|Query read timeout|timeout (exceeded|expired)|Cannot use a pool after)/

/**
 * A transaction whose connection ended before its commit was asked for: nothing of it was kept, so it may run again on
 * another one. Once it was asked for, nobody knows, and the sender is told to come back.
 */
class CutOff extends Error {
  override readonly name = 'CutOff'
}

/** Ended by the server or the network, at once: who had to wait for a time limit has waited enough. */
function isCutOff(error: unknown): boolean {
  if (/^(08...|57P01|57P02|ECONNRESET|EPIPE)$/.test(codeOf(error))) return true
  return error instanceof Error && /^Connection terminated unexpectedly/.test(error.message)
}

/** A prepared statement that another process's migration has overtaken; a new connection prepares it afresh. */
function isStalePlan(error: unknown): boolean {
  const stale = error instanceof pg.DatabaseError && error.routine === 'RevalidateCachedQuery'
  return stale || codeOf(error) === '26000'
}
