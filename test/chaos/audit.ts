import Sqlite from 'better-sqlite3'
import pg from 'pg'
import { until } from '../support/until.ts'
import { keyOf, type Ledger } from './ledger.ts'

export interface Audit {
  lost: number
  doubled: number
  /** Everything that must not be, in words; empty where all is well. */
  wrong: string[]
}

/** Between these ids of timeline entries an endpoint heard of every transition. */
export interface Listening {
  endpoint: string
  after: string
  until?: string
}

/**
 * The standard audit of one project: acknowledged is stored, stored is stored once and was sent, timelines are complete,
 * the outbox has one message per transition and endpoint, the file is whole. To be called when nothing is under way and
 * everything the ledger holds has been taken.
 */
export async function audit(
  databaseUrl: string,
  projectId: string,
  ledger: Ledger,
  listening: readonly Listening[] = [],
  /** Off where the clock has moved: what comes without a time of its own is put in order by when it came. */
  countsFiring = true,
): Promise<Audit> {
  const db = await openRows(databaseUrl)
  try {
    const wrong: string[] = []
    const expectNone = (what: string, rows: readonly Row[]) => {
      if (rows.length > 0) wrong.push(`${what}: ${rows.length}, such as ${JSON.stringify(rows[0])}`)
    }

    const events = await db.rows(
      `select event.id, event.kind, event.incident_id, request.body, request.body_start, request.body_end,
         earlier.body as earlier from event
       join hook_request as request on request.id = event.request_id
       left join hook_request as earlier on earlier.id = request.body_like and earlier.body_like is null
       where event.project_id = '${projectId}'`,
    )
    const stored = events.map((row) => keyOf({ id: idIn(bodyIn(row)), kind: row.kind as 'fire' | 'recover' }))
    const once = new Set(stored)
    const sent = new Set(ledger.allSent().map(keyOf))
    const lost = ledger.allAcknowledged().filter((alert) => !once.has(keyOf(alert)))
    const doubled = stored.length - once.size
    if (lost.length > 0) wrong.push(`${lost.length} acknowledged alerts are lost, such as ${keyOf(lost[0]!)}`)
    if (doubled > 0) wrong.push(`${doubled} alerts are stored twice`)
    const strange = stored.filter((key) => !sent.has(key))
    if (strange.length > 0) wrong.push(`${strange.length} events were never sent, such as ${strange[0]}`)

    const entries = await db.rows(
      `select id, incident_id, kind, sequence, event_ids from timeline_entry
       where project_id = '${projectId}' order by id`,
    )
    const told = entries
      .filter(({ kind }) => kind === 'context')
      .flatMap(({ event_ids }) => JSON.parse(event_ids as string) as string[])
    const toldOnce = new Set(told)
    if (told.length > toldOnce.size) wrong.push('an event stands in a timeline twice')
    expectNone(
      'events that no timeline tells of',
      events.filter(({ id, incident_id }) => incident_id !== null && !toldOnce.has(id as string)),
    )
    for (const [table, chunks] of [
      ['event', 'incident_chunk'],
      ['timeline_entry', 'incident_chunk'],
      ['occurrence', 'occurrence_chunk'],
    ]) {
      expectNone(
        `rows of ${table} that their incident does not find`,
        await db.rows(
          `select id from ${table} where project_id = '${projectId}' and incident_id is not null and not exists (
             select 1 from ${chunks} as c where c.incident_id = ${table}.incident_id and c.chunk = ${table}.chunk)`,
        ),
      )
    }
    expectNone(
      'occurrences that their signal does not find',
      await db.rows(
        `select id from occurrence where project_id = '${projectId}' and fired_second is not null and not exists (
           select 1 from signal_second as s where s.signal_id = occurrence.signal_id and s.second = fired_second)`,
      ),
    )
    const placed = await db.rows(
      `select id, fired_at, fired_second from occurrence where project_id = '${projectId}' and fired_second is not null`,
    )
    expectNone(
      'occurrences that fired in another second',
      placed.filter(
        (row) => Math.floor(Date.parse(String(row.fired_at)) / 1000) !== Number(row.fired_second),
      ),
    )
    expectNone(
      'incidents whose transitions are not numbered one by one',
      await db.rows(
        `select incident_id from timeline_entry where project_id = '${projectId}' and sequence is not null
         group by incident_id
         having count(*) <> max(sequence) or count(distinct sequence) <> count(*) or min(sequence) <> 1`,
      ),
    )
    expectNone(
      'incidents that disagree with their alerts',
      await db.rows(
        `select id, status, firing, fires from (
           select incident.id, status,
             firing_critical + firing_high + firing_medium + firing_low + firing_info as firing,
             (select count(*) from occurrence where incident_id = incident.id and fired_at is not null
                and recovered_at is null) as fires
           from incident where project_id = '${projectId}') as counted
         where firing <> fires or (status = 'resolved') <> (firing = 0)`,
      ),
    )
    const [sum] = await db.rows(
      `select count(*) as fires from occurrence
       where project_id = '${projectId}' and fired_at is not null and recovered_at is null`,
    )
    if (countsFiring && Number(sum!.fires) !== ledger.firing()) {
      wrong.push(`${sum!.fires} alerts fire, but ${ledger.firing()} should`)
    }

    const messages = await db.rows(
      `select endpoint_id, incident_id, sequence from message
       where project_id = '${projectId}' and incident_id is not null`,
    )
    const laneOf = (endpoint: unknown, incident: unknown, sequence: unknown) =>
      `${endpoint} ${incident} ${sequence}`
    const written = messages.map((row) => laneOf(row.endpoint_id, row.incident_id, row.sequence))
    const asked = listening.flatMap(({ endpoint, after, until = '~' }) =>
      entries
        .filter(({ id, sequence }) => sequence !== null && (id as string) > after && (id as string) <= until)
        .map(({ incident_id, sequence }) => laneOf(endpoint, incident_id, sequence)),
    )
    if (JSON.stringify(written.toSorted()) !== JSON.stringify(asked.toSorted())) {
      const missing = asked.filter((lane) => !written.includes(lane)).length
      wrong.push(`the outbox holds ${written.length} messages of ${asked.length}; ${missing} are missing`)
    }

    wrong.push(...(await db.faults()))
    return { lost: lost.length, doubled, wrong }
  } finally {
    await db.close()
  }
}

type Row = Record<string, unknown>

export interface Rows {
  rows(sql: string): Promise<Row[]>
  /** What the database itself finds wrong with its file. */
  faults(): Promise<string[]>
  close(): Promise<void>
}

/** Reads a database past Tocsin. */
export async function openRows(databaseUrl: string): Promise<Rows> {
  if (databaseUrl.startsWith('sqlite:')) {
    const db = new Sqlite(databaseUrl.slice('sqlite:'.length), { readonly: true })
    return {
      rows: async (sql) => db.prepare<[], Row>(sql).all(),
      faults: async () =>
        db
          .prepare<[], string>('pragma integrity_check')
          .pluck()
          .all()
          .filter((line) => line !== 'ok'),
      close: async () => void db.close(),
    }
  }
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  return {
    rows: async (sql) => (await client.query(sql)).rows,
    faults: async () => [],
    close: () => client.end(),
  }
}

/** A stored body, put together where it is kept as what differs from an earlier one. */
function bodyIn(row: Row): Buffer {
  const [body, earlier] = [row.body as Buffer, row.earlier as Buffer | null]
  if (row.body_start === null) return body
  if (earlier === null) throw new Error('The body another one is like is gone.')
  const end = earlier.length - Number(row.body_end)
  return Buffer.concat([earlier.subarray(0, Number(row.body_start)), body, earlier.subarray(end)])
}

/** The id of the alert in a body, wherever its tool puts it. */
function idIn(body: Buffer): string {
  const id = String(body).match(/\balert-\d+/)?.[0]
  if (id === undefined) throw new Error('A stored request names no alert.')
  return id
}

/** Id of the newest timeline entry of a project, below all ids where it has none. */
export async function newestEntry(databaseUrl: string, projectId: string): Promise<string> {
  const db = await openRows(databaseUrl)
  const [row] = await db.rows(`select max(id) as id from timeline_entry where project_id = '${projectId}'`)
  await db.close()
  return (row!.id as string | null) ?? ''
}

/** Ids of the project's messages, once none of them waits any more. Throws where one failed or it takes too long. */
export async function untilDelivered(databaseUrl: string, projectId: string): Promise<string[]> {
  const db = await openRows(databaseUrl)
  try {
    return await until(
      'every message has been delivered',
      async () => {
        const rows = await db.rows(`select id, status from message where project_id = '${projectId}'`)
        if (rows.some(({ status }) => status === 'failed')) throw new Error('A message has failed.')
        return rows.every(({ status }) => status === 'delivered') && rows.map(({ id }) => id as string)
      },
      { withinMs: 180_000, everyMs: 250 },
    )
  } finally {
    await db.close()
  }
}
