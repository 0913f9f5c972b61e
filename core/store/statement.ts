import {
  type CompiledQuery,
  type Expression,
  type Insertable,
  type Kysely,
  type RawBuilder,
  sql,
} from 'kysely'
import type { DatabaseKind, Dialect } from './open-database.ts'
import type { Schema } from './schema.ts'

/**
 * Store functions are generators that yield what they want done, so that one text serves both databases: SQLite runs
 * a work without ever leaving the call stack, PostgreSQL waits between its steps. A step that fails ends the
 * transaction at once; a work cannot catch it and must not hold anything that needs a `finally`.
 */
export type Work<T> = Generator<Step, T, unknown>

/** One thing a work asks of the database. The answer is rows, lists of rows, or a number of changed rows. */
export type Step =
  | { do: 'all'; statement: Statement; params: object }
  | { do: 'allForEach'; statement: Statement; paramsList: readonly object[] }
  | { do: 'run'; statement: Statement; params: object }
  | InsertStep
  | UpdateStep
  | { do: 'kind' }
  | { do: 'together'; steps: readonly Step[] }

export interface InsertStep {
  do: 'insert'
  table: string
  columns: readonly string[]
  rows: readonly Row[]
  onConflict: OnConflict | undefined
}

export interface UpdateStep {
  do: 'update'
  table: string
  /** The columns to set. */
  columns: readonly string[]
  key: readonly string[]
  rows: readonly Row[]
}

export type Row = Readonly<Record<string, unknown>>

/** What an insert does with a row that is there already. Without columns, any unique index counts. */
export type OnConflict<C extends string = string> =
  | { do: 'ignore'; columns?: readonly C[] }
  | { do: 'replace'; columns: readonly C[] }

/** A query written once, compiled once per database. `P` are its parameters, `R` is a row of its answer. */
export interface Statement<in P = never, out R = unknown> {
  compile(db: unknown, dialect: Dialect): CompiledStatement
  /** Never there: it ties P and R to the type. */
  readonly types?: (params: P) => R
}

/** SQL for one database, with what to bind to each placeholder. */
export interface CompiledStatement {
  sql: string
  bind(params: object): unknown[]
}

/** Typed stand-ins for the parameters of a statement. */
export interface Placeholders<P> {
  /** `p('id')` stands for `params.id` in an expression. */
  <K extends keyof P & string>(name: K): RawBuilder<P[K]>
  /** `isAnyOf('incident.id', p.list('ids'))`: for a parameter that is a list. */
  list<K extends keyof P & string>(name: K): ListPlaceholder<P[K] extends readonly (infer T)[] ? T : never>
}

export interface ListPlaceholder<T> {
  readonly name: string
  readonly dialect: Dialect
  /** Never there: it ties T to the type. */
  readonly element?: T
}

/** Defines a query. Literal values in it stay literal; what varies comes in through `p`. */
export function statement<P extends object, R, S = Schema>(
  build: (
    db: Kysely<S>,
    p: Placeholders<P>,
    kind: DatabaseKind,
  ) => { compile(db: Kysely<S>): CompiledQuery<R> },
): Statement<P, R> {
  return {
    compile(db, dialect) {
      const scalar = <K extends keyof P & string>(name: K) => sql<P[K]>`${new Parameter(name, false)}`
      const list = (name: string) => ({ name, dialect })
      const query = build(db as Kysely<S>, Object.assign(scalar, { list }), dialect.kind)
      const { sql: text, parameters } = query.compile(db as Kysely<S>)
      return { sql: text, bind: binder(parameters, dialect) }
    },
  }
}

/** Whether the column holds one of the list's values. */
export function isAnyOf<T>(column: string | Expression<T>, list: ListPlaceholder<T>): RawBuilder<boolean> {
  const left = typeof column === 'string' ? sql.ref<T>(column) : column
  return list.dialect.isAnyOf(left, sql`${new Parameter(list.name, true)}`)
}

/** Runs a query and answers its rows. */
export function* all<P extends object, R>(query: Statement<P, R>, params: P): Work<R[]> {
  return (yield { do: 'all', statement: query, params }) as R[]
}

/**
 * Runs a query once per parameter set, in one round trip; answers one list of rows per set. Parameters are texts, whole
 * numbers or null, and a row has no column `asked_place`.
 */
export function* allForEach<P extends object, R>(
  query: Statement<P, R>,
  paramsList: readonly P[],
): Work<R[][]> {
  return paramsList.length === 0 ? [] : ((yield { do: 'allForEach', statement: query, paramsList }) as R[][])
}

/** Runs a change and answers how many rows it changed. */
export function* run<P extends object>(query: Statement<P, unknown>, params: P): Work<number> {
  return (yield { do: 'run', statement: query, params }) as number
}

/** Inserts rows, which all have the same columns, and answers how many went in or were replaced. */
export function* insertRows<S = Schema, T extends keyof S & string = keyof S & string>(
  table: T,
  rows: readonly Insertable<S[T]>[],
  options: { onConflict?: OnConflict<keyof S[T] & string> } = {},
): Work<number> {
  const columns = columnsOf(table, rows)
  if (columns.length === 0) return 0
  const { onConflict } = options
  const last = onConflict?.do === 'replace' ? lastOfEach(rows as readonly Row[], onConflict.columns) : rows
  return (yield { do: 'insert', table, columns, rows: last as readonly Row[], onConflict }) as number
}

/**
 * Updates rows found by their key columns: sets every other column they have, the same in each of them. Answers how
 * many rows were found. The last of several rows with one key wins.
 */
export function* updateRows<S = Schema, T extends keyof S & string = keyof S & string>(
  table: T,
  rows: readonly Partial<Insertable<S[T]>>[],
  key: readonly (keyof S[T] & string)[] = ['id' as keyof S[T] & string],
): Work<number> {
  const columns = columnsOf(table, rows).filter((column) => !(key as readonly string[]).includes(column))
  if (columns.length === 0) return 0
  return (yield {
    do: 'update',
    table,
    columns,
    key,
    rows: lastOfEach(rows as readonly Row[], key),
  }) as number
}

/** Which database this is, for what is stored on one of them only. */
export function* databaseKind(): Work<DatabaseKind> {
  return (yield { do: 'kind' }) as DatabaseKind
}

/**
 * Runs works side by side, such as loads that do not need each other's answers: PostgreSQL gets their steps in one
 * round trip, in this order.
 */
export function* together<const T extends readonly unknown[]>(
  ...works: { readonly [K in keyof T]: Work<T[K]> }
): Work<{ -readonly [K in keyof T]: T[K] }> {
  const turns = works.map((work) => work.next())
  for (;;) {
    const waiting = turns.flatMap((turn, index) => (turn.done ? [] : [{ index, step: turn.value as Step }]))
    if (waiting.length === 0) break
    const answers = (yield { do: 'together', steps: waiting.map(({ step }) => step) }) as unknown[]
    for (const [place, { index }] of waiting.entries()) turns[index] = works[index]!.next(answers[place])
  }
  return turns.map((turn) => turn.value) as { -readonly [K in keyof T]: T[K] }
}

/** Drives a work without waiting: how SQLite, and a stand-in that only answers, run it. */
export function runWork<T>(work: Work<T>, execute: (step: Step) => unknown): T {
  let turn = work.next()
  while (!turn.done) turn = work.next(execute(turn.value))
  return turn.value
}

/** Whether two rows differ in none but these columns. */
export function isSameBut<R extends object>(
  columns: readonly (keyof R)[],
  before: R,
  after: { readonly [K in keyof R]?: unknown },
): boolean {
  for (const column in after) if (before[column] !== after[column] && !columns.includes(column)) return false
  return true
}

/** These columns of a row. */
export function only<R extends object, C extends keyof R>(columns: readonly C[], row: R): Pick<R, C> {
  const picked: Partial<R> = {}
  for (const column of columns) picked[column] = row[column]
  return picked as Pick<R, C>
}

class Parameter {
  readonly name: string
  readonly list: boolean

  constructor(name: string, list: boolean) {
    this.name = name
    this.list = list
  }
}

function binder(parameters: readonly unknown[], dialect: Dialect): (params: object) => unknown[] {
  return (params) =>
    parameters.map((parameter) => {
      if (!(parameter instanceof Parameter)) return parameter
      const value = (params as Row)[parameter.name]
      return parameter.list ? dialect.listValue(value as readonly unknown[]) : value
    })
}

function columnsOf(table: string, rows: readonly object[]): string[] {
  const [first] = rows
  if (!first) return []
  const columns = Object.keys(first)
  // A column that only some rows have would be lost silently, and a value may be bound by its place.
  for (const row of rows) {
    if (!hasColumns(row, columns)) throw new Error(`Rows of ${table} differ in their columns or their order.`)
  }
  return columns
}

/** In this order, compared without a list of their names: this runs for every row that is written. */
function hasColumns(row: object, columns: readonly string[]): boolean {
  let count = 0
  for (const column in row) if (column !== columns[count++]) return false
  return count === columns.length
}

/** PostgreSQL takes no second change of a row in one statement, so both databases get the last one only. */
function lastOfEach(rows: readonly Row[], key: readonly string[]): readonly Row[] {
  if (rows.length === 1) return rows
  const [column] = key
  const identity = (row: Row) =>
    key.length === 1 ? row[column!] : JSON.stringify(key.map((name) => row[name]))
  const last = new Map(rows.map((row) => [identity(row), row]))
  return last.size === rows.length ? rows : [...last.values()]
}
