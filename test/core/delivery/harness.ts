import { randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import type { ApiEndpointInput, ApiMessage } from '../../../core/api-types.ts'
import type { OutgoingRequest, Sender, SendResult } from '../../../core/delivery/send.ts'
import { createWorker, type Worker, type WorkerOptions } from '../../../core/delivery/worker.ts'
import { createIds } from '../../../core/ids.ts'
import { openTocsin } from '../../../core/open-tocsin.ts'
import { type Database, openDatabase } from '../../../core/store/open-database.ts'
import type { Caller, Tocsin } from '../../../core/tocsin.ts'
import { SCOPES } from '../../../core/types.ts'
import { type DatabaseKind, freshDatabase } from '../../support/databases.ts'

export const START = Date.parse('2026-11-21T08:00:00.000Z')
export const SECOND = 1_000
export const MINUTE = 60_000
export const HOUR = 60 * MINUTE

/** What a receiver answers to one request: a status, or everything. */
export type Answer = number | Partial<SendResult>

export interface Sent {
  url: string
  id: string
  at: number
  type: string
  sequence: number
  incident: string
  gap: boolean
  headers: Record<string, string>
  ok: boolean
}

export interface Post {
  clock: { now: number }
  url: string
  database: Database
  databaseUrl: string
  tocsin: Tocsin
  project: string
  /** Everything receivers got, in order. */
  sent: Sent[]
  /** How each receiver answers, by its path; 204 unless told. */
  receivers: Map<string, (sent: Sent) => Answer | Promise<Answer>>
  /** How its workers write. */
  change: WorkerOptions['change']
  worker(options?: Partial<WorkerOptions>): Worker
  endpoint(path: string, input?: Partial<ApiEndpointInput>): Promise<string>
  messages(endpoint: string): Promise<ApiMessage[]>
  /** Lets time pass, from one thing that is due to the next, until that time or until nothing is due. */
  pass(worker: Pick<Worker, 'runOnce'>, until: number): Promise<void>
}

/** A Tocsin whose worker, clock and receivers are in the test's hands. */
export async function openPost(kind: DatabaseKind): Promise<Post> {
  const fresh = await freshDatabase(kind)
  onTestFinished(() => fresh.dispose())
  const clock = { now: START }
  const now = () => new Date(clock.now)
  const secretKey = randomBytes(32)
  const opened = await openTocsin({
    databaseUrl: fresh.url,
    secretKey,
    publicUrl: 'http://127.0.0.1:4117',
    defaultPlan: 'unlimited',
    role: 'ingest',
    targets: { allow: [], loopback: true },
    commitIntervalMs: 0,
    now,
  })
  onTestFinished(() => opened.close())
  const database = await openDatabase(fresh.url)
  onTestFinished(() => database.close())
  const caller: Caller = { keyId: 'test', name: 'test', scopes: [...SCOPES], projectId: null }
  const tocsin = opened.actingAs(caller)
  const project = opened.firstStart!.projectId
  const newId = createIds(now, randomBytes)

  const sent: Sent[] = []
  const receivers: Post['receivers'] = new Map()
  const sender: Sender = {
    close: async () => {},
    send: async ({ url, headers, body }: OutgoingRequest) => {
      const { type, data } = JSON.parse(body)
      const path = new URL(url).pathname
      const one: Sent = {
        url: path,
        id: headers['webhook-id']!,
        at: clock.now,
        type,
        sequence: data.sequence,
        incident: data.incident?.id,
        gap: data.gap === true,
        headers,
        ok: false,
      }
      sent.push(one)
      const answer = await (receivers.get(path)?.(one) ?? 204)
      const result: SendResult = {
        status: 204,
        durationMs: 1,
        error: null,
        excerpt: '',
        retryAfterMs: null,
        ...(typeof answer === 'number' ? { status: answer } : answer),
      }
      one.ok = result.error === null && result.status !== null && result.status >= 200 && result.status < 300
      return result
    },
  }

  const nextDue = async (): Promise<number | undefined> => {
    const messages = await database.read
      .selectFrom('message')
      .innerJoin('endpoint', 'endpoint.id', 'message.endpoint_id')
      .select(['due_at', 'deadline_at', 'open_until', 'paused_until'])
      .distinct()
      .where('due_at', 'is not', null)
      .where('endpoint.enabled', '=', 1)
      .execute()
    const times = messages.flatMap(({ due_at, deadline_at, open_until, paused_until }) => [
      due_at,
      open_until,
      paused_until,
      deadline_at,
      deadline_at && new Date(Date.parse(deadline_at) + 15 * SECOND).toISOString(),
    ])
    const later = times.flatMap((time) => (time && Date.parse(time) > clock.now ? [Date.parse(time)] : []))
    return later.length === 0 ? undefined : Math.min(...later)
  }

  const change: WorkerOptions['change'] = (run) =>
    database.transaction(() => run({ newId, now: now().toISOString() }))

  return {
    clock,
    url: fresh.url,
    database,
    databaseUrl: fresh.url,
    tocsin,
    project,
    sent,
    receivers,
    change,
    worker: (options) =>
      createWorker({
        database,
        change,
        secretKey,
        sender,
        log: () => {},
        now,
        random: () => 0.5,
        ...options,
      }),
    endpoint: async (path, input = {}) =>
      (await tocsin.createEndpoint(project, { url: `http://127.0.0.1:9${path}`, ...input })).endpoint.id,
    messages: async (endpoint) => {
      const all: ApiMessage[] = []
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const page = await tocsin.listMessages(project, endpoint, { limit: 100, ...(cursor && { cursor }) })
        all.push(...page.messages)
        cursor = page.nextCursor
      }
      return all
    },
    pass: async (worker, until) => {
      for (;;) {
        await worker.runOnce()
        const next = await nextDue()
        if (next === undefined || next > until) break
        clock.now = next
      }
      clock.now = until
    },
  }
}
