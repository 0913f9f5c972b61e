import { SEVERITIES, type Severity } from '../types.ts'
import { cleanText, LIMITS } from './clean.ts'

/**
 * What the monitoring tools' words mean on our scale. Written lower-case without spaces, dashes and underscores.
 * Sentry's and Prometheus' `info` is low: something happened, but nobody is to be woken.
 */
const SEVERITY_OF_WORD = new Map<string, Severity>([
  ...words('critical', 'critical crit fatal emergency emerg panic disaster blocker highest page alert'),
  ...words('critical', 'p0 p1 sev0'),
  ...words('high', 'high error err major severe urgent p2 sev1'),
  ...words('medium', 'medium moderate average warning warn ticket p3 sev2'),
  ...words('low', 'low minor info information informational notice p4 sev3'),
  ...words('info', 'debug trace verbose preemptive pending trivial lowest none notclassified p5 sev4 sev5'),
])

/** Our severity for a sender's word; null for no word and for one not in the table. */
export function readSeverity(word: unknown): Severity | null {
  const text = cleanText(word, LIMITS.word)
  return text === null ? null : (SEVERITY_OF_WORD.get(normalise(text)) ?? null)
}

/** The same for senders that were told our scale: there `info` means info. */
export function readOwnSeverity(word: unknown): Severity | null {
  const text = cleanText(word, LIMITS.word)?.toLowerCase()
  return SEVERITIES.find((severity) => severity === text) ?? readSeverity(word)
}

function normalise(word: string): string {
  return word.toLowerCase().replace(/[\s_-]+/g, '')
}

function words(severity: Severity, list: string): [string, Severity][] {
  return list.split(' ').map((word) => [word, severity])
}
