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
  type Row,
  runWork,
  type Statement,
  type Step,
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
  /** Whether the database answers and takes writes. */
  ping(): Promise<boolean>
  /** Waits for running transactions, then disconnects. */
  close(): Promise<void>
}

/** What a statement needs to know of its database when it is compiled and bound. */
export interface Dialect {
  isAnyOf(column: Expression<unknown>, list: Expression<unknown>): RawBuilder<boolean>
  listValue(list: readonly unknown[]): unknown
}

/** Opens `sqlite:<path>` or `postgres://…` and refuses one that would not keep what it acknowledged. */
export async function openDatabase<S = Schema>(url: string): Promise<Database<S>> {
  if (url.startsWith('sqlite:')) return openSqlite<S>(url.slice('sqlite:'.length).replace(/^\/\//, ''))
  if (/^postgres(ql)?:\/\//.test(url)) return openPostgres<S>(url)
  throw new Error('DATABASE_URL must be sqlite:<path>, such as sqlite:data/tocsin.db, or postgres://…')
}

// --- SQLite ----------------------------------------------------------------------------------------------------------

/** How long a synchronous wait for another process's lock may stop the event loop. */
const BUSY_MS = 500
const STARTUP_WAIT_MS = 30_000

async function openSqlite<S>(path: string): Promise<Database<S>> {
  if (path === '' || path.includes(':memory:'))
    throw new Error('DATABASE_URL: sqlite: needs the path of a file.')
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // SQLite gives -wal and -shm the mode of the database file.
  closeSync(openSync(path, 'a', 0o600))

  const writer = await whenNotBusy(() => openSqliteWriter(path))
  const reader = openSqliteReader(path)
  for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600)

  const read = new Kysely<S>({ dialect: new LockFreeSqliteDialect({ database: cachedPrepare(reader) }) })
  const execute = sqliteSteps(writer, read)
  const query = sqliteSteps(reader, read)
  const begin = writer.prepare('begin immediate')
  const commit = writer.prepare('commit')
  const rollBack = writer.prepare('rollback')

  async function transaction<T>(work: () => Work<T>, options: { rollback?: boolean } = {}): Promise<T> {
    begin.run()
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
    migrate: (run) => migrateSqlite(path, run),
    classify: classifySqlite,
    // Lets no error out: whatever is wrong, the answer is no.
    ping: () =>
      transaction(function* () {}, { rollback: true }).then(
        () => true,
        () => false,
      ),
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

const isAnyOfSqlite: Dialect = {
  isAnyOf: (column, list) => sql<boolean>`${column} in (select value from json_each(${list}))`,
  listValue: (list) => JSON.stringify(list),
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
      const { sql: text, bind } = statement.compile(compiler, isAnyOfSqlite)
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
    for (const row of rows) changes += statement.run(columns.map((column) => row[column])).changes
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
        const { table, columns, onConflict } = step
        const key = `insert ${table} ${columns} ${onConflict?.do} ${onConflict?.columns}`
        const text = () =>
          `insert into ${quoted(table)} (${names(columns)}) values (${columns.map(() => '?')})${conflict(step)}`
        return runEach(write(key, text), columns, step.rows)
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
async function migrateSqlite<S, T>(path: string, run: (db: Kysely<S>) => Promise<T>): Promise<T> {
  // No waiting inside SQLite: another migration of this very process could then never finish.
  const db = new Sqlite(path, { timeout: 0 })
  try {
    db.pragma('synchronous = FULL')
    // Tables are rebuilt under their references; the check below makes up for it.
    db.pragma('foreign_keys = OFF')
    await whenNotBusy(() => db.exec('begin immediate'))
    const result = await run(new Kysely<S>({ dialect: new LockFreeSqliteDialect({ database: db }) }))
    const dangling = db.pragma('foreign_key_check') as unknown[]
    if (dangling.length > 0) throw new Error(`The migration leaves ${dangling.length} dangling references.`)
    db.exec('commit')
    return result
  } finally {
    db.close()
  }
}

async function whenNotBusy<T>(attempt: () => T): Promise<T> {
  for (const deadline = performance.now() + STARTUP_WAIT_MS; ; await wait(50)) {
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

async function openPostgres<S>(_url: string): Promise<Database<S>> {
  throw new Error('PostgreSQL is not supported yet.')
}
