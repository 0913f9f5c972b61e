import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { createWorker } from '../../core/delivery/worker.ts'
import { createIds } from '../../core/ids.ts'
import { openDatabase } from '../../core/store/open-database.ts'
import { explain, preparedBy } from '../support/query-plans.ts'

/** Long enough for a worker to claim, send and store many times. */
const WORK_MS = 2_000
/** PostgreSQL rightly walks through a smaller table from end to end. */
const LARGE_ROWS = 5_000

export interface Plans {
  /** Full scans, each with its statement. */
  scans: string[]
  explained: number
}

/** Lets a worker send into nothing, half of it in vain, and asks the database how it carries out what that one asks. */
export async function explainWorker(databaseUrl: string, secretKey: Buffer): Promise<Plans> {
  const work = () => runWorker(databaseUrl, secretKey)
  if (databaseUrl.startsWith('sqlite:')) return explain(databaseUrl, await preparedBy(work))
  return explainOnPostgres(databaseUrl, await queriedBy(work))
}

async function runWorker(databaseUrl: string, secretKey: Buffer): Promise<void> {
  const database = await openDatabase(databaseUrl)
  const newId = createIds(() => new Date(), randomBytes)
  let sent = 0
  const worker = createWorker({
    database,
    change: (run) => database.transaction(() => run({ newId, now: new Date().toISOString() })),
    secretKey,
    sender: {
      send: async () => {
        sent += 1
        return {
          status: sent % 2 === 0 ? 204 : 503,
          durationMs: 1,
          error: null,
          excerpt: null,
          retryAfterMs: null,
        }
      },
      close: async () => {},
    },
    log: () => {},
  })
  worker.start()
  await wait(WORK_MS)
  await worker.stop()
  await database.close()
  if (sent === 0) throw new Error('The worker found nothing to send, so its statements were not all seen.')
}

/** Every SQL text that connections to PostgreSQL are given with values while it runs, and the last values. */
async function queriedBy(run: () => Promise<void>): Promise<Map<string, unknown[]>> {
  const seen = new Map<string, unknown[]>()
  const { query } = pg.Client.prototype
  pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
    const [config] = args as [string | pg.QueryConfig]
    if (typeof config === 'object' && config.values) seen.set(config.text, config.values)
    return Reflect.apply(query, this, args)
  } as typeof query
  await run().finally(() => {
    pg.Client.prototype.query = query
  })
  return seen
}

async function explainOnPostgres(databaseUrl: string, seen: ReadonlyMap<string, unknown[]>): Promise<Plans> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query('analyze')
    const { rows: tables } = await client.query(
      `select relname from pg_class where relkind = 'r' and reltuples > ${LARGE_ROWS}`,
    )
    const large = new Set(tables.map(({ relname }) => relname as string))
    const scans: string[] = []
    for (const [text, values] of seen) {
      const { rows } = await client.query({ text: `explain ${text}`, values })
      for (const row of rows) {
        const table = String(row['QUERY PLAN']).match(/Seq Scan on (\w+)/)?.[1]
        if (table && large.has(table)) scans.push(`Seq Scan on ${table}: ${text}`)
      }
    }
    return { scans, explained: seen.size }
  } finally {
    await client.end()
  }
}
