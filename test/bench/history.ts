import Sqlite from 'better-sqlite3'
import pg from 'pg'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import type { Target } from './alert-request.ts'
import { startHelper } from './helper.ts'
import type { SliceOrder, SliceReport } from './load.ts'

/** Incidents that are open at the end, each with one signal. */
export const OPEN_INCIDENTS = 10_000
/** How far one repetition lies before the next. */
const STEP_MS = 60_000

/**
 * Gives a Tocsin a past. The first event of each signal goes in as any other; then the process rests while SQL repeats
 * what those events left, earlier each time, as if each signal had fired so often before. Answers how many events were
 * sent.
 */
export async function makeHistory(
  tocsin: TocsinProcess,
  target: Target,
  { events, startMs }: { events: number; startMs: number },
): Promise<number> {
  const generator = await startHelper<SliceOrder, SliceReport>('load.ts')
  let sent = 0
  try {
    while (sent < OPEN_INCIDENTS) {
      const report = await generator.run({
        target,
        connections: 64,
        keepAlive: true,
        duplicates: false,
        durationMs: 1_000,
        firstEvent: sent,
        startMs,
        signals: OPEN_INCIDENTS,
      })
      sent += report.events
    }
  } finally {
    generator.stop()
  }
  await tocsin.stop()
  const times = Math.round(events / OPEN_INCIDENTS) - 1
  const { databaseUrl } = tocsin
  if (databaseUrl.startsWith('sqlite:')) repeatOnSqlite(databaseUrl.slice('sqlite:'.length), times)
  else await repeatOnPostgres(databaseUrl, times)
  await tocsin.restart()
  return sent
}

const REPEATED = [
  'hook_request',
  'event',
  'occurrence',
  'timeline_entry',
  'incident_chunk',
  'occurrence_chunk',
  'signal_second',
] as const
/** Each repetition lies in chunks of its own. */
const EARLIER_CHUNK = `chunk - k * ${OPEN_INCIDENTS}`

/** Earlier values of a repetition; every other column is that of the row it repeats. */
const EARLIER: Record<(typeof REPEATED)[number], Record<string, string>> = {
  hook_request: {
    id: 'older_id(id, k)',
    received_at: 'older_time(received_at, k)',
    event_ids: "'[\"' || older_id(substr(event_ids, 3, 36), k) || '\"]'",
  },
  event: {
    id: 'older_id(id, k)',
    request_id: 'older_id(request_id, k)',
    event_key: 'older_key(event_key, k)',
    chunk: EARLIER_CHUNK,
    event_time: 'older_time(event_time, k)',
    source_time: 'older_time(source_time, k)',
    received_at: 'older_time(received_at, k)',
  },
  occurrence: {
    id: 'older_id(id, k)',
    episode: 'older_time(episode, k)',
    fired_at: 'older_time(fired_at, k)',
    fired_received_at: 'older_time(fired_received_at, k)',
    recovered_at: 'older_time(fired_at, k - 1)',
    recovered_received_at: 'older_time(fired_received_at, k - 1)',
    closed_by: "'episode'",
    chunk: EARLIER_CHUNK,
    fired_second: `fired_second - k * ${STEP_MS / 1000}`,
  },
  timeline_entry: {
    id: 'older_id(id, k)',
    at: 'older_time(at, k)',
    request_id: 'older_id(request_id, k)',
    event_ids: "'[\"' || older_id(substr(event_ids, 3, 36), k) || '\"]'",
    chunk: EARLIER_CHUNK,
  },
  incident_chunk: { chunk: EARLIER_CHUNK },
  occurrence_chunk: { chunk: EARLIER_CHUNK },
  signal_second: { second: `second - k * ${STEP_MS / 1000}` },
}

/** Which rows are repeated: those of the first round. */
const FIRST: Record<(typeof REPEATED)[number], string> = {
  hook_request: 'status = 200',
  event: "kind = 'fire'",
  occurrence: 'recovered_at is null',
  timeline_entry: "kind = 'context'",
  incident_chunk: 'true',
  occurrence_chunk: 'true',
  signal_second: 'true',
}

function repeatOnSqlite(path: string, times: number): void {
  if (times < 1) return
  const db = new Sqlite(path)
  try {
    db.function('older_id', { deterministic: true }, (id, k) => olderId(String(id), Number(k)))
    db.function('older_time', { deterministic: true }, (time, k) =>
      time === null ? null : new Date(Date.parse(String(time)) - Number(k) * STEP_MS).toISOString(),
    )
    db.function('older_key', { deterministic: true }, (key, k) => olderKey(String(key), Number(k)))
    db.pragma('synchronous = OFF')
    db.pragma('journal_mode = DELETE')
    db.pragma('journal_mode = OFF')
    db.pragma('cache_size = -200000')
    // Sorted at the end, an index costs a fraction of what it does row by row.
    const indexes = db
      .prepare<[], { name: string; sql: string }>(
        `select name, sql from sqlite_schema where type = 'index' and sql is not null
          and tbl_name in (${REPEATED.map((table) => `'${table}'`)})`,
      )
      .all()
    for (const { name } of indexes) db.exec(`drop index ${name}`)
    for (const table of REPEATED) {
      const columns = db.prepare<[string], string>('select name from pragma_table_info(?)').pluck().all(table)
      for (const statement of repetition(table, columns, times)) db.exec(statement)
    }
    for (const { sql } of indexes) db.exec(sql)
    db.pragma('journal_mode = WAL')
  } finally {
    db.close()
  }
}

/** What the other does in JavaScript, in functions that are gone afterwards. */
const ON_POSTGRES = `
  create schema history;
  set search_path = history, public;
  set synchronous_commit = off;
  create function older_id(id text, k int) returns text immutable language sql as $$
    select substr(hex, 1, 8) || '-' || substr(hex, 9) || substr(id, 14)
    from lpad(to_hex(('x' || substr(id, 1, 8) || substr(id, 10, 4))::bit(48)::bigint - k * ${STEP_MS}::bigint), 12, '0') hex
  $$;
  create function older_time(at text, k int) returns text stable language sql as $$
    select to_char((at::timestamptz - k * interval '${STEP_MS} milliseconds') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
  $$;
  create function older_key(key text, k int) returns text immutable language plpgsql as $$
    declare
      digits constant text := '0123456789abcdefghijklmnopqrstuvwxyz';
      ms bigint := 0;
      moved text := '';
    begin
      for i in 1..9 loop ms := ms * 36 + strpos(digits, substr(key, i, 1)) - 1; end loop;
      ms := ms - k * ${STEP_MS}::bigint;
      for i in 1..9 loop
        moved := substr(digits, (ms % 36)::int + 1, 1) || moved;
        ms := ms / 36;
      end loop;
      return moved || substr(key, 10);
    end
  $$;
`

async function repeatOnPostgres(url: string, times: number): Promise<void> {
  if (times < 1) return
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(ON_POSTGRES)
    const { rows: indexes } = await client.query<{ name: string; sql: string }>(
      `select indexname as name, indexdef as sql from pg_indexes where tablename = any($1)
        and indexname not in (select conname from pg_constraint)`,
      [REPEATED],
    )
    for (const { name } of indexes) await client.query(`drop index ${name}`)
    for (const table of REPEATED) {
      const { rows: columns } = await client.query<{ name: string }>(
        'select column_name as name from information_schema.columns where table_name = $1 order by ordinal_position',
        [table],
      )
      const names = columns.map(({ name }) => name)
      for (const statement of repetition(table, names, times)) await client.query(statement)
    }
    for (const { sql } of indexes) await client.query(sql)
    await client.query('drop schema history cascade')
    // As it would have done by itself meanwhile.
    await client.query('vacuum analyze')
  } finally {
    await client.end()
  }
}

/** Statements that add so many earlier rows for each, the earliest first. */
function repetition(table: (typeof REPEATED)[number], columns: readonly string[], times: number): string[] {
  const values = columns.map((column) => EARLIER[table][column] ?? column)
  const steps = Array.from({ length: times }, (_, step) => times - step)
  return [
    `create temp table first_of_${table} as select * from ${table} where ${FIRST[table]}`,
    ...steps.map(
      (k) =>
        `insert into ${table} (${columns}) select ${values} from (select ${k} as k) as n cross join first_of_${table}`,
    ),
  ]
}

/** The time in front of a version 7 id, moved. */
function olderId(id: string, k: number): string {
  const ms = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) - k * STEP_MS
  const hex = ms.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}${id.slice(13)}`
}

/** The time in front of the hash of an event key, moved; the hash need not be one. */
function olderKey(key: string, k: number): string {
  const ms = Number.parseInt(key.slice(0, 9), 36) - k * STEP_MS
  return ms.toString(36).padStart(9, '0') + key.slice(9)
}
