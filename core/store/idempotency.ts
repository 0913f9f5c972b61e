import { type Selectable, sql } from 'kysely'
import type { IdempotencyTable } from './schema.ts'
import { insertRows, run, statement, type Work } from './statement.ts'

export type KeyRow = Selectable<IdempotencyTable>

/** Rows removed at a time, so that no write waits for a cleaning. */
const REMOVED_AT_ONCE = 50

/** What stands under a key, unless it is older than `before`. */
export const idempotencyByKey = statement<{ key: string; before: string }, KeyRow>((db, p) =>
  db
    .selectFrom('idempotency')
    .selectAll()
    .where('key', '=', p('key'))
    .where('created_at', '>=', p('before'))
    .where('answer', 'is not', null),
)

const removeOver = statement<{ key: string; before: string }, unknown>((db, p) =>
  db
    .deleteFrom('idempotency')
    .where('key', '=', p('key'))
    // Without an answer: of a version that took keys in a commit of their own.
    .where(({ or, eb }) => or([eb('created_at', '<', p('before')), eb('answer', 'is', null)])),
)

const hold = statement<{ key: string; answer: string }, unknown>((db, p) =>
  db
    .updateTable('idempotency')
    .set({ answer: null })
    .where('key', '=', p('key'))
    .where('answer', '=', p('answer')),
)

const removeOld = statement<{ before: string }, unknown>((db, p) =>
  db
    .deleteFrom('idempotency')
    .where(
      'key',
      'in',
      db
        .selectFrom('idempotency')
        .select('key')
        .where('created_at', '<', p('before'))
        .orderBy('created_at')
        .limit(sql.lit(REMOVED_AT_ONCE)),
    ),
)

/**
 * Takes a key until the end of the transaction; false where what is stored under it is no longer this row, or where
 * there is one by now. `keepAnswer` must follow. A row older than `before` is forgotten.
 */
export function* takeKey(row: KeyRow, before: string): Work<boolean> {
  if (row.answer !== null) return (yield* run(hold, { key: row.key, answer: row.answer })) === 1
  yield* run(removeOver, { key: row.key, before })
  return (yield* insertRows('idempotency', [row], { onConflict: { do: 'ignore', columns: ['key'] } })) === 1
}

/** Keeps an answer under a key that was taken, also where the write has deleted its project with all keys of it. */
export function* keepAnswer(row: KeyRow): Work<void> {
  yield* insertRows('idempotency', [row], { onConflict: { do: 'replace', columns: ['key'] } })
}

/** Forgets keys older than `before`, some at a time. */
export function* forgetOldKeys(before: string): Work<void> {
  yield* run(removeOld, { before })
}
