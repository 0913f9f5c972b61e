import { onTestFinished } from 'vitest'
import { migrate } from '../../core/store/migrate.ts'
import { migrations } from '../../core/store/migrations/index.ts'
import { type Database, openDatabase } from '../../core/store/open-database.ts'
import { type DatabaseKind, freshDatabase } from './databases.ts'

/** A database of its own for one test, with all tables and nothing in them. */
export async function openEmpty(kind: DatabaseKind): Promise<Database> {
  const { url, dispose } = await freshDatabase(kind)
  const database = await openDatabase(url)
  onTestFinished(async () => {
    await database.close()
    await dispose()
  })
  await migrate(database, migrations)
  return database
}
