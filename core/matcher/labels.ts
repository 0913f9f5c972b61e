import type { Labels } from '../types.ts'
import type { LabelValues } from './state.ts'

/** Values kept per label of an incident; further ones are only counted (matching.md 1). */
const MOST_VALUES = 20

/** Adds a member's labels to those of the incident. What is left out is counted once, when the member is new. */
export function mergeLabels(into: Record<string, LabelValues>, labels: Labels, isNewMember: boolean): void {
  for (const [key, value] of Object.entries(labels)) {
    const known = Object.hasOwn(into, key) ? into[key] : undefined
    if (!known) into[key] = { values: [value], more: 0 }
    else if (!known.values.includes(value)) {
      if (known.values.length < MOST_VALUES) {
        known.values.push(value)
        known.values.sort()
      } else if (isNewMember) known.more += 1
    }
  }
}

/** As the API shows them: one value as text, several as a sorted list, what was left out as "… n more" (M5). */
export function shownLabels(labels: Record<string, LabelValues>): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(labels).map(([key, { values, more }]) => {
      if (more > 0) return [key, [...values, `… ${more} more`]]
      return [key, values.length === 1 ? values[0]! : values]
    }),
  )
}
