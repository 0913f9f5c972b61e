import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { Kysely, type SelectModifierNode, SqliteDialect, SqliteQueryCompiler, sql } from 'kysely'
import { codeOf } from './error-code.ts'
import type { Database, Dialect } from './open-database.ts'
import { pingBy } from './ping.ts'
import { conflict, names, quoted } from './row-sql.ts'
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

/** How long a synchronous wait for another process's lock may stop the event loop. */
const BUSY_MS = 500
/** How long once such a wait was in vain, until the lock is free again: the wait stops everything else as well. */
const STILL_BUSY_MS = 20
const STARTUP_WAIT_MS = 30_000
const TELL_AFTER_MS = 1_000

export async function openSqlite<S>(path: string, signal: AbortSignal | undefined): Promise<Database<S>> {
  if (path === '' || path.includes(':memory:'))
    throw new Error('DATABASE_URL: sqlite: needs the path of a file.')
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // SQLite gives -wal and -shm the mode of the database file.
  closeSync(openSync(path, 'a', 0o600))

  const writer = await whenNotBusy(() => openSqliteWriter(path), { signal })
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
    migrate: (run, onWait) => migrateSqlite(path, run, { signal, onWait }),
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
  kind: 'sqlite',
  isAnyOf: (column, list) => sql<boolean>`${column} in (select value from json_each(${list}))`,
  listValue: (list) => JSON.stringify(list),
}

/** How many rows one statement inserts: as many as there are. */
const ROWS_TOGETHER = [32, 8, 1]

/** What is in these columns of these rows, one row after the other. */
function valuesOf(rows: readonly Row[], columns: readonly string[], from: number, to: number): unknown[] {
  const values: unknown[] = []
  for (let at = from; at < to; at++) for (const column of columns) values.push(rows[at]![column])
  return values
}

/** Prepared statements that are kept: an insert of each table for whatever columns have values, and more. */
const MOST_PREPARED = 200

/** The value of this key; of those used before it, the map keeps the last ones. */
function recent<V>(map: Map<string, V>, key: string, make: (known: V | undefined) => V): V {
  const value = make(map.get(key))
  map.delete(key)
  map.set(key, value)
  if (map.size > MOST_PREPARED) map.delete(map.keys().next().value!)
  return value
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

  const write = (key: string, text: () => string) =>
    recent(prepared, key, (known) => known ?? db.prepare(text()))

  function insert(step: InsertStep): number {
    const { table, onConflict, rows } = step
    // Binding a value costs more than storing it. Whatever may be null is null by default.
    const columns = step.columns.filter((column) => rows.some((row) => row[column] !== null))
    const key = `insert ${table} ${columns} ${onConflict?.do} ${onConflict?.columns}`
    const row = `(${columns.map(() => '?')})`
    // `or fail`, as a statement of many rows that may undo itself copies each page first; the transaction undoes it.
    const text = (count: number) => () =>
      `insert or fail into ${quoted(table)} (${names(columns)}) values ${Array(count).fill(row)}${conflict(step)}`
    let changes = 0
    let at = 0
    for (const count of ROWS_TOGETHER) {
      for (; at + count <= rows.length; at += count) {
        changes += write(`${count} ${key}`, text(count)).run(valuesOf(rows, columns, at, at + count)).changes
      }
    }
    return changes
  }

  function update({ table, columns, key, rows }: UpdateStep): number {
    const placed = (column: string) => `${quoted(column)} = ?`
    const text = () =>
      `update ${quoted(table)} set ${columns.map(placed)} where ${key.map(placed).join(' and ')}`
    const statement = write(`update ${table} ${columns} ${key}`, text)
    const bound = [...columns, ...key]
    // One list for all rows: what is bound is copied at once.
    const values = new Array<unknown>(bound.length)
    let changes = 0
    for (const row of rows) {
      for (let i = 0; i < bound.length; i++) values[i] = row[bound[i]!]
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
      case 'insert':
        return insert(step)
      case 'update':
        return update(step)
      case 'kind':
        return 'sqlite'
      case 'together':
        return step.steps.map(execute)
    }
  }
}

/** Kysely prepares a statement for every execution, which costs more than running it. */
function cachedPrepare(db: Sqlite.Database) {
  const cache = new Map<string, Sqlite.Statement<unknown[]>>()
  return {
    close: () => db.close(),
    prepare(text: string): Sqlite.Statement<unknown[]> {
      // A busy one is still being iterated elsewhere.
      return recent(cache, text, (known) => (known && !known.busy ? known : db.prepare(text)))
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
  options: WaitOptions,
): Promise<T> {
  // No waiting inside SQLite: another migration of this very process could then never finish.
  const db = new Sqlite(path, { timeout: 0 })
  try {
    db.pragma('synchronous = FULL')
    // Tables are rebuilt under their references; the check below makes up for it.
    db.pragma('foreign_keys = OFF')
    await whenNotBusy(() => db.exec('begin immediate'), options)
    const result = await run(new Kysely<S>({ dialect: new LockFreeSqliteDialect({ database: db }) }))
    const dangling = db.pragma('foreign_key_check') as unknown[]
    if (dangling.length > 0) throw new Error(`The migration leaves ${dangling.length} dangling references.`)
    db.exec('commit')
    return result
  } finally {
    db.close()
  }
}

interface WaitOptions {
  /** Breaks it off. */
  signal?: AbortSignal | undefined
  /** Called once it has lasted for a second. */
  onWait?: (() => void) | undefined
}

async function whenNotBusy<T>(attempt: () => T, { signal, onWait }: WaitOptions): Promise<T> {
  const start = performance.now()
  for (let isTold = false; ; await wait(50, undefined, { signal })) {
    try {
      return attempt()
    } catch (error) {
      const waited = performance.now() - start
      if (!codeOf(error).startsWith('SQLITE_BUSY') || waited > STARTUP_WAIT_MS) throw error
      if (!isTold && waited > TELL_AFTER_MS) {
        isTold = true
        onWait?.()
      }
    }
  }
}

function classifySqlite(error: unknown): 'unavailable' | 'fault' {
  return /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|READONLY|NOMEM|PROTOCOL)/.test(codeOf(error))
    ? 'unavailable'
    : 'fault'
}
