import type { Kysely } from 'kysely'

/** Which of the two databases a migration runs on; Kysely itself does not say. */
export function isSqlite(db: Kysely<unknown>): boolean {
  return db.getExecutor().adapter.constructor.name.startsWith('Sqlite')
}
