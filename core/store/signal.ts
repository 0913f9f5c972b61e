import type { Insertable, Selectable } from 'kysely'
import type { SignalState } from '../matcher/state.ts'
import type { SignalTable } from './schema.ts'
import { all, isAnyOf, isSameBut, only, statement, type Work } from './statement.ts'

const byIds = statement<{ ids: string[] }, Selectable<SignalTable>>((db, p) =>
  db
    .selectFrom('signal')
    .selectAll()
    .where(isAnyOf('signal.id', p.list('ids'))),
)

export function* signalsByIds(ids: string[]): Work<SignalState[]> {
  return ids.length === 0 ? [] : (yield* all(byIds, { ids })).map(fromRow)
}

/** What every event of a signal changes. */
const MOVED = [
  'counter',
  'incident_id',
  'last_body_hash',
  'last_received_at',
  'last_event_id',
  'newest_at',
  'text_hash',
] as const

/** What has changed of a signal: seldom how it is called. */
export function signalUpdate(
  signal: SignalState,
  textHash: string | undefined,
): Partial<Insertable<SignalTable>> {
  const row = signalRow(signal, textHash)
  const loaded = loadedRows.get(signal)
  return loaded && isSameBut(MOVED, loaded, row) ? only(['id', ...MOVED], row) : row
}

/** The hash of the shared text that its newest event had, of those that had one, when it was loaded. */
export function loadedTextHash(signal: SignalState): string | null {
  return loadedRows.get(signal)?.text_hash ?? null
}

const loadedRows = new WeakMap<SignalState, Selectable<SignalTable>>()

export function signalRow(signal: SignalState, textHash: string | undefined): Insertable<SignalTable> {
  return {
    id: signal.id,
    project_id: signal.projectId,
    source_id: signal.sourceId,
    key: signal.key,
    drill: Number(signal.drill),
    title: signal.title,
    title_hash: signal.titleHash,
    monitor_id: signal.monitor.id,
    monitor_name: signal.monitor.name,
    monitor_url: signal.monitor.url,
    counter: signal.counter,
    incident_id: signal.incidentId,
    last_body_hash: signal.lastBodyHash,
    last_received_at: signal.lastReceivedAt,
    last_event_id: signal.lastEventId,
    newest_at: signal.newestAt,
    text_hash: textHash ?? loadedTextHash(signal),
  }
}

function fromRow(row: Selectable<SignalTable>): SignalState {
  const signal: SignalState = {
    id: row.id,
    projectId: row.project_id,
    sourceId: row.source_id,
    key: row.key,
    drill: row.drill === 1,
    title: row.title,
    titleHash: row.title_hash,
    monitor: { id: row.monitor_id, name: row.monitor_name, url: row.monitor_url },
    counter: row.counter,
    incidentId: row.incident_id,
    lastBodyHash: row.last_body_hash,
    lastReceivedAt: row.last_received_at,
    lastEventId: row.last_event_id,
    newestAt: row.newest_at,
  }
  loadedRows.set(signal, row)
  return signal
}
