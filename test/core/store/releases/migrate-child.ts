import type { KyselyPlugin } from 'kysely'
import { migrate } from '../../../../core/store/migrate.ts'
import { migrations } from '../../../../core/store/migrations/index.ts'
import { openDatabase } from '../../../../core/store/open-database.ts'

// Migrates the database at URL and prints how many migrations it ran and how many statements they had. With KILL_AT it
// ends itself by SIGKILL before that statement; one more than there are is before the commit.

const killAt = Number(process.env.KILL_AT ?? 0)
let migrated = 0
let statements = 0

const count: KyselyPlugin = {
  transformQuery: ({ node }) => {
    dieAt(++statements)
    return node
  },
  transformResult: async ({ result }) => result,
}
const names = Object.keys(migrations).toSorted()
const counted = Object.fromEntries(
  names.map((name) => [
    name,
    {
      async up(db: Parameters<(typeof migrations)[string]['up']>[0]) {
        migrated++
        await migrations[name]!.up(db.withPlugin(count))
        if (name === names.at(-1)) dieAt(statements + 1)
      },
    },
  ]),
)

const database = await openDatabase(process.env.URL!)
await migrate(database, counted)
await database.close()
process.stdout.write(JSON.stringify({ migrated, statements }))

function dieAt(statement: number): void {
  if (statement === killAt) process.kill(process.pid, 'SIGKILL')
}
