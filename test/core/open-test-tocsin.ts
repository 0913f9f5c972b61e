import { createHmac } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll } from 'vitest'
import type {
  ApiIncident,
  ApiPolicyInput,
  ApiReceived,
  ApiScope,
  ApiSourceInput,
  ApiSourceSettingsInput,
} from '../../core/api-types.ts'
import { type Command, createBatchRunner } from '../../core/commands.ts'
import { createIds } from '../../core/ids.ts'
import { openTocsin, resolveDue } from '../../core/open-tocsin.ts'
import { type Database, openDatabase } from '../../core/store/open-database.ts'
import { createWriter } from '../../core/store/writer.ts'
import type { Caller, Log, OpenedTocsin, OpenOptions, ReceiveAddress, Tocsin } from '../../core/tocsin.ts'
import { type HookRequest, type Plan, SCOPES } from '../../core/types.ts'
import { type DatabaseKind, freshDatabase } from '../support/databases.ts'

export const START = '2026-07-01T12:00:00.000Z'
export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** A clock that stands still until it is told to go. */
export class Clock {
  #now = Date.parse(START)

  readonly now = (): Date => new Date(this.#now)

  pass(ms: number): void {
    this.#now += ms
  }

  /** ISO text of now, or of so many milliseconds from now. */
  at(ms = 0): string {
    return new Date(this.#now + ms).toISOString()
  }
}

/** Whoever starts Tocsin: every scope, all projects. */
export const ADMIN: Caller = { keyId: 'admin', name: 'admin', scopes: [...SCOPES], projectId: null }

export const ADMIN_KEY = 'an-admin-key-of-our-own-making'
export const SECRET_KEY = Buffer.alloc(32, 7)

/** A Tocsin on a database of its own; what goes on in one project of it is no matter to the others. */
export interface TestTocsin {
  readonly kind: DatabaseKind
  readonly url: string
  readonly clock: Clock
  readonly tocsin: OpenedTocsin
  readonly admin: Tocsin
  /** What was logged as an error. */
  readonly faults: Parameters<Log>[]
  /** A project of its own for one test. */
  project(options?: { policy?: ApiPolicyInput; plan?: Plan }): Promise<TestProject>
  /** Another process on the same database. */
  another(): Promise<OpenedTocsin>
  /** Stops and starts again. */
  restart(): Promise<void>
  /** Carries out what is due by the clock. */
  due(): Promise<void>
  /** Every row of every table, past the use-cases. */
  tables(): Promise<Map<string, Record<string, unknown>[]>>
  readonly database: Database
}

/** Opens one for the tests of the surrounding block. */
export function testTocsin(kind: DatabaseKind, options: Partial<OpenOptions> = {}): TestTocsin {
  const clock = new Clock()
  const faults: Parameters<Log>[] = []
  const others: OpenedTocsin[] = []
  let dispose: () => Promise<void>
  let tocsin: OpenedTocsin
  let database: Database
  let url: string

  const open = () =>
    openTocsin({
      databaseUrl: url,
      secretKey: SECRET_KEY,
      publicUrl: 'https://tocsin.example',
      defaultPlan: 'unlimited',
      adminKey: ADMIN_KEY,
      commitIntervalMs: 0,
      strangerDelayMs: 0,
      // Tests keep time themselves, and send nothing.
      role: 'ingest',
      targets: { allow: [], loopback: true },
      now: clock.now,
      log: (...line) => {
        if (line[0] === 'error') faults.push(line)
      },
      ...options,
    })

  beforeAll(async () => {
    const fresh = await freshDatabase(kind)
    url = fresh.url
    dispose = fresh.dispose
    tocsin = await open()
    database = await openDatabase(url)
  })
  afterAll(async () => {
    await Promise.all([...others, tocsin].map((one) => one.close()))
    await database.close()
    await dispose()
  })

  return {
    kind,
    clock,
    faults,
    get url() {
      return url
    },
    get tocsin() {
      return tocsin
    },
    get database() {
      return database
    },
    get admin() {
      return tocsin.actingAs(ADMIN)
    },
    async project({ policy, plan } = {}) {
      const { project } = await tocsin
        .actingAs(ADMIN)
        .createProject({ name: 'test', ...(policy && { policy }), ...(plan && { plan }) })
      return new TestProject(this, project.id)
    },
    async another() {
      const other = await open()
      others.push(other)
      return other
    },
    async restart() {
      await tocsin.close()
      // Ids of one process count on inside a millisecond; those of the next start anywhere.
      clock.pass(1)
      tocsin = await open()
    },
    async due() {
      const context = () => ({ newId, now: clock.now().toISOString() })
      const newId = createIds(clock.now, (size) => Buffer.alloc(size, Math.floor(Math.random() * 256)))
      const writer = createWriter<Command, unknown>({ database, runBatch: createBatchRunner(context) })
      await resolveDue({ database, writer, now: clock.now, onMessages: () => {} })
      await writer.close()
    },
    async tables() {
      const read = database.read as unknown as Kysely<Record<string, Record<string, unknown>>>
      const tables = await database.read.introspection.getTables()
      const found = new Map<string, Record<string, unknown>[]>()
      for (const { name } of tables.filter((table) => !table.isView)) {
        const { rows } = await sql<Record<string, unknown>>`select * from ${sql.table(name)}`.execute(read)
        found.set(name, rows)
      }
      return found
    },
  }
}

export class TestProject {
  readonly test: TestTocsin
  readonly id: string

  constructor(test: TestTocsin, id: string) {
    this.test = test
    this.id = id
  }

  async source(adapter = 'generic', input: Omit<ApiSourceInput, 'adapter'> = {}): Promise<TestSource> {
    const { source, secret } = await this.test.admin.createSource(this.id, { adapter, ...input })
    return new TestSource(this, source.id, adapter, secret ?? source.url.split('/').at(-1)!, source.address)
  }

  /** The use-cases as a key of this project with these scopes has them. */
  async as(...scopes: ApiScope[]): Promise<Tocsin> {
    const { secret } = await this.test.admin.createKey(this.id, { name: scopes.join(' '), scopes })
    const caller = await this.test.tocsin.authenticateKey(secret)
    return this.test.tocsin.actingAs(caller!)
  }

  /** All incidents, oldest first. */
  async incidents(): Promise<ApiIncident[]> {
    return (await this.test.admin.listIncidents(this.id, { limit: 100 })).incidents.reverse()
  }

  async incident(id: string | null | undefined): Promise<ApiIncident> {
    return (await this.test.admin.getIncident(this.id, id ?? 'none')).incident
  }

  async timeline(id: string) {
    return (await this.test.admin.listTimeline(this.id, id, { limit: 100 })).timeline
  }

  /** Oldest first. */
  async events(id: string) {
    return (await this.test.admin.listIncidentEvents(this.id, id, { limit: 100 })).events.reverse()
  }

  /** Oldest first. */
  async requests() {
    return (await this.test.admin.listRequests(this.id, { limit: 100 })).requests.reverse()
  }
}

export interface Sending {
  headers?: Record<string, string>
  query?: string
  ip?: string
  secret?: string
  /** Received by another process. */
  by?: OpenedTocsin
}

export type Received = ApiReceived & { requestId: string }

export class TestSource {
  readonly project: TestProject
  readonly id: string
  readonly adapter: string
  readonly secret: string
  readonly address: 'project' | 'token'

  constructor(
    project: TestProject,
    id: string,
    adapter: string,
    secret: string,
    address: 'project' | 'token',
  ) {
    this.project = project
    this.id = id
    this.adapter = adapter
    this.secret = secret
    this.address = address
  }

  /** Sends a body as the tool would, signed with the secret. */
  send(body: unknown, sending: Sending = {}): Promise<Received> {
    const rawBody = Buffer.isBuffer(body)
      ? body
      : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
    const secret = sending.secret ?? this.secret
    const headers = { ...this.#credential(rawBody, secret), ...sending.headers }
    const request = hookRequest({
      ...sending,
      headers,
      rawBody,
      receivedAt: this.project.test.clock.at(),
      path:
        this.address === 'token'
          ? `/api/webhooks/${this.adapter}/${secret}`
          : `/api/v1/webhooks/${this.project.id}/${this.adapter}`,
    })
    const address: ReceiveAddress =
      this.address === 'token'
        ? { kind: 'token', token: secret, adapter: this.adapter }
        : { kind: 'project', projectId: this.project.id, adapter: this.adapter, sourceId: this.id }
    return (sending.by ?? this.project.test.tocsin).receive(request, address)
  }

  set(settings: ApiSourceSettingsInput) {
    return this.project.test.admin.updateSource(this.project.id, this.id, { settings })
  }

  #credential(body: Buffer, secret: string): Record<string, string> {
    if (this.address === 'token') return {}
    if (this.adapter === 'sentry')
      return { 'sentry-hook-signature': createHmac('sha256', secret).update(body).digest('hex') }
    return { 'x-webhook-secret': secret }
  }
}

export function hookRequest(fields: {
  path?: string
  query?: string
  headers?: Record<string, string>
  rawBody?: Buffer
  receivedAt: string
  ip?: string
}): HookRequest {
  const { path = '/hook', query = '', headers = {}, rawBody = Buffer.from('{}'), receivedAt, ip } = fields
  return {
    method: 'POST',
    path,
    query: new URLSearchParams(query),
    headers: new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), [value]])),
    rawBody,
    receivedAt,
    ip: ip ?? '203.0.113.7',
  }
}

// ---- bodies ----

export interface Alert {
  fingerprint: string
  startsAt: string
  /** Absent: fires. */
  endsAt?: string
  labels?: Record<string, string>
}

/** A notification of Alertmanager or Grafana. */
export function notification(
  alerts: Alert[],
  group: { groupKey?: string; status?: 'firing' | 'resolved'; truncatedAlerts?: number } = {},
) {
  const firing = alerts.some((alert) => alert.endsAt === undefined)
  return {
    version: '4',
    groupKey: group.groupKey ?? '{}:{}',
    status: group.status ?? (firing ? 'firing' : 'resolved'),
    truncatedAlerts: group.truncatedAlerts ?? 0,
    alerts: alerts.map(({ fingerprint, startsAt, endsAt, labels }) => ({
      status: endsAt === undefined ? 'firing' : 'resolved',
      labels: { alertname: fingerprint, ...labels },
      annotations: {},
      startsAt,
      endsAt: endsAt ?? '0001-01-01T00:00:00Z',
      fingerprint,
    })),
  }
}

/** An incident of Better Stack. */
export function betterStack(
  word: 'started' | 'acknowledged' | 'resolved' | 'reopened',
  incident: { id: string; monitor: string; startedAt: string; acknowledgedAt?: string; resolvedAt?: string },
) {
  return {
    event: word,
    data: {
      id: incident.id,
      type: 'incident',
      attributes: {
        name: `Monitor ${incident.monitor}`,
        url: 'https://shop.example',
        cause: 'Status 503',
        started_at: incident.startedAt,
        acknowledged_at: incident.acknowledgedAt ?? null,
        resolved_at: incident.resolvedAt ?? null,
      },
      relationships: { monitor: { data: { id: incident.monitor, type: 'monitor' } } },
    },
  }
}

/** The error a promise is rejected with. */
export async function refusal(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  const answer = await promise.then(
    (value) => value,
    (error: unknown) => ({ error }),
  )
  if (answer !== null && typeof answer === 'object' && 'error' in answer && answer.error instanceof Error)
    return answer.error as Error & Record<string, unknown>
  throw new Error(`Not refused, but answered: ${JSON.stringify(answer)}`)
}
