import { cleanText, TocsinError } from '@tocsin/core'

/**
 * A tool could not do what was asked, and says so to the model: what failed, with which value, what would work, and
 * which call to make next. Written by us alone: values are the caller's own arguments, never text of a sender.
 */
export class ToolError extends Error {
  override readonly name = 'ToolError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** The text a model reads. `refer` logs a fault of ours and answers the id it is logged under. */
export function errorText(error: unknown, refer: (error: unknown) => string): { code: string; text: string } {
  if (error instanceof ToolError || error instanceof TocsinError) {
    return { code: error.code, text: `[${error.code}] ${error.message}${NEXT[error.code] ?? ''}` }
  }
  const message = `Something went wrong in Tocsin; its log tells more under ${refer(error)}. Nothing is known to have changed: read the state before you try again.`
  return { code: 'internal', text: `[internal] ${message}` }
}

/** What to do where core's own sentence is not for a model. */
const NEXT: Record<string, string> = {
  forbidden: ' Ask the user for a key with that scope; do not try again with this one.',
  unauthorized: ' Ask the user to check the key in the configuration of this server.',
  unavailable: ' Wait a few seconds, then call the same tool again.',
}

/** An argument as it may stand in an error. */
export function quoted(value: string): string {
  return JSON.stringify(cleanText(value, 60))
}

/** The nearest of these words, at most three, nearest first. */
export function closest(word: string, candidates: Iterable<string>): string[] {
  const wanted = word.toLowerCase()
  return [...new Set(candidates)]
    .map((candidate) => ({ candidate, distance: editDistance(wanted, candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(2, candidate.length / 2))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate)
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + same))
    }
    row = next
  }
  return row[b.length]!
}
