import { type Selectable, sql } from 'kysely'
import type { IdempotencyTable } from './schema.ts'
import { all, insertRows, run, statement, type Work } from './statement.ts'

/** Rows removed at a time, so that no write waits for a cleaning. */
const REMOVED_AT_ONCE = 50

const byKey = statement<{ key: string }, Selectable<IdempotencyTable>>((db, p) =>
  db.selectFrom('idempotency').selectAll().where('key', '=', p('key')),
)

const removeByKey = statement<{ key: string }, unknown>((db, p) =>
  db.deleteFrom('idempotency').where('key', '=', p('key')),
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

const storeAnswer = statement<{ key: string; createdAt: string; answer: string }, unknown>((db, p) =>
  db
    .updateTable('idempotency')
    .set({ answer: p('answer') })
    .where('key', '=', p('key'))
    .where('created_at', '=', p('createdAt')),
)

/**
 * Takes a key for a write that begins, or answers the row that has it. One older than `before` is forgotten, and so is
 * one without an answer that began before `abandoned`: its process has stopped in the middle.
 */
export function* takeKey(
  row: Omit<Selectable<IdempotencyTable>, 'answer'>,
  { before, abandoned }: { before: string; abandoned: string },
): Work<Selectable<IdempotencyTable> | null> {
  yield* run(removeOld, { before })
  const [known] = yield* all(byKey, { key: row.key })
  if (known) {
    const isOver = known.created_at < before || (known.answer === null && known.created_at < abandoned)
    if (!isOver) return known
    yield* run(removeByKey, { key: row.key })
  }
  const taken = yield* insertRows('idempotency', [{ ...row, answer: null }], {
    onConflict: { do: 'ignore', columns: ['key'] },
  })
  if (taken === 1) return null
  // Another process was faster.
  return (yield* all(byKey, { key: row.key }))[0] ?? null
}

/** Keeps what was answered; does nothing where the key was forgotten or taken over meanwhile. */
export function* keepAnswer(answer: { key: string; createdAt: string; answer: string }): Work<void> {
  yield* run(storeAnswer, answer)
}

/** Sets a key free: nothing was done under it. */
export function* freeKey(key: string): Work<void> {
  yield* run(removeByKey, { key })
}
