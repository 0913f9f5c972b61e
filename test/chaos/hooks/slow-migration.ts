/**
 * Loaded into the product's process by `--import`: each statement that changes the schema takes a tenth of a second, and
 * the first one is told on stderr.
 */
import { setTimeout as wait } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import pg from 'pg'

const TAKES_MS = 100
const CHANGES_SCHEMA = /^(create|alter|drop) /
let told = false

function changesSchema(text: unknown): boolean {
  // Its own table is the first thing of Kysely's migrator, also where there is nothing to do.
  if (typeof text !== 'string' || !CHANGES_SCHEMA.test(text) || text.includes('kysely_')) return false
  if (!told) process.stderr.write('migrating\n')
  told = true
  return true
}

const prepare = Sqlite.prototype.prepare
Sqlite.prototype.prepare = function (this: Sqlite.Database, text: string) {
  if (changesSchema(text)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TAKES_MS)
  return prepare.call(this, text)
} as typeof prepare

const query = pg.Client.prototype.query as (this: pg.Client, ...given: unknown[]) => unknown
pg.Client.prototype.query = function (this: pg.Client, ...given: unknown[]) {
  const text = given[0]
  // Kysely's way of asking: no callback.
  return changesSchema(text) ? wait(TAKES_MS).then(() => query.apply(this, given)) : query.apply(this, given)
} as typeof pg.Client.prototype.query
