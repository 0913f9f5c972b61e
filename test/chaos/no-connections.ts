import pg from 'pg'
import { startPostgres } from '../support/postgres-server.ts'
import { until } from '../support/until.ts'
import type { Fault } from './fault.ts'
import { liveThroughOutages } from './outage.ts'

export const noConnections: Fault = {
  id: 'T6',
  promise:
    'while others hold all connections of PostgreSQL, senders read 503 with Retry-After instead of waiting',
  databases: ['postgres'],
  runs: 3,
  async run(world, runs) {
    const server = await startPostgres()
    world.afterwards(() => server.stop())
    return liveThroughOutages(world, runs, {
      databaseUrl: server.url,
      awayMs: () => (world.isTimed ? 60_000 : 2_000),
      mostAnswerMs: 2_000,
      begin: async () => {
        const held: pg.Client[] = []
        const hold = async () => {
          const client = new pg.Client({ connectionString: server.url })
          client.on('error', () => {})
          await client.connect()
          held.push(client)
        }
        const holdAll = async () => {
          for (;;) {
            try {
              await hold()
            } catch (error) {
              if ((error as { code?: string }).code === '53300') return
              throw error
            }
          }
        }
        await hold()
        // Those of Tocsin end, and are taken before it can make new ones.
        await until('Tocsin has no connection left', async () => {
          await holdAll()
          const { rowCount } = await held[0]!.query(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tocsin'",
          )
          return rowCount === 0
        })
        return () => Promise.all(held.map((client) => client.end()))
      },
    })
  },
}
