import type { ApiPostmortem } from '../api-types.ts'
import { reference } from '../reference.ts'
import type { Story, StoryOccurrence } from '../store/story.ts'
import {
  actorOf,
  dataOf,
  type Entry,
  ends,
  eventIdsOf,
  eventsOf,
  type Facts,
  line,
  MOST,
  ms,
  Reading,
  type StoryEvent,
  stillFiring,
} from './reading.ts'
import { timelineOf } from './timeline.ts'
import { list, quote } from './words.ts'

/** What can be said of an incident: its facts, its timeline, earlier incidents like it. */
export type Findings = Pick<ApiPostmortem, 'incidentId' | 'reference' | 'facts' | 'timeline' | 'related'>

/** Reads the facts out of what is stored. Pure: the same story gives the same findings. */
export function findFacts(story: Story): Findings {
  const { incident, totals } = story
  const read = new Reading(story)
  const transitions = story.timeline.filter((entry) => entry.sequence !== null)
  const firstAck = transitions.find((entry) => entry.kind === 'acknowledged')
  const acknowledgedAt = firstAck ? read.acknowledgedAt(firstAck) : null
  const isResolved = incident.status === 'resolved'
  const lastEnd = isResolved ? transitions.findLast((entry) => entry.kind === 'resolved') : undefined
  const opening = transitions.find((entry) => entry.kind === 'opened')
  const earliest = story.occurrences.find((o) => o.fired_at === incident.started_at)
  const heard = story.events.find((event) => event.received_at === incident.detected_at)
  const signals = signalsOf(read)
  const services = JSON.parse(incident.services) as string[]
  const stretches = stretchesOf(read, transitions)
  const measured = measurementsOf(read, signals)

  const facts: Facts = {
    title: line(incident.title, MOST.title),
    status: incident.status as Facts['status'],
    severity: incident.severity as Facts['severity'],
    drill: incident.drill === 1,
    services: services.slice(0, 20).map((name) => line(name, MOST.name)),
    customerImpact: incident.customer_impact === 1,
    startedAt: incident.started_at,
    detectedAt: incident.detected_at,
    acknowledgedAt,
    resolvedAt: incident.resolved_at,
    timeToDetectMs: Math.max(0, ms(incident.detected_at) - ms(incident.started_at)),
    timeToAcknowledgeMs:
      acknowledgedAt === null ? null : Math.max(0, ms(acknowledgedAt) - ms(incident.detected_at)),
    timeToResolveMs: isResolved ? Number(incident.duration_ms) : null,
    evidenceIds: {
      severity:
        signals.find(({ severity }) => severity === incident.severity)?.evidenceIds.slice(0, 1) ??
        read.cite(opening),
      services:
        services.length === 0
          ? []
          : read.cite(
              story.events.find((e) => dataOf(e).services?.includes(services[0]!)),
              opening,
            ),
      customerImpact: read.cite(story.events.find((event) => dataOf(event).customerImpact)),
      startedAt: read.cite(earliest ? read.opening(earliest) : undefined, opening),
      detectedAt: read.cite(heard, opening),
      acknowledgedAt: read.citeEntry(firstAck),
      resolvedAt: read.citeEntry(lastEnd),
    },
    stretches,
    actions: actionsOf(read),
    signals,
    sources: story.sources.slice(0, 20).map(({ id, adapter, name, events }) => ({
      id,
      adapter,
      name: line(name, MOST.name),
      events,
      evidenceIds: read.cite(story.events.find((event) => event.source_id === id)),
    })),
    counts: {
      ...{ events: totals.events, requests: totals.requests, duplicates: totals.duplicates },
      signals: totals.signals,
      firing: read.firing,
      firings: totals.occurrences,
      flaps: totals.occurrences - totals.signals,
      reopenings: incident.reopen_count,
      inferredRecoveries: bySignal(story).filter((all) => recoveryOf(lastOf(all)) === 'inferred').length,
      withoutTime: story.events.filter((event) => dataOf(event).flags?.includes('timeInferred')).length,
      notes: story.timeline.filter((entry) => entry.kind === 'note').length,
    },
    ...measured,
    coFiring: coFiringOf(story, signals),
    evidence: [],
  }
  const timeline = timelineOf(read)
  facts.evidence = read.evidence()
  return {
    incidentId: incident.id,
    reference: reference(incident.number),
    facts,
    timeline,
    related: relatedOf(story),
  }
}

// ---- open stretches ----

function stretchesOf(read: Reading, transitions: readonly Entry[]): Facts['stretches'] {
  const { incident, occurrences } = read.story
  const starts = transitions.filter((entry) => entry.kind === 'opened' || entry.kind === 'reopened')
  const stretches: Facts['stretches'] = []
  for (const [i, start] of starts.entries()) {
    const next = starts[i + 1]
    const end = transitions
      .slice(transitions.indexOf(start), next && transitions.indexOf(next))
      .find((entry) => entry.kind === 'resolved')
    const before = stretches.at(-1)
    const startedAt = next
      ? startOf(start, before)
      : i === 0
        ? incident.started_at
        : incident.stretch_started_at
    const resolvedAt = end ? (next ? endOf(start, end, startedAt) : incident.resolved_at) : null
    stretches.push({
      startedAt,
      resolvedAt,
      durationMs: resolvedAt === null ? null : Math.max(0, ms(resolvedAt) - ms(startedAt)),
      resolution: end ? (actorOf(end).type === 'key' ? 'by_hand' : 'recovered') : null,
      evidenceIds: [...new Set([...saidBy(start), ...saidBy(end)])],
    })
  }
  return settle(stretches, Number(incident.duration_ms)).slice(0, MOST.signals)

  /** The sender's word where there is one, else the entry. */
  function saidBy(entry: Entry | undefined): string[] {
    return read.cite(entry && eventsOf(read, entry)[0], entry)
  }

  function startOf(entry: Entry, before: Facts['stretches'][number] | undefined): string {
    if (!before) return incident.started_at
    const event = read.event(eventIdsOf(entry)[0])
    const firedAt = event ? (dataOf(event).firedAt ?? event.event_time) : entry.at
    return before.resolvedAt !== null && firedAt < before.resolvedAt ? before.resolvedAt : firedAt
  }

  /** What an earlier resolution took as its time: the last recovery heard of in the stretch (matching.md R1). */
  function endOf(start: Entry, end: Entry, startedAt: string): string {
    if (actorOf(end).type === 'key') return end.at
    const recoveries = occurrences
      .filter((o) => o.recovered_received_at !== null && o.recovered_received_at <= end.at)
      .filter((o) => o.recovered_received_at! >= start.at)
      .map((o) => o.recovered_at!)
    const last = recoveries.reduce((latest, at) => (at > latest ? at : latest), '')
    return last === '' ? end.at : last > startedAt ? last : startedAt
  }
}

/**
 * The whole time is stored, and the last stretch is. What lies before them is put together from the log; where events
 * that came late have moved it, one stretch is what is left, and of several only the times of hearing are known.
 */
function settle(stretches: Facts['stretches'], wholeMs: number): Facts['stretches'] {
  const last = stretches.at(-1)
  const before = stretches.slice(0, -1)
  const beforeMs = wholeMs - (last?.durationMs ?? 0)
  if (!last || before.reduce((sum, { durationMs }) => sum + durationMs!, 0) === beforeMs) return stretches
  if (before.length > 1) return [...before.map((one) => ({ ...one, durationMs: null })), last]
  const resolvedAt = new Date(ms(before[0]!.startedAt) + beforeMs).toISOString()
  return [{ ...before[0]!, resolvedAt, durationMs: beforeMs }, last]
}

// ---- who did what ----

function actionsOf(read: Reading): Facts['actions'] {
  const entries = read.story.timeline.filter((entry) => entry.sequence !== null || entry.kind === 'note')
  return ends(entries, MOST.actions).kept.map((entry) => ({
    at: entry.kind === 'acknowledged' ? read.acknowledgedAt(entry) : entry.at,
    kind: entry.kind as Facts['actions'][number]['kind'],
    by: actorOf(entry),
    text: entry.kind === 'note' ? line(entry.text, MOST.note) : null,
    stillFiring: stillFiring(entry),
    evidenceIds: read.citeEntry(entry),
  }))
}

// ---- signals ----

function signalsOf(read: Reading): Facts['signals'] {
  return bySignal(read.story)
    .slice(0, MOST.signals)
    .map((all) => {
      const first = all[0]!
      const last = lastOf(all)
      const description = read.opening(first)?.description ?? null
      const ended = all.filter((o) => o.recovered_at !== null && o.fired_at !== null)
      return {
        id: first.signal_id,
        title: line(first.title, MOST.title),
        monitor: first.monitor_name === null ? null : line(first.monitor_name, MOST.name),
        source: read.sourceName(first.source_id),
        description: description === null ? null : line(description, MOST.title),
        status: last.recovered_at === null ? 'firing' : last.closed_by === 'manual' ? 'manual' : 'recovered',
        severity: SEVERITIES.find((severity) => all.some((o) => o.severity === severity)) ?? 'medium',
        firedAt: first.fired_at!,
        recoveredAt: last.recovered_at,
        recovery: recoveryOf(last),
        firings: all.length,
        firingMs: ended.reduce((sum, o) => sum + Math.max(0, ms(o.recovered_at!) - ms(o.fired_at!)), 0),
        evidenceIds: [...new Set([...read.cite(read.opening(first)), ...read.cite(read.closing(last))])],
      }
    })
}

/** The occurrences of each signal, in the order of its first. */
function bySignal({ occurrences }: Story): StoryOccurrence[][] {
  return [...Map.groupBy(occurrences, (o) => o.signal_id).values()]
}

function lastOf(all: readonly StoryOccurrence[]): StoryOccurrence {
  return all.findLast((o) => o.recovered_at === null) ?? all.at(-1)!
}

const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'] as const

function recoveryOf({ recovered_at, closed_by }: StoryOccurrence): Facts['signals'][number]['recovery'] {
  if (recovered_at === null) return null
  if (closed_by === 'manual') return 'by_hand'
  return closed_by === 'recover' ? 'reported' : 'inferred'
}

// ---- what the tools measured ----

function measurementsOf(read: Reading, signals: Facts['signals']): Pick<Facts, 'measurements' | 'errors'> {
  const measurements: Facts['measurements'] = []
  const errors: Facts['errors'] = []
  for (const signal of signals) {
    const told = read.story.events.filter(
      (event) => event.signal_id === signal.id && dataOf(event).evidence !== undefined,
    )
    const [first, last] = [told[0], told.at(-1)]
    if (!first || !last) continue
    const error = read.adapter(first.source_id) === 'sentry' ? errorOf(read, signal, told) : null
    if (error !== null) errors.push(error)
    const atFirst = valuesOf(read, signal, first, error !== null)
    const atLast = last === first ? [] : valuesOf(read, signal, last, error !== null)
    const changed = atLast.filter(
      ({ kind, name, value }) =>
        kind === 'value' && !atFirst.some((one) => one.name === name && one.value === value),
    )
    measurements.push(...atFirst, ...changed)
  }
  return { measurements: measurements.slice(0, MOST.measurements), errors: errors.slice(0, MOST.errors) }
}

function valuesOf(
  read: Reading,
  signal: Facts['signals'][number],
  event: StoryEvent,
  isError: boolean,
): Facts['measurements'] {
  const { values = {}, thresholds = {}, expression } = dataOf(event).evidence ?? {}
  const measured = Object.entries(isError ? {} : values)
  // Grafana says its values once more, as text.
  const own = measured.length > 1 ? measured.filter(([name]) => name !== 'valueString') : measured
  // What it measured says more than that the condition on it held.
  const telling = own.filter(([, value]) => value !== 0 && value !== 1)
  const shown = own.filter(
    (member) => telling.length === 0 || telling.includes(member) || !isQuery(member[0]),
  )
  const found = [
    ...shown.map((member) => ['value', ...member] as const),
    ...Object.entries(thresholds).map((member) => ['threshold', ...member] as const),
    ...(expression === undefined ? [] : [['expression', 'rule', expression] as const]),
  ]
  return found.slice(0, 8).map(([kind, name, value]) => ({
    at: event.event_time,
    signal: signal.title,
    kind,
    name: line(name, MOST.name),
    value: typeof value === 'number' ? value : line(value, MOST.title),
    evidenceIds: read.cite(event),
  }))
}

/** Grafana calls queries, and the conditions on them, A, B, C and so on: no names to those who read. */
export function isQuery(name: string): boolean {
  return /^[A-Z]{1,2}\d{0,2}$/.test(name)
}

/** The newest word of each, and the stack trace that came first: it belongs to the error that opened. */
function errorOf(
  read: Reading,
  signal: Facts['signals'][number],
  told: readonly StoryEvent[],
): Facts['errors'][number] | null {
  const values = told.map((event) => dataOf(event).evidence?.values ?? {})
  const newest = (name: string) => values.findLast((value) => value[name] !== undefined)?.[name]
  const text = (name: string) => {
    const value = newest(name)
    return value === undefined ? null : line(String(value), MOST.title)
  }
  const number = (name: string) => {
    const value = Number(newest(name) ?? Number.NaN)
    return Number.isFinite(value) ? value : null
  }
  const traced = told.find((event) => dataOf(event).evidence?.stackTrace)
  const known = ['culprit', 'count', 'userCount', 'release', 'environment', 'firstSeen', 'lastSeen']
  if (!traced && known.every((name) => newest(name) === undefined)) return null
  return {
    title: signal.title,
    culprit: text('culprit'),
    stackTrace: (traced ? dataOf(traced).evidence!.stackTrace! : [])
      .slice(0, MOST.frames)
      .map((frame) => line(frame, MOST.frame)),
    count: number('count'),
    users: number('userCount'),
    firstSeenAt: time(newest('firstSeen')),
    lastSeenAt: time(newest('lastSeen')),
    release: text('release'),
    environment: text('environment'),
    evidenceIds: [
      ...new Set([
        ...read.cite(traced),
        ...read.cite(
          told.findLast((event) => hasValues(event)),
          told[0],
        ),
      ]),
    ],
  }
}

function hasValues(event: StoryEvent): boolean {
  return dataOf(event).evidence?.values !== undefined
}

function time(value: unknown): string | null {
  const date = new Date(typeof value === 'string' ? value : Number.NaN)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}

// ---- earlier incidents ----

function coFiringOf({ earlier }: Story, signals: Facts['signals']): Facts['coFiring'] {
  const pairs = signals.flatMap((a, i) => signals.slice(i + 1).map((b) => [a, b] as const))
  return pairs
    .map(([a, b]) => {
      const both = earlier.filter(({ signalIds }) => signalIds.includes(a.id) && signalIds.includes(b.id))
      return {
        signals: [a.title, b.title] as [string, string],
        times: both.length,
        references: both.slice(0, 5).map(({ number }) => reference(number)),
      }
    })
    .filter(({ times }) => times > 0)
    .sort((a, b) => b.times - a.times)
    .slice(0, MOST.pairs)
}

function relatedOf({ incident, earlier, occurrences }: Story): ApiPostmortem['related'] {
  // In the order in which they fired here.
  const titles = new Map(occurrences.map((o) => [o.signal_id, o.title]))
  const related = earlier.flatMap(({ id, number, title, signalIds }) => {
    const why =
      signalIds.length > 0
        ? `${firedThere(Array.from(titles, ([signalId, own]) => (signalIds.includes(signalId) ? [own] : [])).flat())} fired there too`
        : areSimilar(title, incident.title)
          ? 'its title is similar'
          : null
    const shared = signalIds.length
    return why === null
      ? []
      : [{ shared, id, reference: reference(number), title: line(title, MOST.title), why }]
  })
  // Newest first among those that share as much.
  return related
    .sort((a, b) => Number(b.shared > 0) - Number(a.shared > 0))
    .slice(0, MOST.related)
    .map(({ shared: _shared, ...incident }) => incident)
}

function firedThere(titles: readonly string[]): string {
  const shown = titles.slice(0, 3).map(quote)
  return titles.length > 3 ? `${shown.join(', ')} and ${titles.length - 3} more` : list(shown)
}

/** Two of three words in common; numbers differ from outage to outage. */
function areSimilar(one: string, other: string): boolean {
  const [a, b] = [wordsOf(one), wordsOf(other)]
  const common = [...a].filter((word) => b.has(word)).length
  return common > 0 && common * 3 >= new Set([...a, ...b]).size * 2
}

function wordsOf(title: string): Set<string> {
  return new Set(title.toLowerCase().match(/\p{L}{2,}/gu) ?? [])
}
