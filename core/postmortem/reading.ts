import type { ApiPostmortemFacts } from '../api-types.ts'
import { reference } from '../reference.ts'
import { type EventData, eventData } from '../store/event.ts'
import type { Story, StoryOccurrence } from '../store/story.ts'
import { cleanLine } from '../untrusted-text.ts'
import { called, clock, count, onlyDay, quote } from './words.ts'

export type Facts = ApiPostmortemFacts
export type StoryEvent = Story['events'][number]
export type Entry = Story['timeline'][number]
export type Actor = Facts['actions'][number]['by']

/** How much of each a post-mortem holds. */
export const MOST = {
  title: 200,
  name: 100,
  note: 500,
  frame: 200,
  signals: 20,
  actions: 40,
  rows: 60,
  measurements: 40,
  errors: 5,
  frames: 12,
  pairs: 5,
  related: 5,
  cited: 3,
}

/** The story with ways to find what vouches for what. */
export class Reading {
  readonly story: Story
  /** On which all of it happened; nothing where it took several. */
  readonly day: string
  readonly firing: number
  readonly #events: ReadonlyMap<string, StoryEvent>
  readonly #sources: ReadonlyMap<string, Story['sources'][number]>
  readonly #cited = new Map<string, Facts['evidence'][number]>()

  constructor(story: Story) {
    const { incident } = story
    this.story = story
    this.day = onlyDay([
      incident.started_at,
      incident.detected_at,
      incident.resolved_at,
      ...story.timeline.map(({ at }) => at),
      ...story.events.flatMap((event) => [
        event.received_at,
        event.event_time,
        dataOf(event).firedAt ?? null,
      ]),
    ])
    this.firing =
      incident.firing_critical +
      incident.firing_high +
      incident.firing_medium +
      incident.firing_low +
      incident.firing_info
    this.#events = new Map(story.events.map((event) => [event.id, event]))
    this.#sources = new Map(story.sources.map((source) => [source.id, source]))
  }

  event(id: string | undefined): StoryEvent | undefined {
    return id === undefined ? undefined : this.#events.get(id)
  }

  adapter(sourceId: string): string {
    return this.#sources.get(sourceId)?.adapter ?? ''
  }

  sourceName(sourceId: string): string {
    return line(this.#sources.get(sourceId)?.name ?? 'a deleted source', MOST.name)
  }

  /** Ids of the first of these that is there, to be cited. */
  cite(...candidates: (StoryEvent | Entry | undefined)[]): string[] {
    const found = candidates.find((candidate) => candidate !== undefined)
    return found ? [this.#note(found)] : []
  }

  /** A timeline entry and the events behind it. */
  citeEntry(entry: Entry | undefined): string[] {
    if (!entry) return []
    const events = eventsOf(this, entry)
    return [entry, ...events].slice(0, MOST.cited).map((found) => this.#note(found))
  }

  evidence(): Facts['evidence'] {
    return [...this.#cited.values()]
  }

  /** What made this occurrence fire. */
  opening(o: StoryOccurrence): StoryEvent | undefined {
    return this.#heard(o, o.fired_received_at, (event) => event.kind === 'fire' || event.kind === 'refresh')
  }

  /** What ended it: the sender's word, another alert of its group, or a person's. */
  closing(o: StoryOccurrence): StoryEvent | Entry | undefined {
    if (o.closed_by === 'manual')
      return this.story.timeline.findLast((e) => e.kind === 'resolved' && e.at <= o.recovered_received_at!)
    return (
      this.#heard(o, o.recovered_received_at, (event) => event.kind === 'recover') ??
      this.#heard(o, o.recovered_received_at, () => true) ??
      this.story.events.find(
        (event) => event.source_id === o.source_id && event.received_at === o.recovered_received_at,
      )
    )
  }

  /** The sender's time, not before the incident was known here (matching.md A). */
  acknowledgedAt(entry: Entry): string {
    const event = this.event(eventIdsOf(entry)[0])
    const { acknowledged_at: last, detected_at: detectedAt } = this.story.incident
    const isLast = this.story.timeline.findLast((e) => e.kind === 'acknowledged') === entry
    if (isLast && last !== null) return last
    if (!event || dataOf(event).flags?.includes('timeInferred')) return entry.at
    return event.event_time > detectedAt ? event.event_time : detectedAt
  }

  #heard(
    o: StoryOccurrence,
    at: string | null,
    fits: (event: StoryEvent) => boolean,
  ): StoryEvent | undefined {
    return this.story.events.find(
      (event) => event.signal_id === o.signal_id && event.received_at === at && fits(event),
    )
  }

  #note(found: StoryEvent | Entry): string {
    if (!this.#cited.has(found.id)) {
      const isEvent = 'received_at' in found
      this.#cited.set(found.id, {
        id: found.id,
        kind: isEvent ? 'event' : 'timeline',
        at: isEvent ? found.received_at : found.at,
        text: isEvent ? eventText(this, found) : changeText(this, found),
      })
    }
    return found.id
  }
}

// ---- what happened, in words ----

export function eventText(read: Reading, event: StoryEvent): string {
  return `${called(read.sourceName(event.source_id))} reported ${eventWords(read, event)}.`
}

/** Whose clock a time is by that is not the time of hearing. */
export const OWN_CLOCK = 'by its clock'

export function eventWords(read: Reading, event: StoryEvent): string {
  const title = quote(event.title)
  const said = (before: string, time: string) =>
    areSame(event.received_at, time) ? '' : `${before} ${clock(time, read.day)} ${OWN_CLOCK}`
  switch (event.kind) {
    case 'fire':
      return `${title} firing (${event.severity})${said(', since', dataOf(event).firedAt ?? event.event_time)}`
    case 'refresh':
      return `${title} still firing (${event.severity})`
    case 'recover':
      return `${title} recovered${said(' at', event.event_time)}`
    case 'ack':
      return `${title} acknowledged${said(' at', event.event_time)}`
    default:
      return `${title}${event.source_status === null ? '' : ` (${line(event.source_status, MOST.name)})`}`
  }
}

export function changeText(read: Reading, entry: Entry): string {
  const by = actorOf(entry)
  const { number } = read.story.incident
  switch (entry.kind) {
    case 'opened':
      return by.type === 'key'
        ? `${quote(by.name)} opened ${reference(number)}.`
        : `${reference(number)} was opened.`
    case 'acknowledged':
      return by.type === 'key'
        ? `${quote(by.name)} acknowledged it.`
        : `It was acknowledged in ${called(by.name)}.`
    case 'reopened':
      return by.type === 'key' ? `${quote(by.name)} reopened it.` : `${reference(number)} was reopened.`
    case 'resolved': {
      if (by.type !== 'key') return `${reference(number)} was resolved: nothing fired any more.`
      const firing = stillFiring(entry) ?? 0
      return `${quote(by.name)} resolved it${firing > 0 ? ` while ${count(firing, 'signal')} still fired` : ''}.`
    }
    case 'note':
      return `${quote(by.name)} noted: ${quote(entry.text)}${/[.!?]$/.test(entry.text) ? '' : '.'}`
    default:
      // Tocsin's own remarks, such as that a sender cut its list.
      return line(entry.text, MOST.note)
  }
}

/** Our own words of a resolution by hand (matching.md H1). */
export function stillFiring(entry: Entry): number | null {
  if (entry.kind !== 'resolved' || actorOf(entry).type !== 'key') return null
  return Number(/ while (\d{1,9}) signals? still fired\.$/.exec(entry.text)?.[1] ?? 0)
}

// ---- helpers ----

export function actorOf(entry: Entry): Actor {
  const { type, name } = JSON.parse(entry.actor) as Actor
  return { type, name: line(name, MOST.name) }
}

export function eventIdsOf(entry: Entry): string[] {
  return JSON.parse(entry.event_ids) as string[]
}

export function dataOf(event: StoryEvent): EventData {
  return eventData(event)
}

export function line(text: string, most: number): string {
  return cleanLine(text, most).replace(/[“”]/g, "'")
}

export function ms(time: string): number {
  return Date.parse(time)
}

/** Two times that stand as one: clocks show whole seconds. */
export function areSame(time: string, other: string): boolean {
  return Math.abs(ms(time) - ms(other)) < 1000
}

/** The first two thirds and the last third of what may stay; `from` is where the rest was. */
export function ends<T>(items: readonly T[], most: number): { kept: T[]; left: number; from: number } {
  const left = Math.max(0, items.length - most)
  const from = left === 0 ? items.length : Math.ceil((most * 2) / 3)
  return { kept: [...items.slice(0, from), ...items.slice(from + left)], left, from }
}

export function eventsOf(read: Reading, entry: Entry): StoryEvent[] {
  return eventIdsOf(entry).flatMap((id) => read.event(id) ?? [])
}
