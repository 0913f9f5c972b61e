import { type Insertable, type Selectable, sql } from 'kysely'
import type { ClosedBy, OccurrenceState } from '../matcher/state.ts'
import type { Severity } from '../types.ts'
import { occurrencesOf } from './incident-chunk.ts'
import type { OccurrenceTable, SignalSecondTable } from './schema.ts'
import { withoutSource } from './sender-group.ts'
import { occurrencesBySecond, occurrencesByTime, secondOf } from './signal-second.ts'
import { all, allForEach, isAnyOf, statement, type Work } from './statement.ts'

/** How many neighbours in time a late event may need on either side (T3, T7), and how many of the newest (T2). */
const NEIGHBOURS = 4
/** A loose recovery needs to know whether one or several fire (R3), and names a few. */
const MOST_OF_SOURCE = 50

/** An event of a signal, as far as it matters for what to load. */
export interface Around {
  signalId: string
  /** The sender's, or the number of the signal's last stretch. */
  episode: string
  at: string
  /** Latest time an event of the signal spoke of. */
  newestAt: string
}

/** What fires, the event's own episode and waiting recoveries: enough for what arrives in order. Rows may repeat. */
const currentOf = statement<Pick<Around, 'signalId' | 'episode'>, Selectable<OccurrenceTable>>((db, p) => {
  const part = () => db.selectFrom('occurrence').selectAll().where('signal_id', '=', p('signalId'))
  return part()
    .where('recovered_at', 'is', null)
    .unionAll(part().where('episode', '=', p('episode')))
    .unionAll(part().where('fired_at', 'is', null))
})

/** The neighbours of a time, and the newest ones, for events that come late. */
const neighboursOf = statement<
  Pick<Around, 'signalId' | 'at'> & { second: number },
  Selectable<OccurrenceTable>
>((db, p, kind) => {
  const few = sql.lit(NEIGHBOURS)
  const byTime = () =>
    occurrencesByTime(db, kind).select('x.id').where('x.signal_id', '=', p('signalId')).limit(few)
  const bySecond = () =>
    occurrencesBySecond(db).select('o.id').where('x.signal_id', '=', p('signalId')).limit(few)
  const sides = [
    byTime().where('x.fired_at', '<=', p('at')).orderBy('x.fired_at', 'desc'),
    byTime().where('x.fired_at', '>', p('at')).orderBy('x.fired_at'),
    byTime().where('x.fired_at', 'is not', null).orderBy('x.fired_at', 'desc'),
  ]
  const sidesBySecond = [
    bySecond()
      .where('x.second', '<=', p('second'))
      .where('o.fired_at', '<=', p('at'))
      .orderBy('x.second', 'desc')
      .orderBy('o.fired_at', 'desc'),
    bySecond()
      .where('x.second', '>=', p('second'))
      .where('o.fired_at', '>', p('at'))
      .orderBy('x.second')
      .orderBy('o.fired_at'),
    bySecond().orderBy('x.second', 'desc').orderBy('o.fired_at', 'desc'),
  ]
  const [first, ...others] = [...sides, ...(kind === 'sqlite' ? sidesBySecond : [])].map((side) =>
    db.selectFrom(side.as('side')).select('id'),
  )
  const ids = others.reduce((all, side) => all.unionAll(side), first!)
  return db.selectFrom('occurrence').selectAll().where('id', 'in', ids)
})

/**
 * What deciding these events may look at. Every part is a few rows by index, however long the history of a signal is;
 * the neighbours of an event's time are asked for only where it is not the newest thing said of its signal.
 */
export function* occurrencesAround(events: readonly Around[]): Work<OccurrenceState[]> {
  const current = (yield* allForEach(currentOf, events)).map((rows) => rows.map(fromRow))
  const late = events.filter(
    (event, i) => event.newestAt >= event.at || current[i]!.some((o) => isNotBefore(o, event.at)),
  )
  const neighbours = (yield* allForEach(
    neighboursOf,
    late.map(({ signalId, at }) => ({ signalId, at, second: secondOf(at) })),
  ))
    .flat()
    .map(fromRow)
  return [...current.flat(), ...neighbours]
}

/** Whether any time of the occurrence is not before this one. */
function isNotBefore(o: OccurrenceState, at: string): boolean {
  return [o.firedAt, o.orderAt, o.recoveredAt].some((time) => time !== null && time >= at)
}

const firingOfGroupsQuery = statement<{ sources: string[]; groups: string[] }, Selectable<OccurrenceTable>>(
  (db, p) =>
    db
      .selectFrom('occurrence')
      .selectAll()
      .where(isAnyOf('source_id', p.list('sources')))
      .where(isAnyOf('sender_group', p.list('groups')))
      .where('recovered_at', 'is', null),
)

/** Firing occurrences of senders' groups (R2). */
export function* firingOfGroups(sources: string[], groups: string[]): Work<OccurrenceState[]> {
  if (groups.length === 0) return []
  // Rows of before 0012 name the source as well.
  const stored = groups.flatMap((group) => [withoutSource(group), group])
  return (yield* all(firingOfGroupsQuery, { sources, groups: stored })).map(fromRow)
}

const firingOfSourceQuery = statement<{ sourceId: string; titleHash: string }, Selectable<OccurrenceTable>>(
  (db, p) => {
    const part = () =>
      db
        .selectFrom('occurrence')
        .selectAll()
        .where('source_id', '=', p('sourceId'))
        .where('recovered_at', 'is', null)
        .where('title_hash', 'is not', null)
    const limited = (query: ReturnType<typeof part>) =>
      db.selectFrom(query.limit(MOST_OF_SOURCE).as('o')).selectAll()
    return limited(part().where('title_hash', '=', p('titleHash'))).union(limited(part()))
  },
)

/** What fires from a source: the occurrences of one title, and some of the others (R3). */
export function* firingOfSource(
  asked: readonly { sourceId: string; titleHash: string }[],
): Work<OccurrenceState[]> {
  return (yield* allForEach(firingOfSourceQuery, asked)).flat().map(fromRow)
}

const firingOfIncidentsQuery = statement<{ ids: string[] }, Selectable<OccurrenceTable>>((db, p) =>
  db
    .selectFrom('occurrence')
    .selectAll()
    .where(isAnyOf('incident_id', p.list('ids')))
    .where('recovered_at', 'is', null),
)

export function* firingOfIncidents(ids: string[]): Work<OccurrenceState[]> {
  return ids.length === 0 ? [] : (yield* all(firingOfIncidentsQuery, { ids })).map(fromRow)
}

const manualOfIncidentQuery = statement<{ id: string }, Selectable<OccurrenceTable>>((db, p) =>
  occurrencesOf(db).selectAll('o').where('c.incident_id', '=', p('id')).where('o.closed_by', '=', 'manual'),
)

/** Occurrences a person had closed (H4). */
export function* manualOfIncident(id: string): Work<OccurrenceState[]> {
  return (yield* all(manualOfIncidentQuery, { id })).map(fromRow)
}

/** SQL for the status of a signal in an incident, by its occurrence. */
export const signalStatus = sql<string>`case when recovered_at is null then 'firing' when closed_by = 'manual' then 'manual' else 'recovered' end`

/** What an ending changes; naming fewer columns, it rewrites fewer indexes. */
export function occurrenceClosing(o: OccurrenceState): Partial<Insertable<OccurrenceTable>> {
  return {
    id: o.id,
    recovered_at: o.recoveredAt,
    recovered_time_inferred: Number(o.recoveredTimeInferred),
    recovered_received_at: o.recoveredReceivedAt,
    closed_by: o.closedBy,
    sender_recovered_at: o.senderRecoveredAt,
    severity: o.severity,
    stretch: o.stretch,
  }
}

/** Whether it has changed in no other way since it was loaded. */
export function isOnlyClosed(o: OccurrenceState): boolean {
  const loaded = loadedPlaces.get(o)
  return (
    o.firedAt !== null &&
    loaded !== undefined &&
    loaded.firedAt === o.firedAt &&
    loaded.orderAt === o.orderAt &&
    loaded.senderGroup === o.senderGroup &&
    loaded.titleHash === o.titleHash
  )
}

const loadedPlaces = new WeakMap<
  OccurrenceState,
  Pick<OccurrenceState, 'firedAt' | 'orderAt' | 'senderGroup' | 'titleHash'> & { second: number | null }
>()

interface OccurrencesBySignal {
  occurrences(signalId: string): readonly OccurrenceState[]
}

/** The second by which one of these is to be found; null where that is its time: see signal-second.ts. */
export function secondsToFindBy(picture: OccurrencesBySignal): (o: OccurrenceState) => number | null {
  const bySignal = new Map<string, Map<number, number>>()
  /** How many of a signal fired in each second, of those that are known. */
  const countsOf = (signalId: string) => {
    let counts = bySignal.get(signalId)
    if (!counts) {
      counts = new Map()
      for (const { firedAt } of picture.occurrences(signalId)) {
        if (firedAt === null) continue
        const second = secondOf(firedAt)
        counts.set(second, (counts.get(second) ?? 0) + 1)
      }
      bySignal.set(signalId, counts)
    }
    return counts
  }
  return (o) => {
    if (o.firedAt === null) return null
    const loaded = loadedPlaces.get(o)
    if (loaded?.firedAt === o.firedAt) return loaded.second
    const second = secondOf(o.firedAt)
    const counts = countsOf(o.signalId)
    return counts.get(second)! > 1 || counts.has(second - 1) ? second : null
  }
}

/** The seconds of rows that were written, without those in which their signals are known to have some. */
export function newSeconds(
  written: readonly Pick<Insertable<OccurrenceTable>, 'signal_id' | 'fired_second'>[],
  picture: OccurrencesBySignal,
): SignalSecondTable[] {
  const found: SignalSecondTable[] = []
  for (const [signalId, rows] of Map.groupBy(written, (row) => row.signal_id)) {
    const known = new Set(picture.occurrences(signalId).map((o) => loadedPlaces.get(o)?.second))
    for (const { fired_second: second } of rows) {
      if (second == null || known.has(second)) continue
      found.push({ signal_id: signalId, second })
      known.add(second)
    }
  }
  return found
}

/** All that is known of it, with the second it is to be found by; the chunk it was written in stays with the row. */
export function occurrenceRow(
  o: OccurrenceState,
  second: number | null,
): Omit<Insertable<OccurrenceTable>, 'chunk'> {
  return {
    id: o.id,
    project_id: o.projectId,
    signal_id: o.signalId,
    source_id: o.sourceId,
    incident_id: o.incidentId,
    episode: o.episode,
    stretch: o.stretch,
    fired_at: o.firedAt,
    fired_second: second,
    order_at: o.orderAt,
    fired_time_inferred: Number(o.firedTimeInferred),
    fired_received_at: o.firedReceivedAt,
    recovered_at: o.recoveredAt,
    recovered_time_inferred: Number(o.recoveredTimeInferred),
    recovered_received_at: o.recoveredReceivedAt,
    closed_by: o.closedBy,
    sender_recovered_at: o.senderRecoveredAt,
    severity: o.severity,
    sender_group: o.senderGroup && withoutSource(o.senderGroup),
    title_hash: o.titleHash || null,
    anonymous: Number(o.anonymous),
    monitor_id: o.monitorId,
    explicit_reopen: Number(o.explicitReopen),
    late: Number(o.late),
  }
}

function fromRow(row: Selectable<OccurrenceTable>): OccurrenceState {
  const occurrence: OccurrenceState = {
    id: row.id,
    projectId: row.project_id,
    signalId: row.signal_id,
    sourceId: row.source_id,
    incidentId: row.incident_id,
    episode: row.episode,
    stretch: row.stretch,
    firedAt: row.fired_at,
    orderAt: row.order_at,
    firedTimeInferred: row.fired_time_inferred === 1,
    firedReceivedAt: row.fired_received_at,
    recoveredAt: row.recovered_at,
    recoveredTimeInferred: row.recovered_time_inferred === 1,
    recoveredReceivedAt: row.recovered_received_at,
    closedBy: row.closed_by as ClosedBy | null,
    senderRecoveredAt: row.sender_recovered_at,
    severity: row.severity as Severity,
    senderGroup: row.sender_group && `${row.source_id}/${withoutSource(row.sender_group)}`,
    titleHash: row.title_hash ?? '',
    anonymous: row.anonymous === 1,
    monitorId: row.monitor_id,
    explicitReopen: row.explicit_reopen === 1,
    late: row.late === 1,
  }
  const { firedAt, orderAt, senderGroup, titleHash } = occurrence
  loadedPlaces.set(occurrence, { firedAt, orderAt, senderGroup, titleHash, second: row.fired_second })
  return occurrence
}
