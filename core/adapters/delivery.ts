import type { ParsedRequest } from '../types.ts'

/** How long a delivery that comes again is known (matching.md D1). */
const WINDOW_MS = 72 * 60 * 60 * 1000

/** What tells a delivery that comes again: the sender's name for it, or for the change it tells of. Null for none. */
export function deliveryOf(key: string | null): ParsedRequest['delivery'] {
  return key === null ? null : { key, windowMs: WINDOW_MS }
}
