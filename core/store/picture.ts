import { type Insertable, type Selectable, sql } from 'kysely'
import type { SlotKind } from '../matcher/limit.ts'
import type { Picture } from '../matcher/picture.ts'
import type { IncidentState, MatchEvent, SignalState } from '../matcher/state.ts'
import {
  amendEvent,
  countRepeat,
  eventKeyHash,
  eventRow,
  markOrphanRecovered,
  seenEventKeys,
} from './event.ts'
import {
  anyCurrentIncidents,
  type ChunksOfIncident,
  currentIncidents,
  hasMoved,
  incidentPlace,
  incidentRow,
  incidentsByIds,
  incidentUpdate,
  loadedChunks,
} from './incident.ts'
import { chunkAt, noteChunks } from './incident-chunk.ts'
import {
  firingOfGroups,
  firingOfIncidents,
  firingOfSource,
  isOnlyClosed,
  newSeconds,
  occurrenceClosing,
  occurrenceRow,
  occurrencesAround,
  secondsToFindBy,
} from './occurrence.ts'
import type { DatabaseKind } from './open-database.ts'
import { lockProjects } from './project.ts'
import type { ProjectTable, SharedTextTable } from './schema.ts'
import { withoutSource } from './sender-group.ts'
import { sharedText } from './shared-text.ts'
import { loadedTextHash, signalRow, signalsByIds, signalUpdate } from './signal.ts'
import { noteSeconds } from './signal-second.ts'
import { all, insertRows, isAnyOf, statement, together, updateRows, type Work } from './statement.ts'

/** Loading what a batch touches and writing what it changed (performance.md, hot path). */

/** What one request may look at. */
export interface RequestScope {
  projectId: string
  sourceId: string
  events: readonly MatchEvent[]
  /** What identifies them, where something does (D2). */
  eventKeys: readonly string[]
  delivery: { key: string } | null
  group: { key: string; status: string } | null
  hourlyLimit: number | null
  /** Start of the rolling hour, ISO. */
  hourAgo: string
}

const deliveriesByKeys = statement<
  { sources: string[]; keys: string[] },
  { delivery_key: string; received_at: string }
>((db, p) =>
  db
    .selectFrom('hook_request')
    .select(['delivery_key', sql<string>`max(received_at)`.as('received_at')])
    .where(isAnyOf('source_id', p.list('sources')))
    .where(isAnyOf('delivery_key', p.list('keys')))
    .groupBy('delivery_key')
    .$narrowType<{ delivery_key: string }>(),
)

const groupsByKeys = statement<
  { sources: string[]; keys: string[] },
  { source_id: string; group_key: string; fingerprint: string; partial: number }
>((db, p) =>
  db
    .selectFrom('sender_group')
    .selectAll()
    .where(isAnyOf('source_id', p.list('sources')))
    .where(isAnyOf('group_key', p.list('keys'))),
)

const slotsOfProjects = statement<
  { ids: string[]; since: string },
  { project_id: string; slot_at: string; slot_kind: number }
>((db, p) =>
  db
    .selectFrom('hook_request')
    .select(['project_id', 'slot_at', 'slot_kind'])
    .where(isAnyOf('project_id', p.list('ids')))
    .where('slot_at', '>', p('since'))
    .orderBy('slot_at')
    .$narrowType<{ slot_at: string; slot_kind: number }>(),
)

/** Locks the projects a batch works on and puts them into the picture; answers their rows. */
export function* loadProjects(picture: Picture, ids: string[]): Work<Map<string, Selectable<ProjectTable>>> {
  const rows = yield* lockProjects(ids)
  for (const row of rows) {
    picture.addProject({
      id: row.id,
      logPosition: row.log_position,
      lastIncidentNumber: row.last_incident_number,
    })
  }
  return new Map(rows.map((row) => [row.id, row]))
}

/** Loads what deciding these requests may look at, into a picture that holds their projects already. */
export function* loadRequests(picture: Picture, requests: readonly RequestScope[]): Work<void> {
  const events = requests.flatMap((request) => request.events).filter((event) => !event.test)
  const withSignal = events.filter((event) => event.signalId !== null)
  const keys = requests.flatMap((request) => request.eventKeys)
  const keyByHash = new Map(keys.map((key) => [eventKeyHash(key), key]))
  const deliveries = requests.flatMap((r) => (r.delivery ? [r.delivery.key] : []))
  const groups = requests.flatMap((r) => (r.group ? [withoutSource(r.group.key)] : []))
  const resolvedGroups = requests.filter((r) => r.group?.status === 'resolved')
  const limited = requests.filter((r) => r.hourlyLimit !== null)
  const recoversLoosely = withSignal.filter((event) => event.kind === 'recover' && event.looseRecovery)
  const searches = withSignal.filter(
    (event) => event.kind === 'recover' && (event.looseRecovery || event.upsert),
  )
  const sources = unique(requests.map((r) => r.sourceId))

  const [signals, seen, delivered, groupRows, ofGroups, ofSource, current, anyCurrent, slots] =
    yield* together(
      signalsByIds(unique(withSignal.map((event) => event.signalId!))),
      seenEventKeys([...keyByHash.keys()]),
      allOrNone(deliveries, (keys) => all(deliveriesByKeys, { sources, keys })),
      allOrNone(groups, (keys) => all(groupsByKeys, { sources, keys })),
      firingOfGroups(
        sources,
        unique(resolvedGroups.flatMap((r) => r.events.flatMap((event) => event.senderGroup ?? []))),
      ),
      firingOfSource(uniqueBy(searches, (event) => `${event.sourceId} ${event.titleHash}`)),
      currentIncidents(
        unique(requests.map((r) => r.projectId)),
        unique(withSignal.filter((event) => event.kind !== 'info').map((event) => event.groupKey)),
      ),
      anyCurrentIncidents(
        uniqueBy(
          recoversLoosely.filter((event) => event.anonymous),
          (event) => `${event.projectId} ${event.drill}`,
        ),
      ),
      allOrNone(
        limited.map((r) => r.projectId),
        (ids) =>
          all(slotsOfProjects, {
            ids,
            since: limited.map((r) => r.hourAgo).sort()[0]!,
          }),
      ),
    )

  for (const signal of signals) picture.addSignal(signal)
  for (const [key, stretch] of seen) picture.seenKeys.set(keyByHash.get(key)!, stretch)
  for (const row of delivered) picture.deliveries.set(row.delivery_key, row.received_at)
  for (const row of groupRows) {
    const partial = row.partial === 1
    picture.groups.set(`${row.source_id}/${row.group_key}`, { fingerprint: row.fingerprint, partial })
  }
  for (const id of new Set(limited.map((r) => r.projectId))) {
    picture.slots.set(
      id,
      slots
        .filter((slot) => slot.project_id === id)
        .map((slot) => ({ atMs: Date.parse(slot.slot_at), kind: slot.slot_kind as SlotKind })),
    )
  }
  for (const incident of [...current, ...anyCurrent]) picture.addIncident(incident)

  const known = withSignal.filter((event) => picture.signals.has(event.signalId!))
  const occurrences = yield* occurrencesAround(
    uniqueBy(
      known.map((event) => {
        const signal = picture.signals.get(event.signalId!)!
        const episode = event.episode ?? String(signal.counter)
        return { signalId: signal.id, episode, at: event.at, newestAt: signal.newestAt }
      }),
      (around) => `${around.signalId} ${around.episode} ${around.at}`,
    ),
  )
  const loaded = [...occurrences, ...ofGroups, ...ofSource]
  const wholeIncidents = withSignal.some(
    (event) =>
      event.kind === 'recover' &&
      (event.policy.resolveScope === 'incident' ||
        // R3 searches only where the recovery does not name a signal that is known.
        (event.looseRecovery && (event.anonymous || !picture.signals.has(event.signalId!)))),
  )
  const needed = unique([
    ...signals.flatMap((signal) => signal.incidentId ?? []),
    ...loaded.flatMap((occurrence) => occurrence.incidentId ?? []),
  ]).filter((id) => !picture.incidents.has(id))
  const [incidents, namedSignals] = yield* together(
    incidentsByIds(needed),
    signalsByIds(unique(ofSource.map((o) => o.signalId)).filter((id) => !picture.signals.has(id))),
  )
  for (const incident of incidents) picture.addIncident(incident)
  for (const signal of namedSignals) picture.addSignal(signal)
  for (const occurrence of loaded) picture.addOccurrence(occurrence)

  // One that reopens takes new alerts again unless another does under its key, which may be an older one than the event's.
  const mayReopen = [...picture.incidents.values()].filter(
    ({ status, projectId, groupKey }) => status === 'resolved' && !picture.current(projectId, groupKey),
  )
  for (const incident of yield* currentIncidents(
    unique(mayReopen.map((incident) => incident.projectId)),
    unique(mayReopen.map((incident) => incident.groupKey)),
  )) {
    picture.addIncident(incident)
  }

  if (wholeIncidents) {
    const open = [...picture.incidents.values()].filter((incident) => incident.status !== 'resolved')
    for (const o of yield* firingOfIncidents(open.map((incident) => incident.id))) picture.addOccurrence(o)
  }
}

/** Writes everything a picture says has changed, in one round trip. */
export function* savePicture(picture: Picture, kind: DatabaseKind): Work<void> {
  const { changed } = picture
  // PostgreSQL finds them all by their time.
  const secondToFindBy = kind === 'sqlite' ? secondsToFindBy(picture) : () => null
  const incidents = [...changed.incidents]
  const moved = incidents.filter(hasMoved)
  const [closed, rewritten] = partition([...changed.occurrences], isOnlyClosed)
  const chunkOf = ({ projectId }: { projectId: string }) => chunkAt(picture.project(projectId).logPosition)
  const written = { chunk: new Map<string, number>(), occurrence_chunk: new Map<string, number>() }
  for (const row of [...picture.events, ...picture.timeline])
    if (row.incidentId !== null) written.chunk.set(row.incidentId, chunkOf(row))
  for (const row of picture.newOccurrences)
    if (row.incidentId !== null) written.occurrence_chunk.set(row.incidentId, chunkOf(row))
  const chunksOf = (incident: IncidentState): ChunksOfIncident => {
    const loaded = loadedChunks(incident)
    return {
      chunk: written.chunk.get(incident.id) ?? loaded.chunk,
      occurrence_chunk: written.occurrence_chunk.get(incident.id) ?? loaded.occurrence_chunk,
    }
  }
  const newChunks = (of: keyof ChunksOfIncident) =>
    new Map([...written[of]].filter(([id, chunk]) => loadedChunks(picture.incidents.get(id)!)[of] !== chunk))
  const texts = sharedTexts([...picture.events, ...picture.amended], picture.signals)
  const newRows = [...picture.newOccurrences].map((o) => ({
    ...occurrenceRow(o, secondToFindBy(o)),
    chunk: chunkOf(o),
  }))
  const rewrittenRows = rewritten.map((o) => occurrenceRow(o, secondToFindBy(o)))
  // In this order.
  yield* together(
    updateRows(
      'project',
      [...changed.projects].map((project) => ({
        id: project.id,
        log_position: project.logPosition,
        last_incident_number: project.lastIncidentNumber,
      })),
    ),
    // The unique index sees every statement: first those that stop accepting, then new ones, then reopened ones.
    updateRows('incident', moved.filter((incident) => !incident.acceptsNew).map(incidentPlace)),
    insertRows(
      'incident',
      [...picture.newIncidents].map((incident) => incidentRow(incident, chunksOf(incident))),
    ),
    updateRows('incident', moved.filter((incident) => incident.acceptsNew).map(incidentPlace)),
    ...sameColumns(incidents.map((incident) => incidentUpdate(incident, chunksOf(incident)))).map((rows) =>
      updateRows('incident', rows),
    ),

    insertRows(
      'signal',
      [...picture.newSignals].map((signal) => signalRow(signal, texts.ofSignals.get(signal.id))),
    ),
    ...sameColumns(
      [...changed.signals].map((signal) => signalUpdate(signal, texts.ofSignals.get(signal.id))),
    ).map((rows) => updateRows('signal', rows)),
    insertRows('occurrence', newRows),
    updateRows('occurrence', closed.map(occurrenceClosing)),
    updateRows('occurrence', rewrittenRows),
    insertRows('shared_text', texts.rows, {
      onConflict: { do: 'ignore', columns: ['project_id', 'hash'] },
    }),
    insertRows(
      'event',
      picture.events.map((event) => eventRow(event, chunkOf(event))),
    ),
    insertRows(
      'timeline_entry',
      picture.timeline.map((entry) => ({
        id: entry.id,
        project_id: entry.projectId,
        incident_id: entry.incidentId,
        at: entry.at,
        kind: entry.kind,
        sequence: entry.sequence,
        actor: JSON.stringify(entry.actor),
        text: entry.text,
        request_id: entry.requestId,
        event_ids: JSON.stringify(entry.eventIds),
        chunk: chunkOf(entry),
      })),
    ),
    noteChunks('incident_chunk', newChunks('chunk')),
    noteChunks('occurrence_chunk', newChunks('occurrence_chunk')),
    noteSeconds(newSeconds([...newRows, ...rewrittenRows], picture)),
    insertRows(
      'log_entry',
      picture.log.map((entry) => ({
        project_id: entry.projectId,
        position: entry.position,
        at: entry.at,
        kind: entry.kind,
        incident_id: entry.incidentId,
        data: JSON.stringify(entry.data),
      })),
    ),
    insertRows(
      'sender_group',
      [...changed.groups].map((key) => {
        const group = picture.groups.get(key)!
        const cut = key.indexOf('/')
        return {
          source_id: key.slice(0, cut),
          group_key: withoutSource(key),
          fingerprint: group.fingerprint,
          partial: Number(group.partial),
        }
      }),
      { onConflict: { do: 'replace', columns: ['source_id', 'group_key'] } },
    ),
    ...picture.repeats.map(countRepeat),
    ...picture.amended.map(amendEvent),
    ...picture.usedOrphans.map(markOrphanRecovered),
  )
}

/** Texts of events that are not stored yet, as far as their signals tell, and the hash of the last one of each signal. */
function sharedTexts(
  events: readonly MatchEvent[],
  signals: ReadonlyMap<string, SignalState>,
): { rows: Insertable<SharedTextTable>[]; ofSignals: Map<string, string> } {
  const rows = new Map<string, Insertable<SharedTextTable>>()
  const ofSignals = new Map<string, string>()
  for (const { projectId, signalId, metadata } of events) {
    const text = sharedText(projectId, metadata)
    if (!text) continue
    const signal = signalId === null ? undefined : signals.get(signalId)
    if (signal) ofSignals.set(signal.id, text.hash)
    if (!signal || loadedTextHash(signal) !== text.hash) rows.set(`${projectId} ${text.hash}`, text)
  }
  return { rows: [...rows.values()], ofSignals }
}

function* allOrNone<T>(keys: string[], load: (keys: string[]) => Work<T[]>): Work<T[]> {
  return keys.length === 0 ? [] : yield* load(unique(keys))
}

/** Rows that name fewer columns apart from those that name more. */
function sameColumns<T extends object>(rows: readonly T[]): T[][] {
  return [...Map.groupBy(rows, (row) => Object.keys(row).length).values()]
}

function partition<T>(values: readonly T[], test: (value: T) => boolean): [T[], T[]] {
  return [values.filter(test), values.filter((value) => !test(value))]
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)]
}

function uniqueBy<T>(values: readonly T[], key: (value: T) => string): T[] {
  return [...new Map(values.map((value) => [key(value), value])).values()]
}
