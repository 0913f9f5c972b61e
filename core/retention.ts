import { endpointsKeptUntil, lockEndpoints, removeEndpoint } from './store/endpoint.ts'
import {
  dropMessages,
  goneEndpoints,
  goneProjects,
  inTurn,
  parts,
  type WalkedRow,
  walks,
} from './store/gone.ts'
import { forgetRequests } from './store/hook-request.ts'
import { idBefore, startOfDay } from './store/id-time.ts'
import { raiseConfigVersion } from './store/project.ts'
import { forgetCounts } from './store/source-health.ts'
import { run, type Work } from './store/statement.ts'
import type { Core } from './use-cases/core.ts'

/** Whole UTC days are forgotten at once: bodies of one day may lean on each other (store/earlier-body.ts). */
const KEPT_MS = 30 * 24 * 3_600_000
/** Rows per transaction: few enough that webhooks hardly wait for it. */
const BATCH = 200

/**
 * Deletes requests that are kept no longer, in small transactions one after the other, until none is left or `isOver`
 * says so. After each it waits for `rest`, so that a day of many requests, all old at once, leaves room for webhooks.
 */
export async function forgetOldRequests(
  core: Pick<Core, 'database' | 'writer' | 'now'>,
  isOver: () => boolean = () => false,
  rest: () => Promise<unknown> = async () => {},
): Promise<void> {
  const before = keptSince(core)
  for (const id of await projectsWithOld(core, before)) {
    for (let gone = BATCH; gone === BATCH && !isOver(); ) {
      gone = (await core.writer.submit({
        kind: 'work',
        run: () => forgetRequests(id, before, BATCH),
      })) as number
      await rest()
    }
  }
}

/** Deletes counters and deleted endpoints that are kept no longer. */
export async function forgetOld(core: Pick<Core, 'database' | 'writer' | 'now'>): Promise<void> {
  const before = keptSince(core)
  await core.writer.submit({ kind: 'work', run: () => forgetCounts(new Date(before).toISOString()) })
  for (const endpoint of await core.database.query(endpointsKeptUntil, { now: core.now().toISOString() })) {
    await core.writer.submit({ kind: 'work', run: () => forgetEndpoint(endpoint, core.now().toISOString()) })
  }
}

function keptSince({ now }: Pick<Core, 'now'>): number {
  return startOfDay(now().getTime() - KEPT_MS)
}

/** Rows looked at together where there is no index by project. */
const WALKED_AT_ONCE = 1_000

/**
 * Deletes what is left of projects and endpoints that are gone, in small transactions one after the other, until nothing
 * is or `isOver` says so. What it does not get to is found by the next run, of whichever process.
 */
export async function forgetGone(
  core: Pick<Core, 'database' | 'writer'>,
  isOver: () => boolean = () => false,
): Promise<void> {
  const { database, writer } = core
  const found = new Set<string>()
  for (const query of goneProjects) for (const { id } of await database.query(query, {})) found.add(id)
  const projects = [...found]
  const endpoints = await database.query(goneEndpoints, {})

  /** Answers how many rows went; 0 also where this run is to end. */
  let isStopped = false
  const some = async (drop: () => Work<number>): Promise<number> => {
    if (isStopped || isOver()) return 0
    const gone = (await writer.submit({ kind: 'work', run: () => inTurn(drop()) })) as number | null
    isStopped = gone === null
    return gone ?? 0
  }
  for (const { id } of endpoints) {
    while ((await some(() => dropMessages({ endpointId: id, most: BATCH }))) > 0);
  }
  for (const { next, drop } of projects.length === 0 ? [] : walks) {
    for (let after: string | undefined = ''; after !== undefined && !isStopped && !isOver(); ) {
      const rows: WalkedRow[] = await database.query(next, { after, most: WALKED_AT_ONCE })
      const theirs = rows.filter(({ project_id }) => project_id !== null && found.has(project_id))
      for (let at = 0; at < theirs.length; at += BATCH) {
        const [first, last] = [theirs[at]!, theirs[Math.min(at + BATCH, theirs.length) - 1]!]
        await some(() => run(drop, { projects, first: first.key, last: last.key }))
      }
      after = rows.length < WALKED_AT_ONCE ? undefined : rows.at(-1)!.key
    }
  }
  for (const projectId of projects) {
    for (const part of parts) {
      while ((await some(() => part({ projectId, most: BATCH }))) > 0);
    }
  }
}

/** Those with something to forget, the oldest first: whoever a run does not get to comes before others in the next. */
async function projectsWithOld({ database }: Pick<Core, 'database'>, before: number): Promise<string[]> {
  const rows = await database.read
    .selectFrom('project')
    .select((eb) => [
      'project.id',
      eb
        .selectFrom('hook_request')
        .select((e) => e.fn.min('hook_request.id').as('id'))
        .whereRef('hook_request.project_id', '=', 'project.id')
        .as('oldest'),
    ])
    .execute()
  return rows
    .filter(({ oldest }) => oldest !== null && oldest < idBefore(before))
    .sort((a, b) => (a.oldest! < b.oldest! ? -1 : 1))
    .map(({ id }) => id)
}

function* forgetEndpoint({ id, project_id }: { id: string; project_id: string }, now: string): Work<void> {
  // Nobody makes messages for it any more.
  yield* raiseConfigVersion(project_id)
  const [endpoint] = yield* lockEndpoints([id])
  // Somebody may have had it back.
  if (endpoint && endpoint.kept_until !== null && endpoint.kept_until <= now) yield* removeEndpoint(id)
}
