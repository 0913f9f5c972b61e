import { randomBytes } from 'node:crypto'
import type { ApiEndpoint, ApiProject } from '@tocsin/core'
import { sql } from 'kysely'
import { newMessage } from '../../core/delivery/results.ts'
import { createIds } from '../../core/ids.ts'
import { insertMessages, NO_LANES } from '../../core/store/message.ts'
import { openDatabase } from '../../core/store/open-database.ts'
import { isAnyOf, run, type Statement, statement, type Work } from '../../core/store/statement.ts'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { messageBody } from './messages.ts'

/** What waits in the outbox of a running Tocsin, put in and held back from outside. */
export interface Backlog {
  /** Puts messages in until so many wait. */
  fill(waiting: number): Promise<void>
  /** Lets the worker send. */
  open(): Promise<void>
  /** Lets it take nothing more, and waits until all that it took has its result. */
  close(): Promise<void>
  /** Lets nothing be sent for any of the usual reasons, a third each: switched off, breaker open, not due yet. */
  holdAll(): Promise<void>
  /** What is stored of deliveries: messages, attempts, and the counters of the endpoints. */
  count(): Promise<{ messages: number; attempts: number; counted: number }>
  dispose(): Promise<void>
}

/** Of an incident: opened, acknowledged, resolved. They go out one after the other. */
const MESSAGES_PER_LANE = 3
const ROWS_PER_COMMIT = 2_000

/** Makes a project with so many endpoints at one receiver, all of them held back. */
export async function openBacklog(
  tocsin: TocsinProcess,
  { endpoints, receiver }: { endpoints: number; receiver: string },
): Promise<Backlog> {
  const { project } = await tocsin.api<{ project: ApiProject }>('POST', '/projects', { name: 'receivers' })
  const ids = await Promise.all(
    Array.from({ length: endpoints }, async (_, i) => {
      const input = { url: `${receiver}/hook/${i}`, enabled: false }
      const path = `/projects/${project.id}/endpoints`
      return (await tocsin.api<{ endpoint: ApiEndpoint }>('POST', path, input)).endpoint.id
    }),
  )
  const database = await openDatabase(tocsin.databaseUrl)
  const newId = createIds(() => new Date(), randomBytes)
  const commit = <T>(work: () => Work<T>) => database.transaction(work)
  const numberOf = async <P extends object>(query: Statement<P, { count: number }>, params: P) =>
    (await database.query(query, params))[0]!.count
  let lanes = 0

  function newLane(now: string) {
    const incident = newId()
    const lane = lanes++
    const endpoint = ids[lane % ids.length]!
    return Array.from({ length: MESSAGES_PER_LANE }, (_, index) =>
      newMessage({
        id: newId(),
        project_id: project.id,
        endpoint_id: endpoint,
        type: 'incident.opened',
        incident_id: incident,
        sequence: index + 1,
        body: messageBody(incident, lane + index),
        policy: 'standard-3d',
        now,
      }),
    )
  }

  return {
    async fill(waiting) {
      for (let missing = waiting - (await numberOf(pending, {})); missing > 0; missing -= ROWS_PER_COMMIT) {
        const count = Math.ceil(Math.min(missing, ROWS_PER_COMMIT) / MESSAGES_PER_LANE)
        const rows = Array.from({ length: count }, () => newLane(new Date().toISOString())).flat()
        await commit(() => insertMessages(rows, NO_LANES))
      }
    },
    async open() {
      await commit(() => run(switchAll, { projectId: project.id, enabled: 1 }))
    },
    async close() {
      await commit(() => run(switchAll, { projectId: project.id, enabled: 0 }))
      await until('every result is stored', async () => (await numberOf(leased, {})) === 0, { everyMs: 5 })
    },
    async holdAll() {
      const inAnHour = new Date(Date.now() + 3_600_000).toISOString()
      const third = Math.ceil(ids.length / 3)
      const [blocked, later] = [ids.slice(third, 2 * third), ids.slice(2 * third)]
      await commit(() => run(openBreakers, { ids: blocked, until: inAnHour }))
      await commit(() => run(postpone, { ids: later, until: inAnHour }))
      await commit(() => run(switchOn, { ids: [...blocked, ...later] }))
    },
    count: async () => ({
      messages: await numberOf(delivered, {}),
      attempts: await numberOf(attempted, {}),
      counted: await numberOf(counted, {}),
    }),
    dispose: () => database.close(),
  }
}

const switchAll = statement<{ projectId: string; enabled: number }, unknown>((db, p) =>
  db
    .updateTable('endpoint')
    .set({ enabled: p('enabled') })
    .where('project_id', '=', p('projectId')),
)

const switchOn = statement<{ ids: string[] }, unknown>((db, p) =>
  db
    .updateTable('endpoint')
    .set({ enabled: 1 })
    .where(isAnyOf('id', p.list('ids'))),
)

const openBreakers = statement<{ ids: string[]; until: string }, unknown>((db, p) =>
  db
    .updateTable('endpoint')
    .set({ open_until: p('until') })
    .where(isAnyOf('id', p.list('ids'))),
)

const postpone = statement<{ ids: string[]; until: string }, unknown>((db, p) =>
  db
    .updateTable('message')
    .set({ due_at: p('until') })
    .where(isAnyOf('endpoint_id', p.list('ids')))
    .where('due_at', 'is not', null),
)

const pending = statement<object, { count: number }>(
  () => sql<{ count: number }>`select count(*) as count from message where status = 'pending'`,
)
const leased = statement<object, { count: number }>(
  () => sql<{ count: number }>`select count(*) as count from message where lease_token is not null`,
)
const delivered = statement<object, { count: number }>(
  () => sql<{ count: number }>`select count(*) as count from message where status = 'delivered'`,
)
const attempted = statement<object, { count: number }>(
  () => sql<{ count: number }>`select count(*) as count from attempt where response_status = 204`,
)
const counted = statement<object, { count: number }>(
  () => sql<{ count: number }>`select sum(delivered) as count from endpoint`,
)
