import { hash } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import pg from 'pg'
import { migrate } from '../../../../core/store/migrate.ts'
import { migrations } from '../../../../core/store/migrations/index.ts'
import { openDatabase } from '../../../../core/store/open-database.ts'

/** Names of the released schemas, the oldest first: each is that of its last migration. */
export const releases = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.sql'))
  .map((file) => file.slice(0, -'.sql'.length))
  .toSorted()

/** An event has a row in each of them. */
export const EVENT_TABLES = ['event', 'hook_request', 'timeline_entry']

type Row = Record<string, unknown>

/** A database's own hands: SQL with values, and what it holds. */
export interface Hands {
  run(sql: string, values?: readonly unknown[]): Promise<unknown>
  rows(sql: string): Promise<Row[]>
  columns(table: string): Promise<string[]>
  tables(): Promise<string[]>
  close(): Promise<void>
}

/**
 * Makes a database as a release left it, with rows in every table, and `events` more events. On SQLite the schema
 * is the one that was kept; on PostgreSQL, of which none is kept, today's migrations up to that release make it.
 */
export async function loadRelease(url: string, release: string, events = 0): Promise<void> {
  if (url.startsWith('sqlite:')) {
    const path = url.slice('sqlite:'.length)
    const db = new Sqlite(path)
    // As the program makes it, which refuses another.
    chmodSync(path, 0o600)
    db.exec(readFileSync(join(import.meta.dirname, `${release}.sql`), 'utf8'))
    db.close()
  } else {
    const database = await openDatabase(url)
    const applied = Object.entries(migrations).filter(([name]) => name <= release)
    await migrate(database, Object.fromEntries(applied))
    await database.close()
  }

  const hands = await openHands(url)
  try {
    const life = readLife()
    for (const table of (await hands.tables()).filter((name) => name in life)) {
      const known = await hands.columns(table)
      for (const row of life[table]!) {
        // A later column has its default.
        const columns = known.filter((column) => column in row)
        const values = columns.map((column) => row[column])
        const places = columns.map((_, index) => `$${index + 1}`)
        await hands.run(`insert into "${table}" (${quoted(columns)}) values (${places})`, values)
      }
    }
    if (events > 0) for (const table of EVENT_TABLES) await multiply(hands, table, events)
  } finally {
    await hands.close()
  }
}

/** How many rows each table has, and for each column a number that changes when any value of it does. */
export async function fingerprint(url: string): Promise<Map<string, Map<string, number>>> {
  const hands = await openHands(url)
  try {
    const prints = new Map<string, Map<string, number>>()
    for (const table of await hands.tables()) {
      const print = new Map<string, number>([['rows', 0]])
      for (const row of await hands.rows(`select * from "${table}"`)) {
        print.set('rows', print.get('rows')! + 1)
        for (const [column, value] of Object.entries(row)) {
          const text = Buffer.isBuffer(value) ? value.toString('hex') : String(value)
          // A sum, since no order is promised; 44 bits of each, so that it stays exact.
          const part = Number.parseInt(hash('sha256', `${row.id}/${text}`).slice(0, 11), 16)
          print.set(column, ((print.get(column) ?? 0) + part) % 2 ** 44)
        }
      }
      prints.set(table, print)
    }
    return prints
  } finally {
    await hands.close()
  }
}

export type Prints = Awaited<ReturnType<typeof fingerprint>>

/** Where a column went that a later schema no longer has. */
const MOVED: Record<string, [table: string, column: string]> = { 'message.body': ['message_body', 'body'] }

/** Columns of the one whose values, or whose number of rows, the other does not have. */
export function findLost(before: Prints, after: Prints): string[] {
  return [...before].flatMap(([table, columns]) =>
    [...columns]
      .filter(([column, print]) => {
        const [newTable, newColumn] = after.get(table)?.has(column)
          ? [table, column]
          : (MOVED[`${table}.${column}`] ?? [table, column])
        return after.get(newTable)?.get(newColumn) !== print
      })
      .map(([column]) => `${table}.${column}`),
  )
}

export async function openHands(url: string): Promise<Hands> {
  if (url.startsWith('sqlite:')) {
    const db = new Sqlite(url.slice('sqlite:'.length))
    const rows = async (sql: string) => db.prepare<[], Row>(sql).all()
    return {
      run: async (sql, values = []) => db.prepare(sql.replaceAll(/\$\d+/g, '?')).run(values),
      rows,
      columns: async (table) => (await rows(`pragma table_info("${table}")`)).map(({ name }) => String(name)),
      tables: async () =>
        (await rows("select name from sqlite_schema where type = 'table'"))
          .map(({ name }) => String(name))
          .filter(isOurs),
      close: async () => void db.close(),
    }
  }

  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const rows = async (sql: string): Promise<Row[]> => (await client.query(sql)).rows
  const names = async (sql: string) => (await rows(sql)).map(({ name }) => String(name))
  return {
    run: (sql, values = []) => client.query(sql, [...values]),
    rows,
    columns: (table) =>
      names(
        `select column_name as name from information_schema.columns where table_schema = 'public' and table_name = '${table}'`,
      ),
    tables: async () =>
      (
        await names(
          "select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'",
        )
      ).filter(isOurs),
    close: () => client.end(),
  }
}

function isOurs(table: string): boolean {
  return !table.startsWith('sqlite_') && !table.startsWith('kysely_')
}

/** The rows of the life, bytes as bytes; the body of a message also where it stood before it had a table of its own. */
function readLife(): Record<string, Row[]> {
  const text = readFileSync(join(import.meta.dirname, 'rows.json'), 'utf8')
  const life: Record<string, Row[]> = JSON.parse(text, (_key, value) =>
    typeof value?.base64 === 'string' ? Buffer.from(value.base64, 'base64') : value,
  )
  const bodies = new Map(life.message_body!.map(({ id, body }) => [id, body]))
  life.message = life.message!.map((row) => ({ ...row, body: bodies.get(row.body_id) }))
  return life
}

/** What no two rows have in common, but which may be missing. */
const UNIQUE_OR_NULL = ['event_key', 'delivery_key', 'sequence']

/** Copies one row of a table many times under other ids. */
async function multiply(hands: Hands, table: string, count: number): Promise<void> {
  const columns = await hands.columns(table)
  const copied = columns.map((column) => {
    if (column === 'id') return `"id" || '-' || i`
    return UNIQUE_OR_NULL.includes(column) ? 'null' : `"${column}"`
  })
  await hands.run(
    `with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})
     insert into "${table}" (${quoted(columns)}) select ${copied} from n, "${table}" where "id" = (select min("id") from "${table}")`,
  )
}

function quoted(columns: readonly string[]): string {
  return columns.map((column) => `"${column}"`).join(', ')
}
