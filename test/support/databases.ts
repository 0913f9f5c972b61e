import { inject } from 'vitest'
import { type DatabaseKind, type FreshDatabase, freshPostgres, freshSqlite } from './fresh-database.ts'

export type { DatabaseKind, FreshDatabase } from './fresh-database.ts'

/** Every database this run can test on; postgres-server.ts has said why where PostgreSQL is left out. */
export const databaseKinds: readonly DatabaseKind[] =
  inject('postgresUrl') === null ? ['sqlite'] : ['sqlite', 'postgres']

/** An empty database of its own for one test or one file. */
export async function freshDatabase(kind: DatabaseKind): Promise<FreshDatabase> {
  if (kind === 'sqlite') return freshSqlite()

  const serverUrl = inject('postgresUrl')
  if (serverUrl === null) throw new Error('There is no PostgreSQL here: take the kinds from databaseKinds.')
  return freshPostgres(serverUrl)
}
