import { openOn } from '../../core/open-tocsin.ts'
import { migrate } from '../../core/store/migrate.ts'
import { migrations } from '../../core/store/migrations/index.ts'
import { type Database, openDatabase } from '../../core/store/open-database.ts'
import { runWork, type Step } from '../../core/store/statement.ts'
import type { OpenedTocsin, OpenOptions } from '../../core/tocsin.ts'

/**
 * The whole product with a store that loads nothing and writes nothing: what the pipeline costs without a database.
 * Set-up goes to a real database; from `forgetAll` on every batch is decided on an empty picture and dropped.
 */
export async function openTocsinOnNullStore(
  options: OpenOptions,
): Promise<{ tocsin: OpenedTocsin; forgetAll: () => Promise<void> }> {
  const real = await openDatabase(options.databaseUrl)
  await migrate(real, migrations)
  let projects: Record<string, unknown>[] | undefined

  const database: Database = {
    ...real,
    transaction: async (work, runOptions) =>
      projects ? runWork(work(), (step) => answer(step, projects!)) : real.transaction(work, runOptions),
  }
  return {
    tocsin: await openOn(database, options),
    async forgetAll() {
      projects = await real.read.selectFrom('project').selectAll().execute()
    },
  }
}

/** A batch needs its projects; everything else is unknown, and every change succeeds. */
function answer(step: Step, projects: Record<string, unknown>[]): unknown {
  switch (step.do) {
    case 'all':
      return 'ids' in step.params &&
        projects.some(({ id }) => (step.params as { ids: unknown[] }).ids.includes(id))
        ? structuredClone(projects)
        : []
    case 'allForEach':
      return step.paramsList.map(() => [])
    case 'run':
      return 1
    case 'insert':
    case 'update':
      return step.rows.length
    case 'kind':
      return 'sqlite'
    case 'together':
      return step.steps.map((inner) => answer(inner, projects))
  }
}
