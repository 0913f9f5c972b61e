import type { Labels } from '../types.ts'
import { cleanLabels, cleanText, LIMITS } from './clean.ts'

/**
 * Labels from an object, a list or a comma list.
 * In a list `key:value` and `key=value` are pairs, and a bare word is a label that is true.
 */
export function readLabels(value: unknown): Labels {
  const items = typeof value === 'string' ? value.split(',') : value
  if (!Array.isArray(items)) return cleanLabels(value)

  const labels: Record<string, string> = {}
  for (const item of items.slice(0, LIMITS.labelCount)) {
    const text = cleanText(item, LIMITS.labelName + LIMITS.labelValue)
    if (text === null) continue
    const separator = text.search(/[:=]/)
    const name = separator > 0 ? text.slice(0, separator).trim() : text
    if (name !== '__proto__') labels[name] = separator > 0 ? text.slice(separator + 1).trim() : 'true'
  }
  return cleanLabels(labels)
}
