import type { Kysely } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import type { Database } from './open-database.ts'

/**
 * Brings the tables up to date. Of several processes that start at once one migrates and the others wait. Refuses a
 * database that has seen a migration this program does not know. `onWait` as of `Database.migrate`.
 */
export async function migrate<S>(
  database: Pick<Database<S>, 'migrate'>,
  migrations: Record<string, Migration>,
  onWait?: () => void,
): Promise<void> {
  await database.migrate(async (db) => {
    const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
    const { error } = await migrator.migrateToLatest()
    if (error === undefined) return

    const newer = await newestUnknown(db as Kysely<unknown>, migrations).catch(() => undefined)
    if (newer === undefined) throw error
    throw new Error(
      `The database was made by a newer Tocsin: its schema is ${newer}, this program knows up to ${Object.keys(migrations).toSorted().at(-1)}. Start the newer program, or restore a backup made before the upgrade (npm run restore).`,
      { cause: error },
    )
  }, onWait)
}

async function newestUnknown(
  db: Kysely<unknown>,
  migrations: Record<string, Migration>,
): Promise<string | undefined> {
  const rows = await (db as Kysely<{ kysely_migration: { name: string } }>)
    .selectFrom('kysely_migration')
    .select('name')
    .execute()
  return rows
    .map((row) => row.name)
    .filter((name) => !(name in migrations))
    .sort()
    .at(-1)
}
