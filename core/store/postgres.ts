import { hash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import { codeOf } from './error-code.ts'
import type { Database, Dialect } from './open-database.ts'
import { pingBy } from './ping.ts'
import { conflict, names, quoted } from './row-sql.ts'
import type { CompiledStatement, InsertStep, Row, Statement, Step, UpdateStep, Work } from './statement.ts'

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

export async function openPostgres<S>(url: string): Promise<Database<S>> {
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
      (await tracked(readers.query(prepare.one(statement, params)))).rows as R[],
    migrate: (run, onWait) => migratePostgres(url, run, onWait),
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

async function migratePostgres<S, T>(
  url: string,
  run: (db: Kysely<S>) => Promise<T>,
  onWait: (() => void) | undefined,
): Promise<T> {
  const pool = postgresPool(url, {
    max: 2,
    timeoutMs: 0,
    lockMs: MIGRATION_LOCK_MS,
    onConnect: readyToWrite,
  })
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await run(new Kysely<S>({ dialect: new PostgresDialect({ pool }) }))
      } catch (error) {
        if (!/^(55P03|40P01)$/.test(codeOf(error))) throw error
        if (attempt === 1) onWait?.()
        await wait(MIGRATION_PAUSE_MS)
      }
    }
  } finally {
    await pool.end()
  }
}

export const dialectPostgres: Dialect = {
  kind: 'postgres',
  isAnyOf: (column, list) => sql<boolean>`${column} = any(${list})`,
  listValue: (list) => list,
}

interface Prepare {
  one(statement: Statement, params: object): pg.QueryConfig
  /** The rows for all of these parameters, each with the place of its own among them, counted from 1. */
  forEach(statement: Statement, paramsList: readonly object[]): pg.QueryConfig
}

/** Compiles each statement once and names it, so that each connection parses and plans it once. */
function postgresStatements<S>(compiler: Kysely<S>): Prepare {
  const compiled = new Map<Statement, CompiledStatement & { name: string }>()
  const known = (statement: Statement) => {
    let one = compiled.get(statement)
    if (!one) {
      one = { ...statement.compile(compiler, dialectPostgres), name: `tocsin_${compiled.size}` }
      compiled.set(statement, one)
    }
    return one
  }
  return {
    one(statement, params) {
      const { name, sql: text, bind } = known(statement)
      return { name, text, values: bind(params) }
    },
    forEach(statement, paramsList) {
      const { sql: query, bind } = known(statement)
      const rows = paramsList.map(bind)
      const lists = rows[0]!.map((_, index) => rows.map((values) => values[index]))
      const text = forEachSql(query, lists)
      return { name: nameOf(text), text, values: lists }
    },
  }
}

/**
 * One statement for many sets of parameters costs a fraction of as many statements. The rows of each come in the order
 * of its query, as each is a loop of its own.
 */
function forEachSql(query: string, lists: readonly unknown[][]): string {
  const asked = lists.map((list, index) => `$${index + 1}::${elementType(list)}[]`)
  const columns = lists.map((_, index) => `p${index + 1}, `).join('')
  // What is quoted stays as it is.
  const inner = query.replaceAll(/'(?:[^']|'')*'|\$(\d+)/g, (text, n) =>
    n === undefined ? text : `asked.p${n}`,
  )
  return `select asked.asked_place, found.* from unnest(${asked}) with ordinality as asked(${columns}asked_place) cross join lateral (${inner}) as found`
}

function elementType(values: readonly unknown[]): string {
  const given = values.filter((value) => value !== null)
  if (given.every((value) => typeof value === 'string')) return 'text'
  if (given.every(Number.isSafeInteger)) return 'bigint'
  throw new Error('Parameters of a query for each set are texts, whole numbers or null.')
}

type Ask = (query: pg.QueryConfig) => Promise<pg.QueryResult>

async function postgresStep(ask: Ask, step: Step, prepare: Prepare): Promise<unknown> {
  switch (step.do) {
    case 'all':
      return (await ask(prepare.one(step.statement, step.params))).rows
    case 'allForEach': {
      const { rows } = await ask(prepare.forEach(step.statement, step.paramsList))
      const found = step.paramsList.map((): Row[] => [])
      for (const { asked_place, ...row } of rows) found[asked_place - 1]!.push(row)
      return found
    }
    case 'run':
      return (await ask(prepare.one(step.statement, step.params))).rowCount ?? 0
    case 'insert':
    case 'update':
      return writeRows(ask, step)
    case 'kind':
      return 'postgres'
    case 'together':
      return Promise.all(step.steps.map((one) => postgresStep(ask, one, prepare)))
  }
}

async function writeRows(ask: Ask, step: InsertStep | UpdateStep): Promise<number> {
  const text = step.do === 'insert' ? insertSql(step) : updateSql(step)
  const keys = step.do === 'insert' ? [] : step.key.map((column) => step.rows.map((row) => row[column]))
  const queries = jsonChunks(step.rows).map((json) =>
    ask({ name: nameOf(text), text, values: [json, ...keys] }),
  )
  return (await Promise.all(queries)).reduce((sum, result) => sum + (result.rowCount ?? 0), 0)
}

function insertSql(step: InsertStep): string {
  const columns = names(step.columns)
  return `insert into ${quoted(step.table)} (${columns}) select ${columns} from json_populate_recordset(null::${quoted(step.table)}, $1::json)${conflict(step)}`
}

/**
 * The keys are given as lists besides: a look for these in the index, however small the table was when it was planned.
 * By the join alone PostgreSQL reads the whole index of a small table, and goes on doing so as it grows.
 */
function updateSql({ table, columns, key }: UpdateStep): string {
  const set = columns.map((column) => `${quoted(column)} = v.${quoted(column)}`)
  const found = key
    .flatMap((column, i) => [
      `t.${quoted(column)} = any($${i + 2})`,
      `t.${quoted(column)} = v.${quoted(column)}`,
    ])
    .join(' and ')
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

/** Without what is null: the server sets what is missing to that. */
function rowJson(row: Row): string {
  const given: Record<string, unknown> = {}
  for (const column in row) {
    const value = row[column]
    if (value === null) continue
    // Half a surrogate pair, which PostgreSQL refuses, becomes U+FFFD as on SQLite; bytes go as the text form of bytea.
    if (typeof value === 'string') given[column] = value.toWellFormed()
    else given[column] = Buffer.isBuffer(value) ? `\\x${value.toString('hex')}` : value
  }
  return JSON.stringify(given)
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
