import { styleText } from 'node:util'
import type { ApiEvent, ApiIncident, ApiPostmortem, ApiTimelineEntry } from '@tocsin/core'
import type { Happened, Step } from './outage.ts'

const INDENT = ' '.repeat(9)

/** What arrived, what was decided, and why. */
export function printStep(
  at: number,
  { who, says, expected }: Step,
  { outcome, reference }: Happened,
  why: readonly string[],
): void {
  const asExpected = outcome === expected
  print(`${seconds(at)}  ${bold(who.padEnd(12))}  ${says}`)
  const decided = styleText(asExpected ? colourOf(outcome) : 'red', outcome)
  print(
    `${INDENT}→ ${decided}${reference ? ` ${reference}` : ''}${asExpected ? '' : ` (expected ${expected})`}`,
  )
  for (const line of why) print(`${INDENT}  ${dim(line)}`)
}

export function printIncident(incident: ApiIncident): void {
  heading(`${incident.reference}  ${incident.title}`)
  const facts: [string, string][] = [
    ['Status', incident.status],
    ['Severity', `${incident.severity}, the highest of its signals`],
    ['Services', incident.services.join(', ') || 'none named'],
    ['Started', incident.startedAt],
    ['Resolved', incident.resolvedAt ?? 'not yet'],
    ['Lasted', incident.durationMs === null ? 'goes on' : `${(incident.durationMs / 1000).toFixed(1)} s`],
    ['Link', incident.url ?? 'none'],
  ]
  for (const [name, value] of facts) print(`  ${name.padEnd(10)}${value}`)
  print(`  ${'Signals'.padEnd(10)}${incident.signalCount}`)
  for (const { source, title, status } of incident.signals) {
    print(`            ${status.padEnd(10)}  ${source.name.padEnd(12)}  ${title}`)
  }
}

export function printTimeline(entries: readonly ApiTimelineEntry[]): void {
  heading('Its timeline')
  for (const { at, kind, actor, text } of entries) {
    print(`  ${at.slice(11, 23)}  ${kind.padEnd(12)}  ${actor.name.padEnd(12)}  ${text}`)
  }
}

export function printReceipts(events: readonly ApiEvent[]): void {
  heading('Why, rule by rule')
  for (const event of events.toReversed()) {
    print(`  ${event.kind} ${event.title}`)
    for (const { rule, text } of event.receipt) print(`    ${rule.padEnd(4)} ${dim(text)}`)
  }
}

export function printPostmortem({ markdown }: ApiPostmortem): void {
  heading('Its post-mortem, drafted from these facts')
  for (const line of markdown.trimEnd().split('\n')) print(`  ${/^#/.test(line) ? bold(line) : line}`)
}

function colourOf(outcome: string): 'red' | 'green' | 'yellow' | 'gray' {
  if (outcome === 'opened') return 'red'
  if (outcome === 'resolved' || outcome === 'recovered') return 'green'
  return outcome === 'attached' || outcome === 'acknowledged' ? 'yellow' : 'gray'
}

function seconds(ms: number): string {
  return `+${(ms / 1000).toFixed(1)} s`.padStart(7)
}

export function heading(text: string): void {
  print()
  print(bold(text))
}

// styleText leaves colours out where stdout is no terminal or NO_COLOR is set.
function bold(text: string): string {
  return styleText('bold', text)
}

function dim(text: string): string {
  return styleText('dim', text)
}

export function print(line = ''): void {
  console.log(line)
}
