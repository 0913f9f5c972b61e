import type { Findings } from './facts.ts'
import { CAPITALS, OPENERS } from './plain-words.ts'

/** Who did what and when, and what kind of incident it was, for sentences that say so. */
export interface Deeds {
  severity: string
  /** Of its signals, at any time. */
  severities: ReadonlySet<string>
  isDrill: boolean
  hasNotes: boolean
  /** Names by deed, without case; none where the deed is not recorded. */
  who: ReadonlyMap<string, ReadonlySet<string>>
  /** Clocks by deed. */
  when: ReadonlyMap<string, ReadonlySet<string>>
  /** How it was resolved, each time. */
  byHand: boolean
  byItself: boolean
}

export function deedsOf({ facts, timeline }: Findings): Deeds {
  const who = new Map<string, Set<string>>()
  const when = new Map<string, Set<string>>()
  const add = (deed: string, name: string | null, at: string | null) => {
    if (name !== null) who.set(deed, (who.get(deed) ?? new Set()).add(name.toLowerCase()))
    if (at !== null) when.set(deed, (when.get(deed) ?? new Set()).add(at.slice(11, 19)))
  }
  for (const { kind, by, at } of facts.actions) add(kind === 'note' ? 'noted' : kind, by.name, at)
  add('opened', null, facts.startedAt)
  add('opened', null, facts.detectedAt)
  add('detected', null, facts.detectedAt)
  add('acknowledged', null, facts.acknowledgedAt)
  add('resolved', null, facts.resolvedAt)
  for (const [i, { startedAt, resolvedAt }] of facts.stretches.entries()) {
    if (i > 0) add('reopened', null, startedAt)
    add('resolved', null, resolvedAt)
  }
  const texts = [...timeline, ...facts.evidence].map(({ text }) => text)
  for (const text of texts)
    for (const { deed, clock } of timesIn(text)) add(deed, null, `${' '.repeat(11)}${clock}`)
  const ends = facts.actions.filter(({ kind }) => kind === 'resolved')
  const said = texts.flatMap((text) => Array.from(text.matchAll(/ \((\w+)\)/g), ([, word]) => word!))
  return {
    severity: facts.severity,
    severities: new Set([facts.severity, ...facts.signals.map(({ severity }) => severity), ...said]),
    isDrill: facts.drill,
    hasNotes: facts.counts.notes > 0,
    who,
    when,
    byHand: ends.some(({ by }) => by.type === 'key'),
    byItself: ends.some(({ by }) => by.type !== 'key'),
  }
}

/**
 * Why a sentence tells a deed, its time or the kind of the incident wrongly; null where it does not. `text` has `quoted`
 * in the place of each of its quotations.
 */
export function deedFault(
  text: string,
  quotations: readonly string[],
  quoted: string,
  deeds: Deeds,
): string | null {
  if (/\?\s*$/.test(text)) return null
  return (
    severityFault(text, quoted, deeds) ??
    kindFault(text, deeds) ??
    personFault(text, quotations, quoted, deeds) ??
    timeFault(text, deeds)
  )
}

function severityFault(text: string, quoted: string, { severity, severities }: Deeds): string | null {
  const ofSignal = text.includes(quoted) || /\b(?:signals?|alerts?|monitors?)\b/i.test(text)
  for (const [, after, before] of text.matchAll(SEVERITY)) {
    const said = (after ?? before)!.toLowerCase()
    if (said !== severity && !(ofSignal && severities.has(said)))
      return `The severity is ${severity}, not ${said}.`
  }
  return null
}

const SEVERITY =
  /\bseverity(?:\s+(?:of|was|is|has|been|level|at|the|incident|it|first|only)){0,4}[\s:(]{1,3}(critical|high|medium|low|info)\b|\b(critical|high|medium|low|info)[- ](?:severity|incident|outage)\b/gi

function kindFault(text: string, { isDrill, hasNotes, byHand, byItself }: Deeds): string | null {
  if (isDrill ? NO_DRILL.test(text) : DRILL.test(text) && !NO_DRILL.test(text))
    return isDrill ? 'It was a drill.' : 'It was no drill.'
  if (hasNotes && NO_NOTE.test(text)) return 'A note is recorded.'
  if (byItself && !byHand && BY_HAND.test(text)) return 'It was not resolved by hand.'
  if (byHand && !byItself && BY_ITSELF.test(text)) return 'It was resolved by hand.'
  return null
}

const DRILL = /\b(?:was|is|were)\s+(?:\w+\s+){0,3}(?:drill|exercise)\b/i
const NO_DRILL = /\b(?:was|is|were)\s+(?:not\s+an?|no|never\s+an?)\s+(?:\w+\s+)?(?:drill|exercise)\b/i
const NO_NOTE =
  /\b(?:nobody|no one)\s+(?:\w+\s+)?(?:left|wrote|added|took|made)\s+(?:an?y?\s+)?notes?\b|\bno\s+notes?\s+(?:was|were|is|are)\b|\bthere\s+(?:is|are|was|were)\s+no\s+notes?\b/i
const BY_HAND = /\bresolved\s+(?:it\s+)?(?:by\s+hand|manually|by\s+a\s+person)\b/i
const BY_ITSELF = /\bresolved\s+(?:by\s+itself|itself|on\s+its\s+own|automatically)\b/i

/** "Ada resolved it", "resolved by Ada". */
function personFault(
  text: string,
  quotations: readonly string[],
  quoted: string,
  { who }: Deeds,
): string | null {
  const nameOf = (phrase: string, place: number) =>
    phrase === quoted
      ? quotations[text.slice(0, place).split(quoted).length - 1]?.toLowerCase()
      : phrase.toLowerCase()
  const judge = (deed: string, phrase: string, place: number) => {
    const names = who.get(deed.toLowerCase())
    const name = nameOf(phrase, place)
    const last = phrase.split(' ').at(-1)!
    if (!names || name === undefined || OPENERS.has(last.toLowerCase()) || CAPITALS.has(last)) return null
    const isKnown = [...names].some((one) => one.includes(name) || name.endsWith(one))
    return isKnown ? null : `It is not recorded that this person or tool ${deed.toLowerCase()} it.`
  }
  for (const match of text.matchAll(DID)) {
    const why = judge(match[2]!, match[1]!, match.index)
    if (why !== null) return why
  }
  for (const match of text.matchAll(DONE_BY)) {
    const why = judge(match[1]!, match[2]!, match.index)
    if (why !== null) return why
  }
  return null
}

const NAME = String.raw`\uE000|\p{Lu}[\p{L}\p{N}]{0,40}(?: \p{Lu}[\p{L}\p{N}]{0,40}){0,3}`
const DID = new RegExp(
  String.raw`(?<![\p{L}\p{N}-])(${NAME}) (?:then |had |has |also )?(opened|acknowledged|resolved|reopened) (?=it\b|the\b|this\b|INC-)`,
  'gu',
)
const DONE_BY = new RegExp(String.raw`\b(opened|acknowledged|resolved|reopened) (?:it )?by (${NAME})`, 'gu')

function timeFault(text: string, { when }: Deeds): string | null {
  for (const { deed, clock } of timesIn(text)) {
    const known = [...(when.get(deed) ?? [])]
    if (known.length > 0 && !known.some((one) => one.startsWith(clock)))
      return `It was not ${deed} at ${clock}.`
  }
  return null
}

/** "resolved at 12:39:05": deeds with the clock that follows, no other deed between. */
function timesIn(text: string): { deed: string; clock: string }[] {
  return Array.from(text.matchAll(DEED_AT), ([, deed, clock]) => ({
    deed: deed!.toLowerCase(),
    clock: clock!.padStart(clock!.indexOf(':') === 1 ? clock!.length + 1 : 0, '0'),
  }))
}

const DEED_AT =
  /\b(opened|acknowledged|resolved|detected|reopened)\b(?:(?!\p{L}+ed\b)[^.;:]){0,60}?\b(?:at|on)\s+(?:\d{4}-\d\d-\d\d\s+(?:at\s+)?)?(\d{1,2}:\d\d(?::\d\d)?)(?! ?[ap]m)/giu
