import { type Deeds, deedsOf } from './deeds.ts'
import type { Findings } from './facts.ts'
import { inFigures } from './figures.ts'
import { type States, statesOf } from './status.ts'

/** What may be said: every time, duration, number and text of the findings, and which evidence vouches for it. */
export interface Known {
  /** Everything, and what may be said under the mark of this evidence. */
  all: Values
  byEvidence: ReadonlyMap<string, Values>
  /** Numbers by what they count: `signal`, `event` … */
  counts: ReadonlyMap<string, ReadonlySet<number>>
  /** How often signals of this title fired, without case. */
  firings: ReadonlyMap<string, ReadonlySet<number>>
  /** Whole texts of strangers and of the timeline, without case. */
  texts: ReadonlySet<string>
  /** Their words. */
  words: ReadonlySet<string>
  references: ReadonlySet<string>
  states: States
  deeds: Deeds
  /** Names of sources, which may stand without quotation marks. */
  sourceNames: readonly string[]
}

export interface Values {
  /** `2026-07-01 12:00:05`. */
  times: Set<string>
  /** Clocks that stand in texts, without a day. */
  clocks: Set<string>
  /** Milliseconds. */
  durations: Set<number>
  numbers: Set<number>
}

/** Indexes the findings. */
export function index(findings: Findings): Known {
  const { facts, timeline, related, reference } = findings
  const all = noValues()
  const byEvidence = new Map<string, Values>()
  const texts = new Set<string>()

  const add = (evidenceIds: readonly string[], value: unknown) => {
    const into = [all, ...evidenceIds.map((id) => byEvidence.get(id) ?? newIn(byEvidence, id))]
    collect(value, '', into, texts)
  }
  const { evidenceIds: of, evidence, ...rest } = facts
  const { timeToDetectMs, timeToAcknowledgeMs, timeToResolveMs } = facts
  add([], { ...rest, reference, related })
  add(of.startedAt, { at: facts.startedAt, timeToDetectMs })
  add(of.detectedAt, { at: facts.detectedAt, timeToDetectMs })
  add(of.acknowledgedAt, { at: facts.acknowledgedAt, timeToAcknowledgeMs })
  add(of.resolvedAt, { at: facts.resolvedAt, timeToResolveMs, reopenings: facts.counts.reopenings })
  for (const item of evidence) add([item.id], item)
  const lists = [
    facts.stretches,
    facts.actions,
    facts.signals,
    facts.sources,
    facts.measurements,
    facts.errors,
  ]
  for (const item of [...lists.flat(), ...timeline]) add(item.evidenceIds, item)
  add(
    [],
    lists.map(({ length }) => length),
  )

  return {
    all,
    byEvidence,
    counts: countsOf(findings),
    firings: firingsOf(facts.signals),
    states: statesOf(findings),
    deeds: deedsOf(findings),
    sourceNames: facts.sources.map(({ name }) => name),
    texts,
    words: new Set([...texts].flatMap((text) => text.match(WORD) ?? []).map(trimWord)),
    references: new Set([
      reference,
      ...related.map((one) => one.reference),
      ...facts.coFiring.flatMap((pair) => pair.references),
    ]),
  }
}

/** A word with what may stand inside a name: dots, dashes, slashes. */
export const WORD = /[\p{L}\p{N}][\p{L}\p{N}._@/:'’-]*/gu

export function trimWord(word: string): string {
  return word.replace(/['’]s$/, '').replace(/[._@/:'’-]+$/, '')
}

function countsOf({ facts, related }: Findings): Known['counts'] {
  const { counts, signals, actions, errors, sources, coFiring, stretches } = facts
  const left = actions.flatMap(({ stillFiring }) => stillFiring ?? [])
  const numbers: Record<string, (number | null)[]> = {
    signal: [counts.signals],
    'signal firing': [counts.firing, ...left],
    'signal inferred': [counts.inferredRecoveries],
    source: [sources.length],
    event: [counts.events, counts.withoutTime, ...sources.map(({ events }) => events)],
    request: [counts.requests],
    delivery: [counts.requests],
    duplicate: [counts.duplicates],
    repeat: [counts.duplicates],
    firing: [counts.firings, counts.firing, ...signals.map(({ firings }) => firings)],
    flap: [counts.flaps],
    reopening: [counts.reopenings],
    'time reopened': [counts.reopenings],
    'time fired': signals.map(({ firings }) => firings),
    'time counted': errors.map(({ count }) => count),
    time: [
      ...[counts.reopenings, counts.firings],
      ...signals.map(({ firings }) => firings),
      ...errors.map(({ count }) => count),
      ...coFiring.map(({ times }) => times),
    ],
    error: [...errors.map(({ count }) => count), errors.length],
    user: errors.map(({ users }) => users),
    customer: errors.map(({ users }) => users),
    note: [counts.notes],
    service: [facts.services.length],
    monitor: [new Set(signals.flatMap(({ monitor }) => monitor ?? [])).size],
    stretch: [stretches.length],
    incident: [related.length, ...coFiring.map(({ times }) => times)],
  }
  return new Map(
    Object.entries(numbers).map(([noun, list]) => [noun, new Set(list.filter((number) => number !== null))]),
  )
}

function firingsOf(signals: Findings['facts']['signals']): Known['firings'] {
  const byTitle = Map.groupBy(signals, ({ title }) => title.toLowerCase())
  return new Map(Array.from(byTitle, ([title, same]) => [title, new Set(same.map(({ firings }) => firings))]))
}

function collect(value: unknown, name: string, into: readonly Values[], texts: Set<string>): void {
  if (typeof value === 'number') {
    for (const values of into) values[name.endsWith('Ms') ? 'durations' : 'numbers'].add(value)
  } else if (typeof value === 'string') {
    if (ISO_TIME.test(value))
      for (const values of into) values.times.add(`${value.slice(0, 10)} ${value.slice(11, 19)}`)
    else {
      texts.add(value.toLowerCase())
      for (const [, quoted] of value.matchAll(/“([^”]+)”/g)) texts.add(quoted!.toLowerCase())
      for (const values of into) collectText(value, values)
    }
  } else if (Array.isArray(value)) {
    for (const item of value) collect(item, name, into, texts)
  } else if (value !== null && typeof value === 'object') {
    for (const [key, member] of Object.entries(value))
      if (!/ids?$/i.test(key)) collect(member, key, into, texts)
  }
}

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/

function collectText(text: string, values: Values): void {
  for (const [, day, clock] of text.matchAll(/(?:(\d{4}-\d\d-\d\d) )?\b(\d\d:\d\d:\d\d)\b/g)) {
    if (day === undefined) values.clocks.add(clock!)
    else values.times.add(`${day} ${clock}`)
  }
  const figures = inFigures(text)
  for (const { ms } of durationsIn(figures)) values.durations.add(ms)
  for (const [number] of withoutTimes(figures).matchAll(/\d+(?:\.\d+)?/g)) values.numbers.add(Number(number))
}

// ---- forms of times ----

export const DAY = /\b(\d{4})-(\d\d)-(\d\d)\b/g
export const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const MONTH = `(?:${MONTHS.join('|')})[a-z]{0,6}`
/** `1 July 2026`, `July 1st`. */
export const NAMED_DAY = new RegExp(
  String.raw`\b(?:(?<day>\d{1,2})(?:st|nd|rd|th)? (?<month>${MONTH})|(?<first>${MONTH}) (?<second>\d{1,2})(?:st|nd|rd|th)?)\b(?:,? (?<year>\d{4})\b)?`,
  'g',
)
/** A month without a day: `in March`, `March 2026`. "March" and "may" are words, too, so those want one that leads to a month. */
export const NAMED_MONTH =
  /\b(?:(?:in|since|last|this|during|of|from|early|late|mid)[- ](?<led>March|May)|(?<month>January|February|April|June|July|August|September|October|November|December)|(?<dated>March|May)(?=,? \d{4}\b))\b(?:,? (?<year>\d{4})\b)?/g
export const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
/** What is planned for a day has not happened on it. */
export const WEEKDAY = new RegExp(
  String.raw`(?<!\b(?:[Bb]y|[Uu]ntil|[Nn]ext|[Ee]very|[Ee]ach|[Dd]ue:?)\s{1,3})\b(${WEEKDAYS.join('|')})s?\b`,
  'g',
)
export const CLOCK = /(?:\b(\d{4}-\d\d-\d\d)[T ]|\b)(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?: ?(am|pm)\b)?/gi
export const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi

/** Blanks out what holds digits but counts nothing. */
export function withoutTimes(text: string): string {
  return text
    .replace(/\bINC-\d+\b/gi, blanks)
    .replace(CLOCK, blanks)
    .replace(DAY, blanks)
    .replace(NAMED_DAY, blanks)
    .replace(NAMED_MONTH, blanks)
    .replace(UUID, blanks)
}

export function blanks(text: string): string {
  return ' '.repeat(text.length)
}

/** Durations such as `2 min 10 s` or `5 minutes`, with the size of their smallest unit. */
export function durationsIn(text: string): { ms: number; unit: number; from: number; to: number }[] {
  return Array.from(text.matchAll(DURATION), (match) => {
    const parts = Array.from(match[0].matchAll(PART), ([, number, unit]) => ({
      number: Number(number),
      unit: UNITS.find(([words]) => words.test(unit!))![1],
    }))
    return {
      ms: parts.reduce((sum, { number, unit }) => sum + number * unit, 0),
      unit: Math.min(...parts.map(({ unit }) => unit)),
      from: match.index,
      to: match.index + match[0].length,
    }
  })
}

const UNIT = String.raw`(?:weeks?|months?|years?|d|days?|h|hrs?|hours?|min|mins|minutes?|s|secs?|seconds?|ms|milliseconds?)\b`
const PART = new RegExp(String.raw`(\d+(?:\.\d+)?)[ -]?(${UNIT})`, 'gi')
const DURATION = new RegExp(
  String.raw`(?<![\w.:-])\d+(?:\.\d+)?[ -]?${UNIT}(?:(?:,? and |,? )\d+(?:\.\d+)?[ -]?${UNIT})*`,
  'gi',
)
const UNITS = [
  [/^d/i, 86_400_000],
  [/^h/i, 3_600_000],
  [/^w/i, 7 * 86_400_000],
  [/^month/i, 30 * 86_400_000],
  [/^y/i, 365 * 86_400_000],
  [/^(?:ms$|milli)/i, 1],
  [/^m/i, 60_000],
  [/^s/i, 1000],
] as const

function noValues(): Values {
  return { times: new Set(), clocks: new Set(), durations: new Set(), numbers: new Set() }
}

function newIn(map: Map<string, Values>, id: string): Values {
  const values = noValues()
  map.set(id, values)
  return values
}
