import type { ApiPostmortem } from '../api-types.ts'
import { cleanText } from '../untrusted-text.ts'
import { deedFault } from './deeds.ts'
import type { Findings } from './facts.ts'
import { inFigures, sharesIn } from './figures.ts'
import {
  blanks,
  CLOCK,
  DAY,
  durationsIn,
  index,
  type Known,
  MONTHS,
  NAMED_DAY,
  NAMED_MONTH,
  trimWord,
  UUID,
  type Values,
  WEEKDAY,
  WEEKDAYS,
  WORD,
  withoutTimes,
} from './known.ts'
import { unescapeMarkdown } from './page.ts'
import { CAPITALS, JOINED, KINDS, OPENERS } from './plain-words.ts'
import { statusFault } from './status.ts'

const MOST_TEXT = 100_000
const MOST_FLAGGED = 200

/**
 * Sentences whose times, durations, percentages, numbers, names or states the findings do not support, each with the reason. A
 * sentence with marks such as [E1] is held against what that evidence says, any other against all findings. Causes in
 * plain words hold none of these and pass: only people can judge them. `resolves` are further ids that exist.
 */
export function check(
  markdown: string,
  findings: Findings,
  resolves: ReadonlySet<string> = new Set(),
): ApiPostmortem['unsupported'] {
  const known = index(findings)
  const ids = new Set([...resolves, ...known.byEvidence.keys(), ...idsOf(findings)])
  const text = markdown.slice(0, MOST_TEXT)
  const labels = labelsOf(text)
  const unsupported: ApiPostmortem['unsupported'] = []
  for (const sentence of sentencesOf(text)) {
    const why = faultOf(sentence, known, labels, ids)
    if (why !== null && unsupported.length < MOST_FLAGGED)
      unsupported.push({ text: cleanText(sentence.shown, 500), why })
  }
  return unsupported
}

/** Ids that the text names: whoever checks it may look them up first. */
export function idsNamed(markdown: string): string[] {
  return [
    ...new Set(Array.from(markdown.slice(0, MOST_TEXT).matchAll(UUID), ([id]) => id.toLowerCase())),
  ].slice(0, 500)
}

function idsOf({ incidentId, facts, related }: Findings): string[] {
  return [
    incidentId,
    ...related.map(({ id }) => id),
    ...facts.sources.map(({ id }) => id),
    ...facts.signals.map(({ id }) => id),
  ]
}

// ---- reading Markdown ----

interface Sentence {
  /** As it stands in the text. */
  shown: string
  /** Unescaped, with each quotation as one character of its own. */
  text: string
  quotations: string[]
  /** Marks such as E1. */
  marks: string[]
  /** A line of a code block. */
  code: boolean
}

/** Marks and the ids they stand for, from the list of evidence. */
function labelsOf(markdown: string): Map<string, string> {
  return new Map(Array.from(markdown.matchAll(EVIDENCE_LINE), ([, label, id]) => [label!, id!]))
}

const EVIDENCE_LINE = /^[ \t]{0,20}[-*][ \t]{1,20}(E\d{1,4}):[^`\n]{0,40}`([^`\n]{1,100})`/gm
const MARK = /\[(E\d{1,4})\]/g
const QUOTED = '\uE000'

function sentencesOf(markdown: string): Sentence[] {
  const sentences: Sentence[] = []
  let fence: string | null = null
  for (const line of markdown.split('\n')) {
    const mark: string | undefined = /^\s{0,3}(`{3,}|~{3,})/.exec(line)?.[1]
    if (fence !== null) {
      if (mark?.startsWith(fence) && line.trim() === mark) fence = null
      else if (line.trim() !== '') sentences.push({ ...NOTHING, shown: line, text: line.trim(), code: true })
      continue
    }
    if (mark !== undefined) {
      fence = mark
      continue
    }
    sentences.push(...readLine(line))
  }
  return sentences
}

const NOTHING: Omit<Sentence, 'shown' | 'text'> = { quotations: [], marks: [], code: false }

function readLine(line: string): Sentence[] {
  const list = /^\s*[-*]\s+(E\d{1,4}):/.exec(line)?.[1]
  const quotations: string[] = []
  const keep = (_whole: string, ...groups: (string | undefined)[]) => {
    quotations.push(unescapeMarkdown(groups.find((group) => typeof group === 'string') ?? ''))
    return QUOTED
  }
  const bare = line
    .replaceAll(QUOTED, '')
    .replace(/^(\s*[-*]\s+)E\d{1,4}:/, '$1')
    .replace(/“([^“”]*)”|(?<!\\)`([^`]+)`|(?<![\p{L}\p{N}])"([^"]+)"/gu, keep)
    .replace(/^\s*(?:#{1,6}|>|(?:[-*+]|\d{1,3}[.)])(?:\s+\[[ xX]\])?)\s+/, '')
  // A row of a table is one statement: its marks stand in a cell of their own.
  const isRow = /^\s*\|/.test(bare)
  const parts = isRow ? [bare] : bare.split(/(?<=[.!?])\s+/)
  let used = 0
  return parts.flatMap((part) => {
    const own = quotations.slice(used, used + part.split(QUOTED).length - 1)
    used += own.length
    const marks = Array.from(part.matchAll(MARK), ([, mark]) => mark!)
    const text = unescapeMarkdown(
      part
        .replace(MARK, ' ')
        .replace(/\bhttps?:\/\/\S+/gi, ' ')
        .replace(/\*\*|__/g, ''),
    )
    if (!/[\p{L}\p{N}\uE000]/u.test(text)) return []
    let place = 0
    const shown = unescapeMarkdown(part)
      .replaceAll(QUOTED, () => `“${own[place++] ?? ''}”`)
      .trim()
    return [
      { shown, text, quotations: own, marks: list === undefined ? marks : [...marks, list], code: false },
    ]
  })
}

// ---- judging ----

type Judge = (sentence: Sentence, scope: Scope) => string | null

interface Scope {
  known: Known
  /** Ids of the sentence's marks. */
  cited: readonly string[]
  /** What may be said under the sentence's marks. */
  values: Values
  /** The sentence with its numbers and times in figures, without names of sources. */
  figures: string
  ids: ReadonlySet<string>
}

function faultOf(
  sentence: Sentence,
  known: Known,
  labels: ReadonlyMap<string, string>,
  ids: ReadonlySet<string>,
): string | null {
  if (sentence.code) {
    return known.texts.has(sentence.text.toLowerCase())
      ? null
      : 'This line is in no stack trace of the incident.'
  }
  for (const mark of sentence.marks) {
    const id = labels.get(mark)
    if (id === undefined) return `${mark} is not in the list of evidence.`
    if (!ids.has(id))
      return `${mark} leads to ${JSON.stringify(id.slice(0, 60))}, which is no event or entry of this incident.`
  }
  const citedIds = sentence.marks.map((mark) => labels.get(mark)!)
  const cited = citedIds.map((id) => known.byEvidence.get(id))
  // Evidence that exists but was not read says nothing here, so all findings count.
  const values = cited.length === 0 || cited.includes(undefined) ? known.all : merge(cited as Values[])
  const rest = { ...sentence, text: withoutKnownCells(sentence.text, sentence, known) }
  const figures = inFigures(known.sourceNames.reduce((text, name) => text.replaceAll(name, ''), rest.text))
  const scope = { known, cited: citedIds, values, figures, ids }
  for (const judge of JUDGES) {
    const why = judge(rest, scope)
    if (why !== null) return why
  }
  return null
}

/** Rows of the timeline that stand as they were found need no second look. */
function withoutKnownCells(text: string, { quotations }: Sentence, known: Known): string {
  if (!text.trimStart().startsWith('|')) return text
  let place = 0
  return text
    .split('|')
    .map((cell) => {
      const whole = cell.trim().replaceAll(QUOTED, () => `“${quotations[place++] ?? ''}”`)
      return known.texts.has(whole.toLowerCase()) ? '' : ` ${cell.trim()} . `
    })
    .join('|')
}

const judgeQuotations: Judge = ({ quotations }, { known, ids }) => {
  const strange = quotations.find((quotation) => !ids.has(quotation) && !isKnownText(quotation, known))
  return strange === undefined
    ? null
    : `“${cleanText(strange, 100)}” is quoted, but stands nowhere in the facts.`
}

function isKnownText(quotation: string, { texts }: Known): boolean {
  const text = quotation.toLowerCase().replace(/…$/, '').trim()
  if (text === '' || texts.has(text)) return true
  for (const known of texts) if (text.length > 2 && known.includes(text)) return true
  return false
}

const judgeIds: Judge = ({ text }, { ids }) => {
  const strange = idsNamed(text).find((id) => !ids.has(id))
  return strange === undefined ? null : `${strange} is no event, entry or request of this incident.`
}

const judgeReferences: Judge = ({ text }, { known }) => {
  const strange = (text.match(/\bINC-\d+\b/gi) ?? []).find((one) => !known.references.has(one.toUpperCase()))
  return strange === undefined ? null : `${strange} is not this incident, nor one like it.`
}

const judgeTimes: Judge = (_, { values, known, figures: text }) => {
  const days = daysIn(text)
  for (const { said, fits } of days)
    if (!hasTime(known.all, (time) => fits(time.slice(0, 10))))
      return `Nothing in the facts happened on ${said}.`
  for (const { groups = {} } of text.replace(NAMED_DAY, blanks).matchAll(NAMED_MONTH)) {
    const name = (groups.led ?? groups.month ?? groups.dated)!
    const month = `${groups.year ?? ''}-${String(MONTHS.indexOf(name.slice(0, 3)) + 1).padStart(2, '0')}`
    if (!hasTime(known.all, (time) => time.slice(0, 7).endsWith(month)))
      return `Nothing in the facts happened in ${[name, groups.year ?? []].flat().join(' ')}.`
  }
  for (const match of text.matchAll(CLOCK)) {
    const [said, date, hours, minutes, seconds, half] = match
    const hour = (Number(hours) % (half ? 12 : 24)) + (half?.toLowerCase() === 'pm' ? 12 : 0)
    const clock = [String(hour).padStart(2, '0'), minutes, ...(seconds === undefined ? [] : [seconds])].join(
      ':',
    )
    const place = { from: match.index, to: match.index + said.length }
    const fits = date === undefined ? dayBeside(text, place, days)?.fits : (known: string) => known === date
    const isThen = (time: string) =>
      time.slice(11).startsWith(clock) && (fits === undefined || fits(time.slice(0, 10)))
    const isKnown =
      hasTime(values, isThen) ||
      ([...values.clocks].some((one) => one.startsWith(clock)) &&
        (fits === undefined || hasTime(known.all, isThen)))
    if (!isKnown) return `The time ${said.trim()} is not what the facts say here.`
  }
  return null
}

interface SaidDay {
  said: string
  from: number
  to: number
  fits(date: string): boolean
}

function daysIn(text: string): SaidDay[] {
  const dates = Array.from(text.matchAll(DAY), (match) => {
    const { 0: said, index } = match
    return { said, from: index, to: index + said.length, fits: (date: string) => date === said }
  })
  const named = Array.from(text.matchAll(NAMED_DAY), ({ 0: said, index, groups = {} }) => {
    const month = String(MONTHS.indexOf((groups.month ?? groups.first)!.slice(0, 3)) + 1).padStart(2, '0')
    const day = (groups.day ?? groups.second)!.padStart(2, '0')
    const end = `${groups.year ?? ''}-${month}-${day}`
    return { said, from: index, to: index + said.length, fits: (date: string) => date.endsWith(end) }
  })
  const weekdays = Array.from(text.matchAll(WEEKDAY), ({ 0: said, index, 1: weekday }) => {
    const day = WEEKDAYS.indexOf(weekday!)
    const fits = (date: string) => new Date(date).getUTCDay() === day
    return { said: `a ${weekday}`, from: index, to: index + said.length, fits }
  })
  return [...dates, ...named, ...weekdays]
}

/** The day of the same phrase as this time of day: "on 5 January at 00:10", "23:58 on Tuesday". */
function dayBeside(
  text: string,
  place: { from: number; to: number },
  days: readonly SaidDay[],
): SaidDay | undefined {
  return (
    days.find(({ to }) => to <= place.from && DAY_THEN_TIME.test(text.slice(to, place.from))) ??
    days.find(
      ({ from, to }) =>
        from >= place.to &&
        TIME_THEN_DAY.test(text.slice(place.to, from)) &&
        !/^,?(?: at)? \d{1,2}:\d\d/.test(text.slice(to, to + 12)),
    )
  )
}

const DAY_THEN_TIME = /^,?\s{1,3}(?:(?:at|around|about|from|since|by)\s{1,3}){0,2}$/i
const TIME_THEN_DAY = /^(?:\s{1,3}UTC)?,?\s{1,3}(?:(?:on|of|the)\s{1,3}){0,2}$/i

function hasTime({ times }: Values, fits: (time: string) => boolean): boolean {
  for (const time of times) if (fits(time)) return true
  return false
}

const judgeDurations: Judge = (_, { values, figures: text }) => {
  for (const { ms, unit, from, to } of durationsIn(withoutTimes(text))) {
    // "2 min" stands for anything from 2 to 3 minutes, or what rounds to 2.
    const isKnown = [...values.durations].some(
      (known) =>
        known === ms || Math.floor(known / unit) * unit === ms || Math.round(known / unit) * unit === ms,
    )
    const isLess =
      /less than\s+$/i.test(text.slice(0, from)) &&
      [...values.durations].some((known) => known < ms && known >= ms - unit)
    if (!isKnown && !isLess) return `The duration ${text.slice(from, to)} is not what the facts say here.`
  }
  return null
}

const judgeNumbers: Judge = ({ quotations, marks }, { values, known, figures: text }) => {
  const strange = STRANGE_NUMBER.exec(text)?.[0]
  if (strange !== undefined && !isKnownText(strange, known))
    return `The number ${strange} is not written in the digits 0 to 9.`
  const plain = withoutTimes(text)
  const rest = blankOut(plain, durationsIn(plain))
  const counted: { from: number; to: number }[] = []
  for (const match of rest.matchAll(COUNTED)) {
    const [said, digits, noun] = match
    const number = digits!.toLowerCase() === 'one' ? 1 : Number(digits!.replaceAll(',', ''))
    const place = { from: match.index, to: match.index + said.length }
    const what = whatIsCounted(singular(noun!.toLowerCase()), rest, place.from, place.to)
    const title = what === 'time fired' ? lastQuoted(text, quotations, place.from) : undefined
    const allowed = known.firings.get(title ?? '') ?? known.counts.get(what)
    if (allowed === undefined) continue
    const isOfOthers = TIMES.has(what) && marks.length > 0 && !values.numbers.has(number)
    if (!allowed.has(number) || isOfOthers) return `The facts do not count ${said.trim()} here.`
    counted.push(place)
  }
  for (const [said, digits] of blankOut(rest, counted).matchAll(NUMBER)) {
    const number = Number(digits!.replaceAll(',', ''))
    if (!values.numbers.has(number)) return `The number ${said.trim()} is not among the facts.`
  }
  for (const { said, fits } of sharesIn(text))
    if (![...values.numbers].some(fits)) return `“${said}” is not among the facts.`
  return null
}

/** What may be said of times only under the mark that counts them. */
const TIMES = new Set(['time', 'time fired', 'time counted'])

/** The quotation before this place of a sentence; rows of tables have lost some of theirs. */
function lastQuoted(text: string, quotations: readonly string[], place: number): string | undefined {
  if (text.trimStart().startsWith('|')) return undefined
  return quotations[text.slice(0, place).split(QUOTED).length - 2]?.toLowerCase()
}

const NOUNS =
  'signal|source|event|request|deliver(?:y|ie)|duplicate|repeat|firing|flap|reopening|time|error|user|customer|note|service|monitor|stretche?|incident'
const COUNTED = new RegExp(
  String.raw`(?<![\w.-])(\d[\d,]*|one)\s+(?:(?!of\b|more\b)\p{L}+\s+)?((?:${NOUNS})s?)\b`,
  'giu',
)
/** Those of other scripts have been read as 0 to 9 where Unicode says so. */
const STRANGE_NUMBER = /(?:(?![0-9])\p{N})+/u
const NUMBER = /(?<![\p{L}\p{N}_.@-])(-?\d[\d,]*(?:\.\d+)?)(?![\p{L}\p{N}_]|\.\d)\s?%?/gu

/** Signals that fired are not those that still fire; times fired are not times reopened. */
function whatIsCounted(noun: string, text: string, from: number, to: number): string {
  const [before, after] = [text.slice(Math.max(0, from - 60), from), text.slice(to, to + 30)]
  if (noun === 'signal') {
    if (/^\s+(?:still|firing)\b/i.test(after) || /\bstill\s+$/i.test(before)) return 'signal firing'
    return /^\s+had to be inferred/i.test(after) ? 'signal inferred' : noun
  }
  if (noun !== 'time') return noun
  if (/\b(?:reopened|came back)\s+$/i.test(before)) return 'time reopened'
  if (/\bfired\s+$/i.test(before)) return 'time fired'
  return /\bcounted\s+$/i.test(before) ? 'time counted' : noun
}

function singular(noun: string): string {
  if (noun === 'deliveries') return 'delivery'
  return noun.replace(/^stretche?s?$/, 'stretch').replace(/(?<=[^s])s$/, '')
}

const judgeNames: Judge = ({ text }, { known }) => {
  let isFirst = true
  const tokens = Array.from(withoutTimes(text).matchAll(TOKEN), ([token]) => token)
  for (const [i, token] of tokens.entries()) {
    if (/^[^\p{L}\p{N}]$/u.test(token)) {
      isFirst = token !== QUOTED && token !== ','
      continue
    }
    const word = trimWord(token)
    const endsHere = /[.!?:]$/.test(token)
    const next = endsHere ? undefined : tokens.slice(i + 1).find((one) => !ADVERB.test(one))
    const why = isKnownWord(word, known) ? null : nameFault(word, isFirst, tokens[i - 1], next)
    if (why !== null) return why
    isFirst = endsHere
  }
  return null
}

/** Words, and the marks after which a sentence may begin. */
const TOKEN = new RegExp(`${WORD.source}|[.:!?|(),;${QUOTED}]`, 'gu')

function nameFault(
  word: string,
  isFirst: boolean,
  before: string | undefined,
  after: string | undefined,
): string | null {
  const fault = `“${word}” is not a name among the facts.`
  if (/^\d+(?:,\d{3})*(?:\.\d+)?(?:%|st|nd|rd|th)?$/.test(word) || durationsIn(word).length > 0) return null
  const isIdentifier = /[._@/:-]/.test(word) || /\p{L}\p{N}|\p{N}\p{L}|\p{Ll}\p{Lu}/u.test(word)
  if (isIdentifier) return isPlainWord(word) || CAPITALS.has(word) ? null : fault
  if (/^\p{Lu}/u.test(word)) {
    if (!isFirst) return CAPITALS.has(word) ? null : fault
    const next = trimWord(after ?? '')
    const acts = VERB.test(next) || (/^\p{Lu}\p{Ll}/u.test(next) && !CAPITALS.has(next))
    return acts && !OPENERS.has(word.toLowerCase()) && !CAPITALS.has(word) ? fault : null
  }
  // "the billing service" names a service without a capital.
  if (
    THING.test(after ?? '') &&
    !KINDS.has(word) &&
    before !== undefined &&
    /^(?:the|our|a|an)$/i.test(before)
  )
    return fault
  return null
}

/** Joined by dashes as English joins words, such as long-running. */
function isPlainWord(word: string): boolean {
  return JOINED.has(word.toLowerCase()) || PLAIN_END.test(word)
}

const PLAIN_END =
  /^[\p{L}-]+-(?:\p{L}+ing|\p{L}+ed|able|free|term|wide|based|level|like|minute|second|hour|day|week)s?$/u
const VERB =
  /^(?:\p{L}+ed|was|is|has|had|did|said|took|made|ran|went|saw|found|began|came|sent|broke|fell|rose|fixed|wrote|put|set|cut|hit)$/iu
/** May stand between who did something and what was done. */
const ADVERB = /^(?:then|also|soon|just|later|again|now|once|already|never|first|finally|\p{L}{3,}ly)$/iu
const THING = /^(?:services?|monitors?|teams?|databases?|clusters?|hosts?|servers?|queues?)$/i

function isKnownWord(word: string, { words }: Known): boolean {
  const lower = word.toLowerCase()
  return words.has(lower) || (lower.includes('-') && lower.split('-').every((part) => words.has(part)))
}

const judgeStatus: Judge = ({ text }, { known, cited }) => statusFault(text, cited, known.states)

const judgeDeeds: Judge = ({ text, quotations }, { known }) =>
  deedFault(text, quotations, QUOTED, known.deeds)

const JUDGES: readonly Judge[] = [
  judgeQuotations,
  judgeIds,
  judgeReferences,
  judgeTimes,
  judgeDurations,
  judgeNumbers,
  judgeNames,
  judgeStatus,
  judgeDeeds,
]

function merge(all: readonly Values[]): Values {
  const union = <T>(of: (values: Values) => Set<T>) => new Set(all.flatMap((values) => [...of(values)]))
  return {
    times: union((v) => v.times),
    clocks: union((v) => v.clocks),
    durations: union((v) => v.durations),
    numbers: union((v) => v.numbers),
  }
}

/** The text with these places, which follow one another, blank. */
function blankOut(text: string, places: readonly { from: number; to: number }[]): string {
  const parts: string[] = []
  let at = 0
  for (const { from, to } of places) {
    parts.push(text.slice(at, from), blanks(text.slice(from, to)))
    at = to
  }
  return parts.join('') + text.slice(at)
}
