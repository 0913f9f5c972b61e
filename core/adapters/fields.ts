import { z } from 'zod'
import { cleanId, cleanLabels, cleanText, isObject, LIMITS } from './clean.ts'

/**
 * Schema fields that never refuse. A monitoring tool may change or leave out what we can do without:
 * a value of the wrong type then counts as absent (null, or empty).
 */

export const anything = z.unknown().optional()
export const someWord = anything.transform((value) => cleanText(value, LIMITS.word))
export const someName = anything.transform((value) => cleanText(value, LIMITS.name))
export const someTitle = anything.transform((value) => cleanText(value, LIMITS.title))
export const someDescription = anything.transform((value) => cleanText(value, LIMITS.description))
export const someId = anything.transform(cleanId)
/** A time as sent. Event keys use this text, so it is not touched beyond becoming text. */
export const someTime = anything.transform((value) => cleanText(value, LIMITS.word))
export const someLabels = anything.transform(cleanLabels)
export const someList = anything.transform((value): unknown[] => (Array.isArray(value) ? value : []))
export const someObject = anything.transform(
  (value): Record<string, unknown> => (isObject(value) ? value : {}),
)

/** A list that is refused where it has more entries than these. They are counted before anything looks into them. */
export function listOf<Entry extends z.ZodType>(
  entry: Entry,
  { name, most, least = 1, remedy }: { name: string; most: number; least?: 0 | 1; remedy: string },
) {
  const error = ({ input }: { input?: unknown }) =>
    `${name} holds ${(input as unknown[]).length} entries, at most ${most} are taken: ${remedy}`
  return z.array(z.unknown()).min(least).max(most, { error }).pipe(z.array(entry))
}
