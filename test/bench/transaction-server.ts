/**
 * Reference: what most would write. The product and its tables, but every request in a kysely transaction of its own:
 * each statement built, compiled and run by kysely when it is needed; each commit waits for the disk (synchronous=FULL).
 */
import { randomBytes } from 'node:crypto'
import Sqlite from 'better-sqlite3'
import {
  CompiledQuery,
  type Insertable,
  Kysely,
  PostgresDialect,
  SqliteDialect,
  type Transaction,
  type Updateable,
} from 'kysely'
import pg from 'pg'
import { openOn } from '../../core/open-tocsin.ts'
import { migrate } from '../../core/store/migrate.ts'
import { migrations } from '../../core/store/migrations/index.ts'
import { openDatabase, sqlitePath } from '../../core/store/open-database.ts'
import { dialectPostgres } from '../../core/store/postgres.ts'
import type { Schema } from '../../core/store/schema.ts'
import { dialectSqlite } from '../../core/store/sqlite.ts'
import type { Statement, Step } from '../../core/store/statement.ts'
import { announceTocsin } from './announce-tocsin.ts'

const url = process.env.DATABASE_URL!
const database = await openDatabase(url)
await migrate(database, migrations)

const path = sqlitePath(url)
const db = new Kysely<Schema>({ dialect: path === undefined ? onPostgres() : onSqlite(path) })
const dialect = path === undefined ? dialectPostgres : dialectSqlite

const tocsin = await openOn(
  {
    ...database,
    transaction: (work, { rollback = false } = {}) =>
      db
        .transaction()
        .execute(async (trx) => {
          const running = work()
          let turn = running.next()
          while (!turn.done) turn = running.next(await execute(trx, turn.value))
          if (rollback) throw new RolledBack(turn.value)
          return turn.value
        })
        .catch((error: unknown) => {
          if (error instanceof RolledBack) return error.value as never
          throw error
        }),
  },
  {
    databaseUrl: url,
    secretKey: randomBytes(32),
    publicUrl: 'http://127.0.0.1',
    defaultPlan: 'unlimited',
    commitIntervalMs: 0,
    mostPerCommit: 1,
  },
)
await announceTocsin(tocsin)

class RolledBack extends Error {
  readonly value: unknown

  constructor(value: unknown) {
    super('rolled back')
    this.value = value
  }
}

function onSqlite(path: string): SqliteDialect {
  const file = new Sqlite(path)
  file.pragma('synchronous = FULL')
  file.pragma('cache_size = -16000')
  file.pragma('wal_autocheckpoint = 10000')
  return new SqliteDialect({ database: file })
}

function onPostgres(): PostgresDialect {
  const types = new pg.TypeOverrides()
  types.setTypeParser(pg.types.builtins.INT8, Number)
  types.setTypeParser(pg.types.builtins.NUMERIC, Number)
  return new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 10, types }) })
}

async function execute(trx: Transaction<Schema>, step: Step): Promise<unknown> {
  switch (step.do) {
    case 'all':
      return (await query(trx, step.statement, step.params)).rows
    case 'allForEach': {
      const lists: unknown[][] = []
      for (const params of step.paramsList) lists.push((await query(trx, step.statement, params)).rows)
      return lists
    }
    case 'run':
      return Number((await query(trx, step.statement, step.params)).numAffectedRows ?? 0)
    case 'insert': {
      for (const row of step.rows) {
        const insert = trx
          .insertInto(step.table as keyof Schema)
          .values(row as Insertable<Schema[keyof Schema]>)
        const { onConflict } = step
        const columns = (onConflict?.columns ?? []) as never[]
        if (onConflict?.do === 'ignore')
          await insert.onConflict((c) => c.columns(columns).doNothing()).execute()
        else if (onConflict?.do === 'replace') {
          await insert.onConflict((c) => c.columns(columns).doUpdateSet(row as never)).execute()
        } else await insert.execute()
      }
      return step.rows.length
    }
    case 'update': {
      for (const row of step.rows) {
        const values = Object.fromEntries(step.columns.map((column) => [column, row[column]]))
        let update = trx
          .updateTable(step.table as keyof Schema)
          .set(values as Updateable<Schema[keyof Schema]>)
        for (const column of step.key) update = update.where(column as never, '=', row[column] as never)
        await update.execute()
      }
      return step.rows.length
    }
    case 'kind':
      return dialect.kind
    case 'together': {
      const answers: unknown[] = []
      for (const inner of step.steps) answers.push(await execute(trx, inner))
      return answers
    }
  }
}

function query(trx: Transaction<Schema>, statement: Statement, params: object) {
  const { sql, bind } = statement.compile(database.read, dialect)
  return trx.executeQuery(CompiledQuery.raw(sql, bind(params)))
}
