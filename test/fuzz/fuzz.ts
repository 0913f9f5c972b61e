import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type OpenedTocsin, openTocsin, SCOPES, type Tocsin } from '@tocsin/core'
import { createApp, createServer } from '../../ingest/app.ts'
import { seeded } from '../support/random.ts'
import { mutate } from './mutate.ts'
import { type Outgoing, sendAs } from './send-as.ts'

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

/** Longer than this nothing may keep the process from answering others. */
export const MOST_BLOCKING_MS = 1000

/** Requests under way of each adapter: all of them share commits. */
const AT_ONCE = 16
const MOST_FAILURES = 5
/** Incidents read back whole, with all their lists. */
const MOST_READ = 200

/**
 * Sends spoiled bodies of these tools to a server in this process: nothing may be answered with a 5xx, end the process or
 * hold it up, and what a 2xx took must be readable.
 */
export async function fuzz({ databaseUrl, adapters, runs, seed }: FuzzOptions): Promise<{
  reports: FuzzReport[]
  /** The longest the process was kept from everything else, in milliseconds of its own computing. */
  longestMs: number
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
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE * adapters.length })
  const watch = watchBlocking()
  try {
    const { port } = server.address() as AddressInfo
    const reports = await Promise.all(adapters.map((adapter) => fuzzOne(tocsin, port, agent, adapter)))
    return { reports, longestMs: watch.longestMs() }
  } finally {
    watch.stop()
    agent.destroy()
    server.close()
    server.closeAllConnections()
    await tocsin.close()
  }

  async function fuzzOne(
    tocsin: OpenedTocsin,
    port: number,
    agent: Agent,
    adapter: string,
  ): Promise<FuzzReport> {
    const admin = tocsin.actingAs({ keyId: 'fuzz', name: 'fuzz', scopes: [...SCOPES], projectId: null })
    const { project } = await admin.createProject({ name: `fuzz ${adapter}` })
    const { source, secret } = await admin.createSource(project.id, {
      adapter,
      settings: { grouping: 'signal' },
    })
    const bodies = fixtures(adapter, project.id, secret)
    const report: FuzzReport = { adapter, requests: 0, statuses: {}, failures: [] }
    const incidents = new Set<string>()
    const fail = (run: number, problem: string, sent: Outgoing) => {
      if (report.failures.length < MOST_FAILURES) report.failures.push({ run, problem, request: shown(sent) })
    }

    const one = async (run: number) => {
      const random = seeded(seed * 1_000_003 + run)
      const sent = sendAs(adapter, { url: source.url, secret }, mutate(random.pick(bodies), random), random)
      const { status, requestId, text } = await exchange(port, agent, sent)
      report.requests += 1
      report.statuses[status] = (report.statuses[status] ?? 0) + 1
      if (status >= 500) return fail(run, `answered ${status}: ${text} ${faults.splice(0).join(' ')}`, sent)
      if (!isJson(text)) return fail(run, `answered no JSON: ${text.slice(0, 200)}`, sent)
      if (status > 299) return
      const read = await readBack(() => admin.getRequest(project.id, requestId))
      if (typeof read === 'string') return fail(run, `cannot be read back: ${read}`, sent)
      for (const { incidentId } of read.request.events) if (incidentId !== null) incidents.add(incidentId)
    }

    let next = 0
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (next < runs) await one(next++)
      }),
    )
    for (const id of [...incidents].slice(0, MOST_READ)) {
      const read = await readBack(() => everythingOf(admin, project.id, id))
      if (typeof read === 'string')
        report.failures.push({ run: -1, problem: `incident ${id}: ${read}`, request: '' })
    }
    for (const fault of faults.splice(0))
      report.failures.push({ run: -1, problem: `logged: ${fault}`, request: '' })
    return report
  }
}

/** The bodies we have of a tool, naming the project and the key where the tool does. */
function fixtures(adapter: string, projectId: string, secret: string | undefined): Buffer[] {
  const folder = new URL(`../payloads/${adapter}/`, import.meta.url)
  return readdirSync(folder).map((file) =>
    Buffer.from(
      readFileSync(new URL(file, folder), 'utf8')
        .replaceAll('22222222-2222-4222-8222-222222222222', projectId)
        .replaceAll('0123456789abcdef0123456789abcdef', secret ?? ''),
    ),
  )
}

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
): Promise<{ status: number; requestId: string; text: string }> {
  const outgoing = request({ host: '127.0.0.1', port, agent, method, path: target, headers })
  outgoing.end(body)
  const [incoming] = await once(outgoing, 'response')
  const text = (await buffer(incoming)).toString()
  return { status: incoming.statusCode, requestId: String(incoming.headers['x-request-id']), text }
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
