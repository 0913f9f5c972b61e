import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type Child, inRepository, pinnedNode, startChild, startFlags } from '../support/child.ts'
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts'
import { scratchDir } from '../support/scratch.ts'
import { type StartOptions, startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import type { Target } from './alert-request.ts'
import { startAlertmanager } from './alertmanager.ts'
import { type Backlog, openBacklog } from './backlog.ts'
import { type Helper, startHelper } from './helper.ts'
import { makeHistory, OPEN_INCIDENTS } from './history.ts'
import { cpuOfFamily, pin } from './measures.ts'
import type { SinkOrder, SinkReport } from './sink.ts'
import { startProfiled } from './start-profiled.ts'
import { postgresStore, type Store, sqliteStore } from './stores.ts'
import { startWebhook } from './webhook-program.ts'

type Sink = Helper<SinkOrder, SinkReport>

const PROJECTS = 3
const BACKLOG = { endpoints: 1_000, messages: 100_000 }
/** That of the load generator: servers have the other. */
const SINK_CORE = 1

/** One server under measurement, in a process of its own, or in several that share its load. */
export interface Variant {
  pids: readonly number[]
  target: Target
  /** Where it keeps what it acknowledges; absent where it keeps nothing. */
  store?: Store
  /** What it holds before it is measured: events sent by the generator and others, and the time of event 0. */
  past?: { sent: number; stored: number; startMs: number; signals: number }
  /** What it has to be about while it is measured. */
  beforeSlice?(): Promise<void>
  afterSlice?(): Promise<void>
  /** Messages it has sent in a second meanwhile; absent where it has none to send. */
  sentPerSecond?(): number
  /** User and system time of the database server so far, in microseconds; absent where there is none. */
  databaseCpu?(): number | undefined
  /** How many transactions its processes have committed so far; absent where that cannot be told. */
  commits?(): Promise<number>
  stop(): Promise<void>
}

/** References first: ratios are taken to them. */
export const VARIANTS = {
  bare: { title: 'node:http 204', start: startBare },
  nullStore: { title: 'product, null store', start: startNullStore },
  transaction: { title: 'kysely transaction each', start: startTransaction },
  product: { title: 'product, SQLite', start: startProduct },
  slow0: { title: 'product, disk +0 ms', start: () => startSlow(0) },
  slow2: { title: 'product, disk +2 ms', start: () => startSlow(2) },
  slow10: { title: 'product, disk +10 ms', start: () => startSlow(10) },
  postgresTransaction: { title: 'kysely transaction each, PostgreSQL', start: startTransactionOnPostgres },
  postgres: { title: 'product, PostgreSQL', start: () => startOnPostgres(1) },
  threeOnPostgres: { title: '3 x product, one PostgreSQL', start: () => startOnPostgres(3) },
  projectsOnPostgres: { title: 'product, PostgreSQL', start: () => startOnPostgres(1, PROJECTS) },
  threeProjectsOnPostgres: {
    title: '3 x product, one PostgreSQL',
    start: () => startOnPostgres(3, PROJECTS),
  },
  alertmanager: { title: 'Alertmanager, in memory', start: startAlertmanager },
  webhook: { title: 'webhook, a command each', start: startWebhook },
  waiting: { title: 'product, outbox waits', start: startWaiting },
  draining: { title: 'product, outbox drains', start: startDraining },
  after10k: { title: 'after 10k events', start: () => startWithHistory(10_000) },
  after100k: { title: 'after 100k events', start: () => startWithHistory(100_000) },
  after1M: { title: 'after 1M events', start: () => startWithHistory(1_000_000) },
} satisfies Record<string, { title: string; start: () => Promise<Variant> }>

export type VariantName = keyof typeof VARIANTS

/** When event 0 is said to have been, one millisecond before the next: none is ahead of the clock, however many there will be. */
export function pastStart(): number {
  return Date.now() - 6 * 60 * 60 * 1000
}

function startBare(): Promise<Variant> {
  return startReference('bare-server.ts')
}

function startNullStore(): Promise<Variant> {
  return startReference('null-store-server.ts')
}

async function startTransaction(): Promise<Variant> {
  const variant = await startReference('transaction-server.ts')
  return { ...variant, store: sqliteStore(variant.databasePath) }
}

/** Every commit takes so much longer, as on a slower disk. */
async function startSlow(milliseconds: number): Promise<Variant> {
  const env = { TOCSIN_BENCH_COMMIT_MS: `${milliseconds}` }
  const variant = await startReference('slow-disk-server.ts', env)
  return { ...variant, store: sqliteStore(variant.databasePath) }
}

async function startProduct(): Promise<Variant> {
  const tocsin = await startCounted({}, startProfiled)
  return { ...(await productOn(tocsin)), stop: () => tocsin.dispose() }
}

async function startWithHistory(events: number): Promise<Variant> {
  const tocsin = await startCounted({}, startProfiled)
  const startMs = pastStart()
  try {
    const product = await productOn(tocsin)
    const sent = await makeHistory(tocsin, product.target, { events, startMs })
    const stored = (await product.store!.count()).events
    return {
      ...product,
      pids: [tocsin.pid],
      past: { sent, stored, startMs, signals: OPEN_INCIDENTS },
      stop: () => tocsin.dispose(),
    }
  } catch (error) {
    await tocsin.dispose()
    throw error
  }
}

/** A full outbox of which nothing may be sent now. */
function startWaiting(): Promise<Variant> {
  return startWithBacklog(async (backlog) => {
    await backlog.holdAll()
    return {}
  })
}

/** A full outbox that is being sent while events come in. */
function startDraining(): Promise<Variant> {
  return startWithBacklog(async (backlog, sink) => {
    let sent = 0
    let elapsedMs = 0
    return {
      async beforeSlice() {
        await sink.run('begin')
        await backlog.open()
      },
      async afterSlice() {
        await backlog.close()
        const report = await sink.run('end')
        sent += report.requests
        elapsedMs += report.elapsedMs
        await backlog.fill(BACKLOG.messages)
      },
      sentPerSecond: () => (sent === 0 ? 0 : (sent / elapsedMs) * 1_000),
    }
  })
}

async function startWithBacklog(
  prepare: (backlog: Backlog, sink: Sink) => Promise<Partial<Variant>>,
): Promise<Variant> {
  const tocsin = await startCounted()
  const sink = await startHelper<SinkOrder, SinkReport>('sink.ts')
  let backlog: Backlog | undefined
  const stop = async () => {
    await backlog?.dispose()
    await tocsin.dispose()
    sink.stop()
  }
  try {
    pin(sink.pid, SINK_CORE)
    const { port } = await sink.run('begin')
    backlog = await openBacklog(tocsin, {
      endpoints: BACKLOG.endpoints,
      receiver: `http://127.0.0.1:${port}`,
    })
    await backlog.fill(BACKLOG.messages)
    return { ...(await productOn(tocsin)), ...(await prepare(backlog, sink)), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startTransactionOnPostgres(): Promise<Variant> {
  return besidePostgres(async ({ url }) => ({
    ...(await startReference('transaction-server.ts', { DATABASE_URL: url })),
    store: postgresStore(url),
  }))
}

/** So many processes that all receive and all send, for so many projects, on a server of their own. */
async function startOnPostgres(processes: number, projects = 1): Promise<Variant> {
  return besidePostgres(async ({ url }) => {
    const env = {
      TOCSIN_SECRET_KEY: randomBytes(32).toString('base64'),
      TOCSIN_ADMIN_KEY: randomBytes(24).toString('hex'),
    }
    const started: TocsinProcess[] = []
    const stop = async () => {
      for (const tocsin of started) await tocsin.dispose()
    }
    try {
      for (let i = 0; i < processes; i++)
        started.push(await startCounted({ databaseUrl: url, env }, startProfiled))
      const { target } = await productOn(started[0]!)
      const others: Target[] = []
      while (others.length < projects - 1) others.push(await anotherProjectOf(started[0]!))
      const ports = started.map(({ address }) => Number(new URL(address).port))
      const pids = started.map(({ pid }) => pid)
      const commits = () => commitsOf(started)
      return { pids, target: { ...target, others, ports }, store: postgresStore(url), commits, stop }
    } catch (error) {
      await stop()
      throw error
    }
  })
}

async function besidePostgres(start: (server: PostgresServer) => Promise<Variant>): Promise<Variant> {
  const server = await startPostgres()
  try {
    const variant = await start(server)
    return {
      ...variant,
      databaseCpu: () => cpuOfFamily(server.pid()),
      async stop() {
        await variant.stop()
        await server.stop()
      },
    }
  } catch (error) {
    await server.stop()
    throw error
  }
}

async function anotherProjectOf(tocsin: TocsinProcess): Promise<Target> {
  const { project } = await tocsin.api<{ project: { id: string } }>('POST', '/projects', { name: 'Another' })
  return targetOn(tocsin, project.id)
}

async function targetOn(tocsin: TocsinProcess, projectId: string): Promise<Target> {
  const source = { adapter: 'alertmanager', settings: { grouping: 'signal' } } as const
  const { url, secret } = await tocsin.createSource(source, projectId)
  const { hostname, port, pathname } = new URL(url)
  return { host: hostname, ports: [Number(port)], path: pathname, secret: secret!, body: 'webhook' }
}

async function productOn(tocsin: TocsinProcess): Promise<Omit<Variant, 'stop'>> {
  return {
    pids: [tocsin.pid],
    target: await targetOn(tocsin, tocsin.projectId),
    store: sqliteStore(join(tocsin.dataDir, 'tocsin.db')),
    commits: () => commitsOf([tocsin]),
  }
}

/** The product as it is, but that it can be asked for its commits. */
function startCounted(options: StartOptions = {}, start = startTocsin): Promise<TocsinProcess> {
  const hook = `${new URL('hooks/count-commits.ts', import.meta.url)}`
  return start({ ...options, nodeFlags: [...(options.nodeFlags ?? []), '--import', hook] })
}

async function commitsOf(processes: readonly TocsinProcess[]): Promise<number> {
  const counts = processes.map((tocsin) => {
    const said = () => [...tocsin.stderr().matchAll(/^commits: (\d+)$/gm)]
    const before = said().length
    process.kill(tocsin.pid, 'SIGUSR2')
    return until('it says how many commits it made', () => said()[before])
  })
  return (await Promise.all(counts)).reduce((sum, [, count]) => sum + Number(count), 0)
}

async function startReference(
  file: string,
  env: Record<string, string> = {},
): Promise<Variant & { databasePath: string }> {
  const dir = await scratchDir()
  const databasePath = join(dir.path, 'reference.db')
  const child = await startChild(pinnedNode, [...startFlags, inRepository(`test/bench/${file}`)], {
    cwd: dir.path,
    env: { DATABASE_URL: `sqlite:${databasePath}`, ...env },
  })
  const stop = async () => {
    if (child.exit() === undefined) await child.end('SIGTERM')
    dir.remove()
  }
  try {
    return { pids: [child.pid], target: await announced(child), databasePath, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function announced(child: Child): Promise<Target> {
  const line = await until('the reference server listens', () => {
    if (child.exit()) return 'ended'
    return child.stdout().includes('\n') && child.stdout()
  })
  if (line === 'ended') throw new Error(`A reference server did not start: ${child.stderr()}`)
  return JSON.parse(line)
}
