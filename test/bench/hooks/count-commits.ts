/** Loaded into the product's process by `--import`: on SIGUSR2 it says how many transactions it has committed. */
import Sqlite from 'better-sqlite3'
import pg from 'pg'

let commits = 0

const prepare = Sqlite.prototype.prepare
Sqlite.prototype.prepare = function (this: Sqlite.Database, source: string) {
  const statement = prepare.call(this, source)
  if (source !== 'commit') return statement
  const { run } = statement
  statement.run = (...values: unknown[]) => {
    commits += 1
    return Reflect.apply(run, statement, values)
  }
  return statement
} as typeof prepare

const query = pg.Client.prototype.query
pg.Client.prototype.query = function (this: pg.Client, ...given: unknown[]) {
  if (given[0] === 'commit') commits += 1
  return Reflect.apply(query, this, given)
} as typeof query

process.on('SIGUSR2', () => process.stderr.write(`commits: ${commits}\n`))
