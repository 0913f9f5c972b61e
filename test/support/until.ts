import { setTimeout as wait } from 'node:timers/promises'

/**
 * Asks again and again until the answer is something, and returns it: how tests wait without a fixed sleep.
 * Throws a sentence with `what` after `withinMs`, with the last error as its cause.
 */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | null | Promise<T | undefined | false | null>,
  { withinMs = 15_000, everyMs = 25 } = {},
): Promise<T> {
  let lastError: unknown
  for (const deadline = performance.now() + withinMs; ; await wait(everyMs)) {
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false && answer !== null) return answer
      lastError = undefined
    } catch (error) {
      lastError = error
    }
    if (performance.now() > deadline) {
      throw new Error(`Waited ${withinMs / 1000} s in vain: ${what}.`, { cause: lastError })
    }
  }
}
