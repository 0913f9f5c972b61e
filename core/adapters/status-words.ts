import type { EventKind, Severity } from '../types.ts'
import { cleanText, LIMITS } from './clean.ts'

/** Status words and what they do, written as `normalise` leaves them. */
export type StatusWords = Readonly<Record<string, EventKind>>

/** What a sender's status or action word says of an event. */
export interface Status {
  kind: EventKind
  /** Set only where the word itself names one. */
  severity: Severity | null
  /** The word as sent. */
  sourceStatus: string | null
  /** An explicit word for "it is back" (matching.md T2). */
  reopen: boolean
}

/** GitPulse's table "Statuses Mapped to ALERT", but for UPDATE, which only refreshes (matching.md N1). */
const ALERT_WORDS = words(
  'fire',
  'DOWN FIRING ALERT WARN ACTIVATED TRIGGER OPEN PROBLEM_OPEN PROBLEM CRITICAL CREATE ACTIVE FAILURE TRIGGERED',
)

/** GitPulse's table "Statuses Mapped to RECOVERY". */
const RECOVERY_WORDS = words('recover', 'UP RESOLVED RECOVERY CLOSED RESOLVE OK PROBLEM_CLOSE CLOSE SUCCESS')

/** The same verbs as other tools write them. */
const FURTHER_WORDS = [
  ...words('fire', 'FIRE FIRED ALERTING OPENED CREATED STARTED FAIL FAILED FAILING ERROR UNHEALTHY WARNING'),
  ...words('fire', 'REOPEN REOPENED'),
  ...words('recover', 'RECOVER RECOVERED CLEAR CLEARED HEALTHY'),
  ...words('ack', 'ACK ACKNOWLEDGE ACKNOWLEDGED'),
  ...words('refresh', 'UPDATE UPDATED'),
]

const BUILT_IN = new Map([...ALERT_WORDS, ...RECOVERY_WORDS, ...FURTHER_WORDS])
const WARNINGS = new Set(['WARN', 'WARNING'])
const REOPENINGS = new Set(['REOPEN', 'REOPENED'])

/**
 * Reads a status word by the given tables, the first that has it, then the built-in ones.
 * No word at all is a fire; an unknown one is kept and only informs (matching.md N1, N2).
 */
export function readStatus(word: unknown, ...tables: StatusWords[]): Status {
  const sourceStatus = cleanText(word, LIMITS.word)
  if (sourceStatus === null) return { kind: 'fire', severity: null, sourceStatus: null, reopen: false }

  const key = normalise(sourceStatus)
  const kind = tables.map((table) => find(table, key)).find((found) => found) ?? BUILT_IN.get(key) ?? 'info'
  return {
    kind,
    severity: kind === 'fire' && WARNINGS.has(key) ? 'medium' : null,
    sourceStatus,
    reopen: kind === 'fire' && REOPENINGS.has(key),
  }
}

/**
 * Reads a type that ends in a status word, such as `com.example.check.opened`. The source's own table may name it whole,
 * as the log shows it, or by its last word; a whole type goes before.
 */
export function readType(type: string | null, table: StatusWords): Status {
  if (type === null || kindOfWord(type, table)) return readStatus(type, table)
  return readStatus(lastWord(type), table)
}

/** The status word of a type. */
export function lastWord(type: string): string {
  return type.slice(type.lastIndexOf('.') + 1)
}

/** What a source's own table says of a word; undefined where it does not have it. */
export function kindOfWord(word: string | null, table: StatusWords): EventKind | undefined {
  const text = cleanText(word, LIMITS.word)
  return text === null ? undefined : find(table, normalise(text))
}

/** A source's own words are typed by people, in any case and with any dashes. */
function find(table: StatusWords, key: string): EventKind | undefined {
  if (Object.hasOwn(table, key)) return table[key]
  return Object.entries(table).find(([word]) => normalise(word) === key)?.[1]
}

function normalise(word: string): string {
  return word.trim().toUpperCase().replace(/[\s-]/g, '_')
}

function words(kind: EventKind, list: string): [string, EventKind][] {
  return list.split(' ').map((word) => [word, kind])
}
