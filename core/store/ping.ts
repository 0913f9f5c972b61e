import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Database } from './open-database.ts'
import { insertRows, run, statement, type Work } from './statement.ts'

/** How long a write that was kept vouches for the next one: who asks each second makes it commit only now and then. */
const KEPT_MS = 5_000

/**
 * Writes a row and drops it, so that nothing of it is left; in between it rolls that back, which waits for no disk. Those
 * who ask at once share one answer.
 */
export function pingBy(transaction: Database['transaction']): () => Promise<boolean> {
  // Nobody waits for the row of another process, which may stand still.
  const name = `ping ${randomUUID()}`
  const drop = statement<object, unknown>((db) => db.deleteFrom('setting').where('name', '=', sql.lit(name)))
  let keptAt = Number.NEGATIVE_INFINITY
  let underWay: Promise<boolean> | undefined

  function* write(): Work<void> {
    yield* insertRows('setting', [{ name, value: '' }])
    yield* run(drop, {})
  }

  async function ask(): Promise<boolean> {
    const rollback = performance.now() - keptAt < KEPT_MS
    try {
      await transaction(write, { rollback })
      if (!rollback) keptAt = performance.now()
      return true
    } catch {
      // Whatever is wrong, the answer is no, and the next yes is one that was kept.
      keptAt = Number.NEGATIVE_INFINITY
      return false
    } finally {
      underWay = undefined
    }
  }

  return () => {
    underWay ??= ask()
    return underWay
  }
}
