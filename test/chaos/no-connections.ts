import pg from 'pg'
import { startPostgres } from '../support/postgres-server.ts'
import { until } from '../support/until.ts'
import type { Fault } from './fault.ts'
import { SENDERS, type Tally } from './load.ts'
import { liveThroughOutages, refusalsOf } from './outage.ts'

/** What the connections of others are called here. */
const OTHERS = 'others'

export const noConnections: Fault = {
  id: 'T6',
  promise:
    'while others hold all connections of PostgreSQL, senders read 503 with Retry-After instead of waiting',
  databases: ['postgres'],
  runs: 3,
  async run(world, runs) {
    const server = await startPostgres()
    world.afterwards(() => server.stop())
    const wrong: string[] = []
    const whileHeld = { refused: 0, taken: 0 }
    return liveThroughOutages(world, runs, {
      databaseUrl: server.url,
      awayMs: () => (world.isTimed ? 60_000 : 2_000),
      mostAnswerMs: 2_000,
      begin: async (run, _tocsin, sofar) => {
        const held = await holdAll(server.url)
        const before = { refused: refusalsOf(sofar), taken: takenOf(sofar) }
        return async () => {
          const taken = takenOf(sofar) - before.taken
          whileHeld.refused += refusalsOf(sofar) - before.refused
          whileHeld.taken += taken
          // Those that were being answered when the last connection went; with one left it would be nearly all.
          if (taken > SENDERS)
            wrong.push(`${taken} requests of run ${run + 1} were taken without a connection`)
          await Promise.all(held.map((client) => client.end()))
        }
      },
      finish: async () => ({
        figure: `while all were held ${whileHeld.refused} refused, ${whileHeld.taken} taken`,
        wrong,
      }),
    })
  },
}

/** Takes every connection the server has, those of Tocsin too: they are ended, and taken before it makes new ones. */
async function holdAll(url: string): Promise<pg.Client[]> {
  const held: pg.Client[] = []
  const hold = async () => {
    const client = new pg.Client({ connectionString: url, application_name: OTHERS })
    client.on('error', () => {})
    await client.connect()
    held.push(client)
  }
  await hold()
  const { rows } = await held[0]!.query("select current_setting('max_connections')::int as most")
  await until('others hold all connections', async () => {
    // One that is still logging in has no name yet.
    await held[0]!.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where backend_type = 'client backend' and application_name <> '${OTHERS}'`,
    )
    try {
      for (;;) await hold()
    } catch (error) {
      if ((error as { code?: string }).code !== '53300') throw error
    }
    return held.length === rows[0].most
  })
  return held
}

function takenOf({ statuses }: Tally): number {
  return (statuses[200] ?? 0) + (statuses[202] ?? 0)
}
