import { once } from 'node:events'
import { Agent, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { openTocsin, SCOPES, type Tocsin } from '@tocsin/core'
import { createApp, createServer } from '../../ingest/app.ts'
import { seeded } from '../support/random.ts'
import { mutate } from './mutate.ts'
import { bodiesOf, type Outgoing, sendAs } from './send-as.ts'

export interface FuzzOptions {
  databaseUrl: string
  adapters: readonly string[]
  /** Of each adapter. */
  runs: number
  seed: number
}

export interface FuzzReport {
  adapter: string
  requests: number
  /** How often each status was answered. */
  statuses: Record<string, number>
  /** Everything that must not be, at most 20. */
  failures: { run: number; problem: string; request: string }[]
}

/** Longer than this no answer may take, and nothing may keep the process from answering others. */
export const MOST_MS = 1000
/** What 100,000 requests may leave in memory (reliability.md T18). */
export const MOST_GROWTH_BYTES = 50 * 1024 * 1024

/** Requests under way: all of them share commits, and a busy machine has a connection for each. */
const AT_ONCE = 48
const MOST_FAILURES = 5
/** One in so many requests is read back as clients do; the others past HTTP, which is quicker. */
const READ_BY_HTTP = 10
/** Incidents read back whole, with all their lists. */
const MOST_READ = 200
/** A busy machine makes any answer slow; one that is slow of itself is slow every time it is the only one. */
const TRIES_ALONE = 3
const MOST_TRIED_ALONE = 20
/** Requests after which caches are full, above all the pages that SQLite keeps, and more memory would be a leak. */
export const WARM_AFTER = 100_000

/**
 * Sends spoiled bodies of these tools to a server in this process: nothing may be answered with a 5xx or late, end the
 * process or hold it up, and what a 2xx took must be readable.
 */
export async function fuzz({ databaseUrl, adapters, runs, seed }: FuzzOptions): Promise<{
  reports: FuzzReport[]
  /** The longest the process was kept from everything else, in milliseconds of its own computing. */
  longestMs: number
  /** What the process holds more at the end than once it was warm, garbage aside; null where it never was. */
  growthBytes: number | null
}> {
  const faults: string[] = []
  const log = (level: string, message: string, fields?: Record<string, unknown>) => {
    if (level === 'error')
      faults.push(`${message}: ${String((fields?.err as Error | undefined)?.stack ?? '')}`)
  }
  const tocsin = await openTocsin({
    databaseUrl,
    secretKey: Buffer.alloc(32, 7),
    publicUrl: 'http://127.0.0.1',
    defaultPlan: 'unlimited',
    role: 'ingest',
    log,
  })
  const server = createServer(createApp({ tocsin, config: { trustProxy: [] }, log }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE + adapters.length })
  const watch = watchBlocking()
  let total = 0
  let warmBytes: number | null = null
  try {
    const { port } = server.address() as AddressInfo
    const admin = tocsin.actingAs({ keyId: 'fuzz', name: 'fuzz', scopes: [...SCOPES], projectId: null })
    const all = await Promise.all(adapters.map((adapter) => fuzzOne(admin, port, adapter)))
    const growthBytes = warmBytes === null ? null : bytesHeld() - warmBytes
    const longestMs = watch.longestMs()
    for (const { report, slow } of all) await tryAlone(admin, port, report, slow)
    return { reports: all.map(({ report }) => report), longestMs, growthBytes }
  } finally {
    watch.stop()
    agent.destroy()
    server.close()
    server.closeAllConnections()
    await tocsin.close()
  }

  async function fuzzOne(
    admin: Tocsin,
    port: number,
    adapter: string,
  ): Promise<{ report: FuzzReport; slow: Slow[] }> {
    const { project, request } = await targetOf(admin, adapter)
    const { secret: key } = await admin.createKey(project.id, { name: 'reader', scopes: ['sources:read'] })
    const getRequest = async (id: string): ReturnType<Tocsin['getRequest']> => {
      const { status, text } = await exchange(port, agent, {
        method: 'GET',
        target: `/api/v1/projects/${project.id}/requests/${id}`,
        headers: { authorization: `Bearer ${key}` },
        body: Buffer.alloc(0),
      })
      if (status !== 200) throw new Error(`the API answers ${status}: ${text}`)
      return JSON.parse(text)
    }
    const slow: Slow[] = []
    const report: FuzzReport = { adapter, requests: 0, statuses: {}, failures: [] }
    const incidents = new Set<string>()
    const fail = (run: number, problem: string, sent: Outgoing) => {
      if (report.failures.length < MOST_FAILURES) report.failures.push({ run, problem, request: shown(sent) })
    }

    const one = async (run: number) => {
      const sent = request(run)
      const { status, requestId, text, ms } = await exchange(port, agent, sent)
      if (++total === WARM_AFTER) warmBytes = bytesHeld()
      if (ms > MOST_MS) slow.push({ run, ms })
      report.requests += 1
      report.statuses[status] = (report.statuses[status] ?? 0) + 1
      if (status >= 500) return fail(run, `answered ${status}: ${text} ${faults.splice(0).join(' ')}`, sent)
      if (!isJson(text)) return fail(run, `answered no JSON: ${text.slice(0, 200)}`, sent)
      if (status > 299) return
      const read = await readBack(() =>
        run % READ_BY_HTTP === 0 ? getRequest(requestId) : admin.getRequest(project.id, requestId),
      )
      if (typeof read === 'string') return fail(run, `cannot be read back: ${read}`, sent)
      for (const { incidentId } of read.request.events) {
        // No more than are read: what the process holds is measured.
        if (incidentId !== null && incidents.size < MOST_READ) incidents.add(incidentId)
      }
    }

    let next = 0
    await Promise.all(
      Array.from({ length: Math.ceil(AT_ONCE / adapters.length) }, async () => {
        while (next < runs) await one(next++)
      }),
    )
    for (const id of incidents) {
      const read = await readBack(() => everythingOf(admin, project.id, id))
      if (typeof read === 'string')
        report.failures.push({ run: -1, problem: `incident ${id}: ${read}`, request: '' })
    }
    for (const fault of faults.splice(0))
      report.failures.push({ run: -1, problem: `logged: ${fault}`, request: '' })
    return { report, slow }
  }

  /** A source of its own in a project of its own, and the requests that are sent to it. */
  async function targetOf(admin: Tocsin, adapter: string) {
    const { project } = await admin.createProject({ name: `fuzz ${adapter}` })
    const { source, secret } = await admin.createSource(project.id, {
      adapter,
      settings: { grouping: 'signal' },
    })
    // The same tool at the short address, where the token is all the credential.
    const { source: byToken } = await admin.createSource(project.id, {
      adapter,
      address: 'token',
      settings: { grouping: 'signal' },
    })
    const short = new URL(`/webhooks/${byToken.url.split('/').at(-1)}`, byToken.url).href
    const bodies = bodiesOf(adapter, project.id, secret)
    const request = (run: number) => {
      const random = seeded(seed * 1_000_003 + run)
      const to = random.below(5) === 0 ? { url: short, secret: undefined } : { url: source.url, secret }
      return sendAs(adapter, to, mutate(random.pick(bodies), random), random)
    }
    return { project, request }
  }

  /** Sends what was answered late again with nothing else under way, each time to a source that has never seen it. */
  async function tryAlone(admin: Tocsin, port: number, report: FuzzReport, slow: Slow[]): Promise<void> {
    for (const { run } of slow.sort((a, b) => b.ms - a.ms).slice(0, MOST_TRIED_ALONE)) {
      for (let left = TRIES_ALONE; left > 0; left--) {
        const { request } = await targetOf(admin, report.adapter)
        const sent = request(run)
        const { ms } = await exchange(port, agent, sent)
        if (ms <= MOST_MS) break
        if (left === 1)
          report.failures.push({ run, problem: `answered after ${ms} ms`, request: shown(sent) })
      }
    }
  }
}

interface Slow {
  run: number
  ms: number
}

/** What the process holds of the machine's memory once it has let go of what it no longer needs. */
function bytesHeld(): number {
  collectGarbage()
  return process.memoryUsage.rss()
}

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

async function everythingOf(admin: Tocsin, project: string, incident: string): Promise<unknown[]> {
  return [
    await admin.getIncident(project, incident),
    await admin.listTimeline(project, incident, { limit: 100 }),
    await admin.listIncidentEvents(project, incident, { limit: 100 }),
    await admin.listIncidentSignals(project, incident, { limit: 100 }),
  ]
}

/** What was read, or why it is not fit to be read. */
async function readBack<T>(read: () => Promise<T>): Promise<T | string> {
  try {
    const found = await read()
    return isFit(found) ? found : 'holds a character no text may hold'
  } catch (error) {
    return String(error)
  }
}

function isFit(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, member]) => isFit(name) && isFit(member))
}

async function exchange(
  port: number,
  agent: Agent,
  { method, target, headers, body }: Outgoing,
): Promise<{ status: number; requestId: string; text: string; ms: number }> {
  const start = performance.now()
  const outgoing = request({ host: '127.0.0.1', port, agent, method, path: target, headers })
  outgoing.end(body)
  const [incoming] = await once(outgoing, 'response')
  const text = (await buffer(incoming)).toString()
  const ms = Math.round(performance.now() - start)
  return { status: incoming.statusCode, requestId: String(incoming.headers['x-request-id']), text, ms }
}

/** Counts the process's own computing between two looks, so that a busy machine is not taken for a slow answer. */
function watchBlocking(): { longestMs(): number; stop(): void } {
  let last = process.threadCpuUsage()
  let longest = 0
  const timer = setInterval(() => {
    const now = process.threadCpuUsage()
    longest = Math.max(longest, now.user + now.system - last.user - last.system)
    last = now
  }, 5)
  return { longestMs: () => longest / 1000, stop: () => clearInterval(timer) }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Enough to make a test of it. */
function shown({ method, target, headers, body }: Outgoing): string {
  return JSON.stringify({ method, target, headers, body: body.toString('latin1').slice(0, 2000) })
}
