import { statSync } from 'node:fs'
import { holdSqlite } from '../support/hold-sqlite.ts'
import type { Fault } from './fault.ts'
import { liveThroughOutages } from './outage.ts'

/** How long another process holds the lock. Tocsin waits half a second for it. */
const HOLD_MS = [300, 1_000, 5_000, 30_000]
const HOLD_MS_IN_SHORT = [100, 1_500]
const MOST_HEALTH_MS = 600
const MOST_LOG_MB = 256

export const locked: Fault = {
  id: 'T4',
  promise: 'while another process holds the lock of the file, senders read 503 with Retry-After in time',
  databases: ['sqlite'],
  runs: 200,
  async run(world, runs) {
    const databaseUrl = await world.newDatabase()
    const file = databaseUrl.slice('sqlite:'.length)
    let logMb = 0
    const times = world.isTimed ? HOLD_MS : HOLD_MS_IN_SHORT
    const heldMs = (run: number) => times[run % times.length]!
    return liveThroughOutages(world, runs, {
      databaseUrl,
      awayMs: heldMs,
      isUnnoticed: (run) => heldMs(run) < 500,
      mostAnswerMs: 900,
      mostHealthMs: MOST_HEALTH_MS,
      sample: () => {
        logMb = Math.max(logMb, statSync(`${file}-wal`).size / 2 ** 20)
      },
      finish: async () => ({
        figure: `write-ahead log ${logMb.toFixed(0)} MiB at most`,
        wrong: logMb > MOST_LOG_MB ? [`the write-ahead log grew to ${logMb.toFixed(0)} MiB`] : [],
      }),
      begin: async () => {
        const release = holdSqlite(file)
        return async () => release()
      },
    })
  },
}
