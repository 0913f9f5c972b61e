/** Enough for what may come again before Tocsin has heard our answer. */
const KEPT = 200

/** Whether a message was taken before. A replay that someone asked for in Tocsin is meant to start the workflow again. */
export function isRepeat(taken: readonly string[], id: string, isReplay: boolean): boolean {
  return !isReplay && taken.includes(id)
}

/** The ids of messages taken with this one at their end. */
export function noteTaken(taken: readonly string[], id: string): string[] {
  return [...taken, id].slice(-KEPT)
}
