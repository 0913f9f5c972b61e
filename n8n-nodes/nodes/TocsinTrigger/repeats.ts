import type { Verified } from './verify.ts'

/** Enough for what may come again before Tocsin has heard our answer. */
const KEPT = 200

/**
 * Whether a message was taken before, by what was noted then. A replay that someone asked for passes, but the bytes of an
 * earlier request with the mark added to them do not: the mark is not signed, the time of sending is.
 */
export function isRepeat(noted: readonly string[], { id, timestamp }: Verified, isReplay: boolean): boolean {
  const wanted = isReplay ? `${id} ${timestamp}` : `${id} `
  return noted.some((one) => one.startsWith(wanted))
}

/** The notes with this message at their end. */
export function noteTaken(noted: readonly string[], { id, timestamp }: Verified): string[] {
  return [...noted, `${id} ${timestamp}`].slice(-KEPT)
}
