import { hash } from 'node:crypto'
import { type Insertable, type Selectable, sql } from 'kysely'
import type { DecidedEvent } from '../matcher/state.ts'
import type { Evidence, Labels, Monitor } from '../types.ts'
import type { EventTable } from './schema.ts'
import { withoutSource } from './sender-group.ts'
import { sharedText } from './shared-text.ts'
import { all, isAnyOf, run, statement, type Work } from './statement.ts'

/** What an event holds besides its columns; only members that are there. */
export interface EventData {
  signalKey?: string
  episode?: string
  /** Absent also where it is what the episode is called. */
  episodeStart?: string
  firedAt?: string
  moment?: string
  /** Its sender's group, without the source. */
  group?: string
  /** Absent: that of all; `signal`: that of the signal alone. */
  groupKey?: string
  eventId?: string
  bodyHash?: string
  flags?: string[]
  monitor?: Partial<Monitor>
  services?: string[]
  customerImpact?: true
  labels?: Labels
  metadata?: Record<string, unknown>
  /** Hash of the shared text that holds them, where they are long. */
  metadataHash?: string
  evidence?: Evidence
  drill?: true
  reopen?: true
  anonymous?: true
}

/**
 * The stored form of an event key (matching.md D2): its hash. In front of it stands the time the key names, where it
 * names one, so that what happens together lies together in the index: hashes alone would touch a page for each event.
 */
export function eventKeyHash(key: string): string {
  const time = Date.parse(TIME.exec(key)?.[0] ?? '')
  const place = time > 0 ? time.toString(36).padStart(9, '0') : ''
  return place + hash('sha256', key, 'base64url').slice(0, 32)
}

const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/

const lastStretches = statement<{ keys: string[] }, { event_key: string; stretch: number }>((db, p) =>
  db
    .selectFrom('event')
    .select(['event_key', sql<number>`max(stretch)`.as('stretch')])
    .where(isAnyOf('event_key', p.list('keys')))
    .groupBy('event_key')
    .$narrowType<{ event_key: string }>(),
)

/** The last stretch number seen of each of these event keys (their stored form). */
export function* seenEventKeys(keys: string[]): Work<Map<string, number>> {
  if (keys.length === 0) return new Map()
  return new Map((yield* all(lastStretches, { keys })).map((row) => [row.event_key, row.stretch]))
}

const repeatByKey = statement<{ key: string; stretch: number; at: string }, unknown>((db, p) =>
  db
    .updateTable('event')
    .set({ duplicate_count: sql`duplicate_count + 1`, last_seen_at: p('at') })
    .where('event_key', '=', p('key'))
    .where('stretch', '=', p('stretch')),
)

const repeatById = statement<{ id: string; at: string }, unknown>((db, p) =>
  db
    .updateTable('event')
    .set({ duplicate_count: sql`duplicate_count + 1`, last_seen_at: p('at') })
    .where('id', '=', p('id')),
)

/** Counts a repeat on the event it repeats (D6). */
export function* countRepeat(
  repeat: { eventKey: string; stretch: number; at: string } | { eventId: string; at: string },
): Work<number> {
  return 'eventId' in repeat
    ? yield* run(repeatById, { id: repeat.eventId, at: repeat.at })
    : yield* run(repeatByKey, { key: eventKeyHash(repeat.eventKey), stretch: repeat.stretch, at: repeat.at })
}

const amendByKey = statement<
  { key: string; stretch: number; title: string; description: string | null; data: string },
  unknown
>((db, p) =>
  db
    .updateTable('event')
    .set({ title: p('title'), description: p('description'), data: p('data') })
    .where('event_key', '=', p('key'))
    .where('stretch', '=', p('stretch')),
)

/** A repeat brings newer texts for the event it repeats (D3). */
export function* amendEvent(event: DecidedEvent): Work<number> {
  return yield* run(amendByKey, {
    key: eventKeyHash(event.eventKey!),
    stretch: event.stretch,
    title: event.title,
    description: event.description,
    data: JSON.stringify(dataOf(event)),
  })
}

const recoverOrphan = statement<{ id: string; incidentId: string }, unknown>((db, p) =>
  db
    .updateTable('event')
    .set({ outcome: 'recovered', incident_id: p('incidentId') })
    .where('id', '=', p('id')),
)

/** A waiting recovery has found its fire: its outcome is `recovered` from now on (R5). */
export function* markOrphanRecovered(orphan: { eventId: string; incidentId: string }): Work<number> {
  return yield* run(recoverOrphan, { id: orphan.eventId, incidentId: orphan.incidentId })
}

export function eventRow(event: DecidedEvent, chunk: number): Insertable<EventTable> {
  return {
    id: event.id,
    project_id: event.projectId,
    position: event.position,
    request_id: event.requestId,
    source_id: event.sourceId,
    signal_id: event.signalId,
    incident_id: event.incidentId,
    kind: event.kind,
    outcome: event.outcome,
    receipt: event.receipt.join(','),
    title: event.title,
    description: event.description,
    severity: event.severity,
    source_severity: event.sourceSeverity,
    source_status: event.sourceStatus,
    event_time: event.at,
    source_time: event.sourceTime,
    received_at: event.receivedAt,
    external_id: event.externalId,
    event_key: event.eventKey === null ? null : eventKeyHash(event.eventKey),
    stretch: event.stretch,
    url: event.url,
    data: JSON.stringify(shortened(dataOf(event), event)),
    duplicate_count: 0,
    last_seen_at: '',
    chunk,
  }
}

/** What an event holds besides its columns. */
export function eventData({
  data,
  url,
  event_time,
  external_id,
}: Pick<Selectable<EventTable>, 'data' | 'url' | 'event_time' | 'external_id'>): EventData {
  const { evidence, signalKey, episode, ...rest }: StoredData = JSON.parse(data)
  const whole: EventData = rest
  if (signalKey !== undefined) whole.signalKey = signalKey === true ? external_id! : signalKey
  if (episode !== undefined) whole.episode = episode === true ? event_time : episode
  if (evidence) whole.evidence = withUrl(evidence, url)
  return whole
}

type StoredData = Omit<EventData, 'evidence' | 'signalKey' | 'episode'> & {
  /** `true`: what the sender calls it. */
  signalKey?: string | true
  /** `true`: the time of the event. */
  episode?: string | true
  evidence?: StoredEvidence
}
/** A link to where the event itself leads to has no address of its own. */
type StoredEvidence = Omit<Evidence, 'links'> & { links?: { text: string; href?: string }[] }

function withUrl({ links, ...others }: StoredEvidence, url: string | null): Evidence {
  if (!links) return others
  return { ...others, links: links.map(({ text, href }) => ({ text, href: href ?? url ?? '' })) }
}

function withoutUrl(evidence: Evidence, url: string | null): StoredEvidence {
  const { links } = evidence
  if (!links?.some(({ href }) => href === url)) return evidence
  return { ...evidence, links: links.map(({ text, href }) => (href === url ? { text } : { text, href })) }
}

/** Everything the fold needs to decide the event again, and evidence; what is absent is left out to save space. */
function dataOf(event: DecidedEvent): EventData {
  const data: EventData = {}
  if (event.signalKey !== null) data.signalKey = event.signalKey
  if (event.episode !== null) data.episode = event.episode
  if (event.episodeStart !== null && event.episodeStart !== event.episode)
    data.episodeStart = event.episodeStart
  if (event.firedAt !== event.at) data.firedAt = event.firedAt
  if (event.moment !== null && event.moment !== event.sourceTime) data.moment = event.moment
  if (event.senderGroup !== null) data.group = withoutSource(event.senderGroup)
  const ownKey = `signal:${event.sourceId}:${event.signalKey}`
  if (event.groupKey !== '*') data.groupKey = event.groupKey === ownKey ? 'signal' : event.groupKey
  if (event.eventId !== null && event.eventId !== event.externalId) data.eventId = event.eventId
  if (event.eventKey === null) data.bodyHash = event.bodyHash
  const flags = flagsOf(event)
  if (flags.length > 0) data.flags = flags
  const monitor = Object.entries(event.monitor).filter(([, value]) => value !== null)
  if (monitor.length > 0) data.monitor = Object.fromEntries(monitor)
  if (event.services.length > 0) data.services = event.services
  if (event.customerImpact) data.customerImpact = true
  if (Object.keys(event.labels).length > 0) data.labels = event.labels
  const shared = sharedText(event.projectId, event.metadata)
  if (shared) data.metadataHash = shared.hash
  else if (Object.keys(event.metadata).length > 0) data.metadata = event.metadata
  if (event.evidence !== null) data.evidence = event.evidence
  if (event.drill) data.drill = true
  if (event.reopen) data.reopen = true
  if (event.anonymous) data.anonymous = true
  return data
}

/** Without what stands in columns of the event as well. Not for a repeat, whose columns are those of the first. */
function shortened(data: EventData, event: DecidedEvent): StoredData {
  const short: StoredData = data
  if (data.signalKey !== undefined && data.signalKey === event.externalId) short.signalKey = true
  if (data.episode !== undefined && data.episode === event.at) short.episode = true
  if (data.evidence) short.evidence = withoutUrl(data.evidence, event.url)
  return short
}

function flagsOf(event: DecidedEvent): string[] {
  const flags: string[] = []
  if (event.backfilled) flags.push('backfilled')
  if (event.timeInferred) flags.push('timeInferred')
  if (event.late) flags.push('late')
  if (event.bodyNotRead) flags.push('bodyNotRead')
  return flags
}
