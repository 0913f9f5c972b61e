import type { Selectable } from 'kysely'
import type { ProjectTable } from './schema.ts'
import { all, isAnyOf, run, statement, type Work } from './statement.ts'

/**
 * The order of locks on PostgreSQL. Whoever takes several takes them in this order, so that no two transactions of
 * whichever processes wait for each other in a circle:
 *
 * 0. the key of a write that has one;
 * 1. projects, by id: with all of theirs that is in no table named below;
 * 2. the hours of sources, by source;
 * 3. endpoints, by id, each with its note (catch-up.ts);
 * 4. messages that are due or under way, by id, and after them those that wait behind one of these;
 * 5. what is deleted because it is old.
 *
 * What is taken with `skip locked` waits for nobody, so it may come at any time.
 */

const locked = statement<{ ids: string[] }, Selectable<ProjectTable>>((db, p) =>
  db
    .selectFrom('project')
    .selectAll()
    .where(isAnyOf('project.id', p.list('ids')))
    .orderBy('id')
    .forNoKeyUpdate(),
)

/** These projects, for one transaction at a time to decide in; those that are gone are not among them. */
export function* lockProjects(ids: readonly string[]): Work<Selectable<ProjectTable>[]> {
  return ids.length === 0 ? [] : yield* all(locked, { ids: [...new Set(ids)].sort() })
}

const held = statement<{ ids: string[] }, { id: string }>((db, p) =>
  db
    .selectFrom('project')
    .select('id')
    .where(isAnyOf('project.id', p.list('ids')))
    .orderBy('id')
    .forKeyShare(),
)

/**
 * Those of these projects that are there, and go on being there until the transaction ends. Waits only for one that is
 * being deleted: decisions go on beside it.
 */
export function* holdProjects(ids: readonly string[]): Work<Set<string>> {
  const rows = ids.length === 0 ? [] : yield* all(held, { ids: [...new Set(ids)].sort() })
  return new Set(rows.map(({ id }) => id))
}

const raiseVersion = statement<{ id: string }, unknown>((db, p) =>
  db
    .updateTable('project')
    .set((eb) => ({ config_version: eb('config_version', '+', 1) }))
    .where('id', '=', p('id')),
)

/** Makes every process read the project's sources and endpoints anew; answers whether there is one. */
export function* raiseConfigVersion(id: string): Work<boolean> {
  return (yield* run(raiseVersion, { id })) > 0
}
