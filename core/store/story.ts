import { type Selectable, sql } from 'kysely'
import { entriesOf, eventsOf, occurrencesOf } from './incident-chunk.ts'
import type { EventTable, IncidentTable, OccurrenceTable, TimelineEntryTable } from './schema.ts'
import { occurrencesBySecond, occurrencesByTime, secondOf } from './signal-second.ts'
import { all, allForEach, isAnyOf, statement, type Work } from './statement.ts'

/** What is read of each, from either end: enough to tell a storm's beginning and its end. */
const MOST_EVENTS = 500
const MOST_ENTRIES = 300
const MOST_OCCURRENCES = 1000
/** Signals whose earlier incidents are looked for. */
const MOST_ASKED = 50
const MOST_EARLIER = 200
/** Firings of each signal, before the incident, whose incidents are looked at. */
const MOST_FIRINGS = 200

/** All a post-mortem may draw on, as stored; lists run oldest first. */
export interface Story {
  incident: Selectable<IncidentTable>
  occurrences: StoryOccurrence[]
  events: Selectable<EventTable>[]
  timeline: Selectable<TimelineEntryTable>[]
  sources: { id: string; adapter: string; name: string; events: number }[]
  totals: { events: number; requests: number; duplicates: number; occurrences: number; signals: number }
  /** Incidents before this one, newest first, with those of its signals that were in them. */
  earlier: { id: string; number: number; title: string; signalIds: string[] }[]
}

export type StoryOccurrence = Pick<
  Selectable<OccurrenceTable>,
  | 'id'
  | 'signal_id'
  | 'source_id'
  | 'fired_at'
  | 'fired_received_at'
  | 'recovered_at'
  | 'recovered_received_at'
  | 'closed_by'
  | 'severity'
> & { title: string; monitor_name: string | null }

const firstOccurrences = statement<{ id: string }, StoryOccurrence>((db, p) =>
  occurrencesOf(db)
    .innerJoin('signal as s', 's.id', 'o.signal_id')
    .select([
      'o.id',
      'o.signal_id',
      'o.source_id',
      'o.fired_at',
      'o.fired_received_at',
      'o.recovered_at',
      'o.recovered_received_at',
      'o.closed_by',
      'o.severity',
      's.title',
      's.monitor_name',
    ])
    .where('c.incident_id', '=', p('id'))
    .orderBy('o.fired_at')
    .orderBy('o.id')
    .limit(sql.lit(MOST_OCCURRENCES)),
)

const [firstEvents, lastEvents] = (['asc', 'desc'] as const).map((order) =>
  statement<{ id: string }, Selectable<EventTable>>((db, p) =>
    eventsOf(db)
      .selectAll('e')
      .where('c.incident_id', '=', p('id'))
      .orderBy('c.chunk', order)
      .orderBy('e.id', order)
      .limit(sql.lit(MOST_EVENTS)),
  ),
) as [EventsOf, EventsOf]

const [firstEntries, lastEntries] = (['asc', 'desc'] as const).map((order) =>
  statement<{ id: string }, Selectable<TimelineEntryTable>>((db, p) =>
    entriesOf(db)
      .selectAll('t')
      .where('c.incident_id', '=', p('id'))
      .orderBy('c.chunk', order)
      .orderBy('t.id', order)
      .limit(sql.lit(MOST_ENTRIES)),
  ),
) as [EntriesOf, EntriesOf]

/** Transitions, notes and remarks, however many alerts came between them. */
const changesOf = statement<{ id: string }, Selectable<TimelineEntryTable>>((db, p) =>
  entriesOf(db)
    .selectAll('t')
    .where('c.incident_id', '=', p('id'))
    .where('t.kind', '<>', sql.lit('context'))
    .orderBy('c.chunk')
    .orderBy('t.id')
    .limit(sql.lit(MOST_ENTRIES)),
)

const sourcesOf = statement<{ id: string }, Story['sources'][number]>((db, p) =>
  eventsOf(db)
    .innerJoin('source as s', 's.id', 'e.source_id')
    .select((eb) => ['s.id', 's.adapter', 's.name', eb.fn.countAll<number>().as('events')])
    .where('c.incident_id', '=', p('id'))
    .groupBy(['s.id', 's.adapter', 's.name'])
    .orderBy('s.id'),
)

const totalsOf = statement<{ id: string }, Omit<Story['totals'], 'occurrences' | 'signals'>>((db, p) =>
  eventsOf(db)
    .select((eb) => [
      eb.fn.countAll<number>().as('events'),
      eb.fn.count<number>('e.request_id').distinct().as('requests'),
      sql<number>`coalesce(sum(duplicate_count), 0)`.as('duplicates'),
    ])
    .where('c.incident_id', '=', p('id')),
)

const membersOf = statement<{ id: string }, Pick<Story['totals'], 'occurrences' | 'signals'>>((db, p) =>
  occurrencesOf(db)
    .select((eb) => [
      eb.fn.countAll<number>().as('occurrences'),
      eb.fn.count<number>('o.signal_id').distinct().as('signals'),
    ])
    .where('c.incident_id', '=', p('id')),
)

interface Earlier {
  projectId: string
  number: number
}

const earlierOf = statement<Earlier, Pick<Story['earlier'][number], 'id' | 'number' | 'title'>>((db, p) =>
  db
    .selectFrom('incident')
    .select(['id', 'number', 'title'])
    .where('project_id', '=', p('projectId'))
    .where('number', '<', p('number'))
    .orderBy('number', 'desc')
    .limit(sql.lit(MOST_EARLIER)),
)

/** The incidents of the last firings of a signal before a time. */
const membershipsBefore = statement<
  { signal: string; before: string; second: number },
  { incident_id: string | null }
>((db, p, kind) => {
  const most = sql.lit(MOST_FIRINGS)
  const byTime = occurrencesByTime(db, kind)
    .select('x.incident_id')
    .where('x.signal_id', '=', p('signal'))
    .where('x.fired_at', '<', p('before'))
    .orderBy('x.fired_at', 'desc')
    .limit(most)
  if (kind === 'postgres') return byTime
  const bySecond = occurrencesBySecond(db)
    .select('o.incident_id')
    .where('x.signal_id', '=', p('signal'))
    .where('x.second', '<=', p('second'))
    .where('o.fired_at', '<', p('before'))
    .orderBy('x.second', 'desc')
    .orderBy('o.fired_at', 'desc')
    .limit(most)
  return db
    .selectFrom(byTime.as('t'))
    .select('t.incident_id')
    .unionAll(db.selectFrom(bySecond.as('s')).select('s.incident_id'))
})

const earlierByIds = statement<
  Earlier & { ids: string[] },
  Pick<Story['earlier'][number], 'id' | 'number' | 'title'>
>((db, p) =>
  db
    .selectFrom('incident')
    .select(['id', 'number', 'title'])
    .where(isAnyOf('id', p.list('ids')))
    .where('project_id', '=', p('projectId'))
    .where('number', '<', p('number')),
)

/** Earlier incidents in which these signals had fired before this one was opened, the newest first. */
function* earlierWithSignals(
  signals: readonly string[],
  openedAt: string,
  before: Earlier,
): Work<{ id: string; number: number; title: string; signal_id: string }[]> {
  const asked = signals.map((signal) => ({ signal, before: openedAt, second: secondOf(openedAt) }))
  const memberships = yield* allForEach(membershipsBefore, asked)
  const signalsOf = new Map<string, Set<string>>()
  for (const [i, rows] of memberships.entries()) {
    for (const { incident_id: id } of rows) {
      if (id !== null) signalsOf.set(id, (signalsOf.get(id) ?? new Set()).add(signals[i]!))
    }
  }
  if (signalsOf.size === 0) return []
  const incidents = yield* all(earlierByIds, { ...before, ids: [...signalsOf.keys()] })
  return incidents
    .toSorted((a, b) => b.number - a.number)
    .slice(0, MOST_EARLIER)
    .flatMap((incident) =>
      [...signalsOf.get(incident.id)!].toSorted().map((signal_id) => ({ ...incident, signal_id })),
    )
}

type EventsOf = ReturnType<typeof statement<{ id: string }, Selectable<EventTable>>>
type EntriesOf = ReturnType<typeof statement<{ id: string }, Selectable<TimelineEntryTable>>>

/** Reads the story of one incident. */
export function* loadStory(incident: Selectable<IncidentTable>): Work<Story> {
  const { id, project_id: projectId, number } = incident
  const occurrences = yield* all(firstOccurrences, { id })
  const signals = [...new Set(occurrences.map((o) => o.signal_id))].slice(0, MOST_ASKED)
  const before = { projectId, number }
  const events = [...(yield* all(firstEvents, { id })), ...(yield* all(lastEvents, { id }))]
  const entries = [
    ...(yield* all(firstEntries, { id })),
    ...(yield* all(changesOf, { id })),
    ...(yield* all(lastEntries, { id })),
  ]
  const [totals] = yield* all(totalsOf, { id })
  const [members] = yield* all(membersOf, { id })
  const shared = yield* earlierWithSignals(signals, incident.opened_at, before)
  return {
    incident,
    occurrences,
    events: eachOnce(events),
    timeline: eachOnce(entries),
    sources: (yield* all(sourcesOf, { id })).map((row) => ({ ...row, events: Number(row.events) })),
    // PostgreSQL answers counts as text.
    totals: {
      events: Number(totals!.events),
      requests: Number(totals!.requests),
      duplicates: Number(totals!.duplicates),
      occurrences: Number(members!.occurrences),
      signals: Number(members!.signals),
    },
    earlier: mergeEarlier(shared, yield* all(earlierOf, before)),
  }
}

function eachOnce<T extends { id: string }>(rows: readonly T[]): T[] {
  return [...new Map(rows.map((row) => [row.id, row])).values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

function mergeEarlier(
  shared: readonly { id: string; number: number; title: string; signal_id: string }[],
  others: readonly { id: string; number: number; title: string }[],
): Story['earlier'] {
  const found = new Map<string, Story['earlier'][number]>()
  for (const { signal_id: signalId, ...incident } of shared) {
    const known = found.get(incident.id) ?? { ...incident, signalIds: [] }
    known.signalIds.push(signalId)
    found.set(incident.id, known)
  }
  for (const incident of others)
    if (!found.has(incident.id)) found.set(incident.id, { ...incident, signalIds: [] })
  return [...found.values()].sort((a, b) => b.number - a.number)
}
