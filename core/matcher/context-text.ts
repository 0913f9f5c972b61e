import type { DecidedEvent } from './state.ts'

const WORD: Record<DecidedEvent['kind'], string> = {
  fire: 'firing',
  refresh: 'firing',
  recover: 'recovered',
  ack: 'acknowledged',
  info: 'note',
}

/** Names source, title and severity as sent and as mapped: one entry per delivery, however many alerts it holds. */
export function contextText(events: readonly DecidedEvent[]): string {
  const shown = events.slice(0, 10).map((event) => {
    const severity =
      event.kind === 'fire' || event.kind === 'refresh'
        ? event.sourceSeverity === null || event.sourceSeverity.toLowerCase() === event.severity
          ? `, severity ${event.severity}`
          : `, severity ${quote(event.sourceSeverity)} read as ${event.severity}`
        : ''
    const status =
      event.kind === 'info' && event.sourceStatus !== null ? quote(event.sourceStatus) : WORD[event.kind]
    return `${quote(event.title)} ${status}${severity}`
  })
  if (events.length > shown.length) shown.push(`${events.length - shown.length} more`)
  return `${events[0]!.sourceName}: ${shown.join('; ')}.`
}

export function quote(text: string): string {
  return `“${text.length > 200 ? `${text.slice(0, 199)}…` : text}”`
}
