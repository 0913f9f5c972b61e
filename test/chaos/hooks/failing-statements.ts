/**
 * Loaded into the product's process by `--import`: as long as there is a file at CHAOS_FAILING, each statement that
 * matches the regular expression in it fails. On the error hangs all that the statement was given, as drivers do.
 */
import { readFileSync } from 'node:fs'
import Sqlite from 'better-sqlite3'
import pg from 'pg'

function failureOf(text: string, values: unknown): Error | undefined {
  let pattern: string
  try {
    pattern = readFileSync(process.env.CHAOS_FAILING!, 'utf8')
  } catch {
    return undefined
  }
  if (!new RegExp(pattern).test(text)) return undefined
  const given = { query: text, parameters: values, detail: JSON.stringify(values) }
  return Object.assign(new Error('made to fail', { cause: Object.assign(new Error('why'), given) }), given)
}

const prepare = Sqlite.prototype.prepare
Sqlite.prototype.prepare = function (this: Sqlite.Database, text: string) {
  const statement = prepare.call(this, text)
  for (const how of ['all', 'run'] as const) {
    const real = statement[how].bind(statement) as (...given: unknown[]) => never
    statement[how] = (...given: unknown[]) => {
      const failure = failureOf(text, given)
      if (failure) throw failure
      return real(...given)
    }
  }
  return statement
} as typeof prepare

const query = pg.Client.prototype.query as (this: pg.Client, ...given: unknown[]) => unknown
pg.Client.prototype.query = function (this: pg.Client, ...given: unknown[]) {
  const asked = given[0] as string | { text: string; values?: unknown }
  const [text, values] = typeof asked === 'string' ? [asked, given[1]] : [asked.text, asked.values]
  const failure = failureOf(text, values)
  if (!failure) return query.apply(this, given)
  // A pool calls back, a transaction awaits.
  const callback = given.find((one) => typeof one === 'function')
  return callback ? process.nextTick(callback, failure) : Promise.reject(failure)
} as typeof pg.Client.prototype.query
