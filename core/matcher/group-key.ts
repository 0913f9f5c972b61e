import type { Grouping, Labels } from '../types.ts'

/**
 * The key that says which incident an event belongs to (matching.md M2). Drills never meet real alerts (M6).
 * In mode `key` an event with none of the labels gets its signal's key: an empty key would join strangers.
 */
export function groupKey(
  mode: Grouping,
  groupBy: readonly string[],
  event: {
    sourceId: string
    signalKey: string | null
    labels: Labels
    services: readonly string[]
    drill: boolean
  },
): string {
  return (event.drill ? 'drill:' : '') + keyOf(mode, groupBy, event)
}

function keyOf(
  mode: Grouping,
  groupBy: readonly string[],
  event: { sourceId: string; signalKey: string | null; labels: Labels; services: readonly string[] },
): string {
  if (mode === 'project') return '*'

  const ownKey = `signal:${event.sourceId}:${event.signalKey ?? ''}`
  if (mode === 'signal') return ownKey

  const parts = groupBy.map(
    (name) => event.labels[name] ?? (name === 'service' ? event.services[0] : undefined) ?? '',
  )
  if (parts.every((part) => part === '')) return ownKey
  return `key:${groupBy.map((name, i) => `${name}=${JSON.stringify(parts[i])}`).join(',')}`
}
