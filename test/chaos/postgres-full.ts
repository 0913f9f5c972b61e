import { chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { postgresUser, startPostgres } from '../support/postgres-server.ts'
import { canMount, type SmallVolume, smallVolume } from '../support/small-volume.ts'
import { until } from '../support/until.ts'
import type { Fault } from './fault.ts'
import { liveThroughOutages } from './outage.ts'

/** Enough for what a run stores, and soon full. */
const VOLUME_MB = 256

const postgresFull: Fault = {
  id: 'T3',
  promise:
    'while the disk of tables or of the write-ahead log is full, senders read 503 with Retry-After, and nothing has to be restarted afterwards',
  databases: ['postgres'],
  runs: 20,
  async run(world, runs) {
    const user = postgresUser()
    const volumes: Record<'tables' | 'log', SmallVolume> = {
      tables: await smallVolume(VOLUME_MB, user),
      log: await smallVolume(VOLUME_MB, user),
    }
    for (const volume of Object.values(volumes)) world.afterwards(volume.remove)
    const folders = { tables: join(volumes.tables.path, 'tables'), log: join(volumes.log.path, 'log') }
    for (const folder of Object.values(folders)) {
      mkdirSync(folder, { mode: 0o700 })
      if (user) chownSync(folder, user.uid, user.gid)
    }
    const server = await startPostgres({ walDir: folders.log })
    world.afterwards(() => server.stop())
    await run(server.url, `create tablespace small location '${folders.tables}'`)
    await run(server.url, 'create database small tablespace small')
    const url = new URL(server.url)
    url.pathname = '/small'

    return liveThroughOutages(world, runs, {
      databaseUrl: url.href,
      awayMs: () => (world.isTimed ? 1_000 + world.random.below(2_000) : 1_000),
      // Where it ends itself, a statement waits for it as long as it may.
      mostAnswerMs: 10_000,
      begin: async (count) => {
        const volume = volumes[count % 2 === 0 ? 'tables' : 'log']
        volume.fill()
        await until('nothing more is stored', () =>
          run(url.href, FILL).then(
            () => false,
            () => true,
          ),
        )
        return async () => {
          volume.free()
          // Without room for its log it ends itself; whoever runs it starts it again.
          await until(
            'PostgreSQL answers',
            async () => {
              if (server.hasEnded()) await server.start()
              return run(url.href, 'select 1').then(() => true)
            },
            { withinMs: 60_000 },
          )
        }
      },
    })
  },
}

/** Takes more pages than any table has free, and with each of them some of the log. */
const FILL = `create temporary table filler as select repeat(md5(n::text), 30) from generate_series(1, 2000) n;
  select pg_switch_wal()`

async function run(url: string, text: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 2_000,
    query_timeout: 5_000,
  })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}

/** Nothing where no volume can be mounted; the reason has been said. */
export const POSTGRES_FULL: readonly Fault[] = (await canMount('with a full disk of PostgreSQL'))
  ? [postgresFull]
  : []
