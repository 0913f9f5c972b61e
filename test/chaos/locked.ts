import Sqlite from 'better-sqlite3'
import type { Fault } from './fault.ts'
import { liveThroughOutages } from './outage.ts'

/** How long another process holds the lock. Tocsin waits half a second for it. */
const HOLD_MS = [300, 1_000, 5_000, 30_000]
const HOLD_MS_IN_SHORT = [100, 1_500]

export const locked: Fault = {
  id: 'T4',
  promise: 'while another process holds the lock of the file, senders read 503 with Retry-After in time',
  databases: ['sqlite'],
  runs: 200,
  async run(world, runs) {
    const databaseUrl = await world.newDatabase()
    const times = world.isTimed ? HOLD_MS : HOLD_MS_IN_SHORT
    const heldMs = (run: number) => times[run % times.length]!
    return liveThroughOutages(world, runs, {
      databaseUrl,
      awayMs: heldMs,
      isUnnoticed: (run) => heldMs(run) < 500,
      mostAnswerMs: 900,
      begin: async () => {
        const db = new Sqlite(databaseUrl.slice('sqlite:'.length), { timeout: 5_000 })
        db.exec('begin immediate')
        return async () => {
          db.exec('rollback')
          db.close()
        }
      },
    })
  },
}
