/**
 * Loaded into the product's process by `--import`: from SIGUSR2 on, or from its start with CHAOS_CRASH_FROM=start, the
 * next time the step named by CHAOS_CRASH_AT is reached, the process is killed there, as by SIGKILL from outside. The
 * product itself knows nothing of it.
 */
import { subscribe } from 'node:diagnostics_channel'
import { ServerResponse } from 'node:http'
import Sqlite from 'better-sqlite3'
import pg from 'pg'

let isArmed = process.env.CHAOS_CRASH_FROM === 'start'
process.on('SIGUSR2', () => {
  isArmed = true
})

function reached(step: string): void {
  if (isArmed && step === process.env.CHAOS_CRASH_AT) process.kill(process.pid, 'SIGKILL')
}

/** Runs a step of a transaction, which both databases are told in words. */
function around<T>(text: unknown, run: () => T): T {
  if (text === 'begin immediate' || text === 'begin') reached('before-store')
  if (text !== 'commit') return run()
  reached('before-commit')
  const done = run()
  if (done instanceof Promise) done.then(() => reached('after-commit')).catch(() => {})
  else reached('after-commit')
  return done
}

const prepare = Sqlite.prototype.prepare
Sqlite.prototype.prepare = function (this: Sqlite.Database, text: string) {
  const statement = prepare.call(this, text)
  if (text !== 'begin immediate' && text !== 'commit') return statement
  const run = statement.run.bind(statement)
  statement.run = (...given: unknown[]) => around(text, () => run(given))
  return statement
} as typeof prepare

const query = pg.Client.prototype.query as (this: pg.Client, ...given: unknown[]) => unknown
pg.Client.prototype.query = function (this: pg.Client, ...given: unknown[]) {
  return around(given[0], () => query.apply(this, given))
} as typeof pg.Client.prototype.query

const end = ServerResponse.prototype.end as (this: ServerResponse, ...given: unknown[]) => ServerResponse
ServerResponse.prototype.end = function (this: ServerResponse, ...given: unknown[]) {
  if (this.req.method === 'POST') reached('before-answer')
  return end.apply(this, given)
} as typeof ServerResponse.prototype.end

const write = process.stdout.write as (...given: unknown[]) => boolean
process.stdout.write = (...given: unknown[]) => {
  if (String(given[0]).startsWith('Tocsin is running')) reached('before-printing')
  return write.apply(process.stdout, given)
}

subscribe('undici:request:bodySent', () => reached('mid-delivery'))
subscribe('undici:request:headers', () => reached('before-marking'))
