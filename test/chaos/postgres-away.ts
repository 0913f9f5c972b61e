import pg from 'pg'
import { openLink } from '../support/postgres-link.ts'
import { startPostgres } from '../support/postgres-server.ts'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { type Fault, type Finding, withHook } from './fault.ts'
import { liveThroughOutages } from './outage.ts'
import type { World } from './world.ts'

/** The ways it goes away, in turns. */
const WAYS = ['fast', 'immediate', 'killed', 'black hole', 'cut after COMMIT', 'cut before COMMIT'] as const
const MOST_LATE_MS = 200
const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT', killed: 'SIGKILL' } as const

export const postgresAway: Fault = {
  id: 'T5',
  promise:
    'while PostgreSQL is stopped, killed, unreachable or cut off during COMMIT, senders read 503 with Retry-After',
  databases: ['postgres'],
  runs: WAYS.length * 20,
  async run(world, runs) {
    // One of its own: others must not feel what becomes of it.
    const server = await startPostgres()
    world.afterwards(() => server.stop())
    const link = await openLink(server.url)
    world.afterwards(link.close)
    // The short version has the two that are hardest.
    const ways = world.isTimed ? WAYS : (['killed', 'cut after COMMIT'] as const)
    const wayOf = (run: number) => ways[run % ways.length]!
    let before = 0
    return liveThroughOutages(world, runs, {
      databaseUrl: link.url,
      env: withHook('event-loop', {}),
      perSecond: world.isTimed ? 300 : 100,
      awayMs: (run) => {
        if (!world.isTimed) return 1_000
        // Longer than a statement may take: until then nobody knows that it is lost.
        return wayOf(run) === 'black hole' ? 8_000 : 1_000 + world.random.below(2_000)
      },
      // A statement that is sent into nothing ends after five seconds, and one more for the answer.
      mostAnswerMs: 10_000,
      finish: (tocsin) => lookBack(world, tocsin, server.url, before),
      begin: async (run, tocsin) => {
        if (run === 0) {
          // What it did before is its start.
          process.kill(tocsin.pid, 'SIGUSR2')
          before = await connectionsTo(server.url)
        }
        const way = wayOf(run)
        if (way === 'fast' || way === 'immediate' || way === 'killed') {
          await server.end(SIGNALS[way])
          return () => until('PostgreSQL starts', () => server.start().then(() => true), { withinMs: 60_000 })
        }
        link.become(way)
        return async () => link.become('open')
      },
    })
  },
}

/** How late the process was for what it had to do, and whether it has no more connections than under load `before`. */
async function lookBack(
  world: World,
  tocsin: TocsinProcess,
  serverUrl: string,
  before: number,
): Promise<Finding> {
  process.kill(tocsin.pid, 'SIGUSR2')
  const late = await until(
    'it says how late it was',
    // The first one was about its start.
    () => [...tocsin.stderr().matchAll(/event loop: p99 (\d+) ms, most (\d+) ms/g)][1],
  )
  const open = await until('its pools are as before', async () => {
    const open = await connectionsTo(serverUrl)
    return open <= before && `${open}`
  })
  return {
    figure:
      `event loop late by ${late[1]} ms (p99), ${late[2]} ms at most; ` +
      `${open} connections afterwards, ${before} before`,
    wrong:
      world.isTimed && Number(late[2]) > MOST_LATE_MS ? [`the event loop was late by ${late[2]} ms`] : [],
  }
}

/** How many Tocsin has to that server. */
async function connectionsTo(serverUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  try {
    const { rows } = await client.query(
      "select count(*)::int as open from pg_stat_activity where application_name = 'tocsin'",
    )
    return rows[0].open
  } finally {
    await client.end()
  }
}
