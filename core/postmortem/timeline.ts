import type { ApiPostmortem } from '../api-types.ts'
import {
  changeText,
  type Entry,
  ends,
  eventsOf,
  eventWords,
  MOST,
  type Reading,
  type StoryEvent,
} from './reading.ts'
import { called, clock, count, quote } from './words.ts'

/** What happened in order of hearing; repeats of what fires anyway are told once. */
export function timelineOf(read: Reading): ApiPostmortem['timeline'] {
  const rows: (ApiPostmortem['timeline'][number] & { repeats: string | null; times: number })[] = []
  for (const entries of byRequest(read.story.timeline)) {
    const [entry] = entries
    const events = eventsOf(read, entry!)
    const repeats = entries.length === 1 ? repeatsOf(read, entry!, events) : null
    const last = rows.at(-1)
    if (repeats !== null && last?.repeats === repeats) {
      last.times += 1
      last.text = `${repeats} ${last.times} times, the last time at ${clock(entry!.at, read.day)}.`
      continue
    }
    const told = entries.map((one) => rowText(read, one, eventsOf(read, one)))
    const cited = entries.flatMap((one) =>
      one.kind === 'context' && one.event_ids !== '[]'
        ? citeEvents(read, eventsOf(read, one))
        : read.citeEntry(one),
    )
    rows.push({
      at: entry!.at,
      text: repeats === null ? told.join(' ') : `${repeats}.`,
      evidenceIds: [...new Set(cited)].slice(0, MOST.cited),
      repeats,
      times: 1,
    })
  }
  const { kept, left, from } = ends(rows, MOST.rows)
  const timeline = kept.map(({ at, text, evidenceIds }) => ({ at, text, evidenceIds }))
  if (left > 0) {
    const at = rows[from]!.at
    timeline.splice(from, 0, {
      at,
      text: `${count(left, 'entry', 'entries')} left out here.`,
      evidenceIds: [],
    })
  }
  return timeline
}

/** Entries of one request stand together, what was said before what it led to. */
function byRequest(entries: readonly Entry[]): Entry[][] {
  const groups: Entry[][] = []
  for (const entry of entries) {
    const last = groups.at(-1)
    if (entry.request_id === null || last?.[0]?.request_id !== entry.request_id) groups.push([entry])
    else if (entry.kind === 'context') last.unshift(entry)
    else last.push(entry)
  }
  return groups
}

/** What an entry says again of signals that fire anyway; null where it says anything new. */
function repeatsOf(read: Reading, entry: Entry, events: readonly StoryEvent[]): string | null {
  if (entry.kind !== 'context' || events.length === 0) return null
  if (events.some((event) => event.outcome !== 'refreshed')) return null
  const titles = events.slice(0, 3).map((event) => quote(event.title))
  const more = events.length > 3 ? ` and ${events.length - 3} more` : ''
  return `${called(read.sourceName(events[0]!.source_id))} said again that ${titles.join(', ')}${more} fires`
}

function rowText(read: Reading, entry: Entry, events: readonly StoryEvent[]): string {
  if (entry.kind !== 'context' || events.length === 0) return changeText(read, entry)
  const told = events.slice(0, 5).map((event) => eventWords(read, event))
  const more = events.length > 5 ? `; ${events.length - 5} more` : ''
  return `${called(read.sourceName(events[0]!.source_id))} reported ${told.join('; ')}${more}.`
}

function citeEvents(read: Reading, events: readonly StoryEvent[]): string[] {
  return events.slice(0, MOST.cited).flatMap((event) => read.cite(event))
}
