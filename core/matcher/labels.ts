import type { Labels } from '../types.ts'
import type { IncidentState, LabelValues } from './state.ts'

/** Values kept per label of an incident; further ones are only counted (matching.md 1). */
const MOST_VALUES = 20

/**
 * The labels of an incident with those of a member; the same object where that says nothing new. What is left out is
 * counted once, when the member is new.
 */
export function withLabels(
  incident: IncidentState['labels'],
  labels: Labels,
  isNewMember: boolean,
): IncidentState['labels'] {
  const changed: [string, LabelValues][] = []
  for (const [key, value] of Object.entries(labels)) {
    const known = Object.hasOwn(incident, key) ? incident[key] : undefined
    if (!known) changed.push([key, { values: [value], more: 0 }])
    else if (!known.values.includes(value)) {
      if (known.values.length < MOST_VALUES)
        changed.push([key, { ...known, values: [...known.values, value].sort() }])
      else if (isNewMember) changed.push([key, { ...known, more: known.more + 1 }])
    }
  }
  return changed.length === 0 ? incident : { ...incident, ...Object.fromEntries(changed) }
}

/** As the API shows them: one value as text, several as a sorted list, what was left out as "… n more" (M5). */
export function shownLabels(labels: IncidentState['labels']): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(labels).map(([key, { values, more }]) => {
      if (more > 0) return [key, [...values, `… ${more} more`]]
      return [key, values.length === 1 ? values[0]! : [...values]]
    }),
  )
}
