import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { type Child, inRepository, pinnedNode, startChild } from '../support/child.ts'
import { scratchDir } from '../support/scratch.ts'
import { startTocsin } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import type { Target } from './alert-request.ts'

/** One server under measurement, in a process of its own. */
export interface Variant {
  pid: number
  target: Target
  /** Where it keeps what it acknowledges; absent where it keeps nothing. */
  store?: { path: string; count(): { events: number; requests: number } }
  /** How many events share a commit, where that is known. */
  eventsPerCommit?: number
  stop(): Promise<void>
}

/** References first: ratios are taken to them. */
export const VARIANTS = {
  bare: { title: 'node:http 204', start: startBare },
  nullStore: { title: 'product, null store', start: startNullStore },
  transaction: { title: 'kysely transaction each', start: startTransaction },
  product: { title: 'product, SQLite', start: startProduct },
} satisfies Record<string, { title: string; start: () => Promise<Variant> }>

export type VariantName = keyof typeof VARIANTS
export const variantNames = Object.keys(VARIANTS) as VariantName[]

function startBare(): Promise<Variant> {
  return startReference('bare-server.ts')
}

function startNullStore(): Promise<Variant> {
  return startReference('null-store-server.ts')
}

async function startTransaction(): Promise<Variant> {
  const variant = await startReference('transaction-server.ts')
  return { ...variant, eventsPerCommit: 1, store: storeAt(variant.databasePath) }
}

async function startProduct(): Promise<Variant> {
  const tocsin = await startTocsin()
  const { url, secret } = await tocsin.createSource({
    adapter: 'alertmanager',
    settings: { grouping: 'signal' },
  })
  const { hostname, port, pathname } = new URL(url)
  const path = join(tocsin.dataDir, 'tocsin.db')
  return {
    pid: tocsin.pid,
    target: { host: hostname, port: Number(port), path: pathname, secret: secret! },
    store: storeAt(path),
    stop: () => tocsin.dispose(),
  }
}

function storeAt(path: string): Variant['store'] {
  return { path, count: () => ({ events: rows(path, 'event'), requests: rows(path, 'hook_request') }) }
}

async function startReference(file: string): Promise<Variant & { databasePath: string }> {
  const dir = await scratchDir()
  const databasePath = join(dir.path, 'reference.db')
  const child = await startChild(pinnedNode, [inRepository(`test/bench/${file}`)], {
    cwd: dir.path,
    env: { DATABASE_URL: `sqlite:${databasePath}` },
  })
  const stop = async () => {
    if (child.exit() === undefined) await child.end('SIGTERM')
    dir.remove()
  }
  try {
    return { pid: child.pid, target: await announced(child), databasePath, stop }
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

function rows(path: string, table: string): number {
  const db = new Sqlite(path, { readonly: true })
  try {
    return db.prepare<[], number>(`select count(*) from ${table}`).pluck().get()!
  } finally {
    db.close()
  }
}
