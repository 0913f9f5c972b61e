import type { Selectable } from 'kysely'
import type { ApiPage, ApiPolicy, ApiProject, ApiProjectInput, ApiProjectPatch } from '../api-types.ts'
import { TocsinError } from '../errors.ts'
import { newProjectId } from '../ids.ts'
import { addLog } from '../matcher/human.ts'
import { Picture } from '../matcher/picture.ts'
import { changePolicy, effectivePolicy, readPolicy } from '../policy.ts'
import { lockEndpoints } from '../store/endpoint.ts'
import { loadProjects, savePicture } from '../store/picture.ts'
import { holdProjects, raiseConfigVersion } from '../store/project.ts'
import type { ProjectTable } from '../store/schema.ts'
import {
  all,
  databaseKind,
  insertRows,
  isAnyOf,
  run,
  statement,
  updateRows,
  type Work,
} from '../store/statement.ts'
import type { Caller } from '../tocsin.ts'
import type { Plan, Policy } from '../types.ts'
import { actorOf, allow, type Core, change, cutPage, readPage } from './core.ts'

export async function createProject(
  core: Core,
  caller: Caller,
  input: ApiProjectInput,
): Promise<{ project: ApiProject }> {
  allow(caller, 'admin')
  if (caller.projectId !== null) {
    throw new TocsinError('forbidden', 'A key of one project makes no others. Use a key for all projects.')
  }
  const row: Selectable<ProjectTable> = {
    id: newProjectId(),
    name: input.name,
    plan: planOf(input.plan) ?? core.defaultPlan,
    policy: JSON.stringify(checkedPolicy(changePolicy(readPolicy('{}'), input.policy ?? {}))),
    ingestion_enabled: 1,
    config_version: 1,
    log_position: 0,
    last_incident_number: 0,
    created_at: core.now().toISOString(),
  }
  const made = await change(core, function* () {
    yield* insertRows('project', [row])
    return row
  })
  return { project: toApi(made) }
}

export async function listProjects(
  core: Core,
  caller: Caller,
  page: ApiPage,
): Promise<{ projects: ApiProject[]; nextCursor: string | null }> {
  allow(caller, 'admin')
  const { limit, after } = readPage(page)
  let query = core.database.read
    .selectFrom('project')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (after !== undefined) {
    // Ids of projects are random: the place of a cursor is that of the project it names.
    query = query.where((eb) =>
      eb(
        eb.refTuple('created_at', 'id'),
        '<',
        eb
          .selectFrom('project as p')
          .select(['p.created_at', 'p.id'])
          .where('p.id', '=', after)
          .$asTuple('created_at', 'id'),
      ),
    )
  }
  if (caller.projectId !== null) query = query.where('id', '=', caller.projectId)
  const { page: rows, nextCursor } = cutPage(await query.execute(), limit)
  return { projects: rows.map(toApi), nextCursor }
}

export async function getProject(
  core: Core,
  caller: Caller,
  projectId: string,
): Promise<{ project: ApiProject }> {
  allow(caller, 'admin', projectId)
  return { project: toApi(await projectRow(core, projectId)) }
}

/** The project's row; throws `not_found`. */
export async function projectRow(core: Core, projectId: string): Promise<Selectable<ProjectTable>> {
  const row = await core.database.read
    .selectFrom('project')
    .selectAll()
    .where('id', '=', projectId)
    .executeTakeFirst()
  return row ?? noProject()
}

export async function updateProject(
  core: Core,
  caller: Caller,
  projectId: string,
  patch: ApiProjectPatch,
): Promise<{ project: ApiProject }> {
  allow(caller, 'admin', projectId)
  const row = await change(core, function* (context) {
    const picture = new Picture()
    const before = (yield* loadProjects(picture, [projectId])).get(projectId) ?? noProject()
    const policy = patch.policy && checkedPolicy(changePolicy(readPolicy(before.policy), patch.policy))
    if (policy) {
      addLog(picture, { projectId }, 'policy', { policy, actor: actorOf(caller) }, context)
    }
    yield* savePicture(picture, yield* databaseKind())
    const changed = {
      ...before,
      log_position: picture.project(projectId).logPosition,
      name: patch.name ?? before.name,
      plan: planOf(patch.plan) ?? before.plan,
      policy: policy ? JSON.stringify(policy) : before.policy,
      ingestion_enabled:
        patch.ingestionEnabled === undefined ? before.ingestion_enabled : Number(patch.ingestionEnabled),
      config_version: before.config_version + 1,
    }
    yield* updateRows('project', [changed])
    return changed
  })
  core.directory.forget(projectId)
  return { project: toApi(row) }
}

const endpointsOf = statement<{ projectId: string }, { id: string }>((db, p) =>
  db.selectFrom('endpoint').select('id').where('project_id', '=', p('projectId')),
)

const dropEndpointSecrets = statement<{ ids: string[] }, unknown>((db, p) =>
  db.deleteFrom('endpoint_secret').where(isAnyOf('endpoint_id', p.list('ids'))),
)

/** What opens a project, and what is sent by. */
const CONFIGURATION = ['api_key', 'source_credential', 'secret_reveal', 'endpoint'] as const

const dropConfiguration = CONFIGURATION.map((table) =>
  statement<{ projectId: string }, unknown>((db, p) =>
    db.deleteFrom(table).where('project_id', '=', p('projectId')),
  ),
)

const endSources = statement<{ projectId: string; now: string }, unknown>((db, p) =>
  db
    .updateTable('source')
    .set({ deleted_at: p('now') })
    .where('project_id', '=', p('projectId'))
    .where('deleted_at', 'is', null),
)

const dropProject = statement<{ projectId: string }, unknown>((db, p) =>
  db.deleteFrom('project').where('id', '=', p('projectId')),
)

/**
 * Deletes the project with everything in it. It is gone at once: nobody finds it, nothing is received for it or sent. What
 * may be much is deleted afterwards, bit by bit (retention.ts).
 */
export async function deleteProject(core: Core, caller: Caller, projectId: string): Promise<void> {
  allow(caller, 'admin', projectId)
  await change(core, function* ({ now }) {
    if ((yield* run(dropProject, { projectId })) === 0) noProject()
    const ids = (yield* all(endpointsOf, { projectId })).map(({ id }) => id)
    yield* lockEndpoints(ids)
    yield* run(dropEndpointSecrets, { ids })
    for (const drop of dropConfiguration) yield* run(drop, { projectId })
    yield* run(endSources, { projectId, now })
  })
  core.directory.forget(projectId)
  core.onGone()
}

/** The project goes on being there until the transaction ends. Throws `not_found`. */
export function* keepProject(projectId: string): Work<void> {
  if (!(yield* holdProjects([projectId])).has(projectId)) noProject()
}

/** Makes every process read the project's sources anew; part of the change that needs it. Throws `not_found`. */
export function* configChanged(projectId: string): Work<void> {
  if (!(yield* raiseConfigVersion(projectId))) noProject()
}

const defaultProject = statement<{ name: string }, { id: string }>((db, p) =>
  db
    .selectFrom('setting')
    .innerJoin('project', 'project.id', 'setting.value')
    .select('project.id')
    .where('setting.name', '=', p('name')),
)

/** The project of the first start, as long as it exists. */
export function* defaultProjectId(): Work<string | null> {
  return (yield* all(defaultProject, { name: 'default_project' }))[0]?.id ?? null
}

function checkedPolicy(policy: Policy): Policy {
  const unsupported = (field: string, remedy: string): never => {
    throw new TocsinError('invalid_request', `policy.${field}: not available in this version; ${remedy}.`)
  }
  if (policy.openAfter !== null) unsupported('openAfter', 'leave it out')
  if (policy.resolveStale) unsupported('resolveStale', 'leave it out or false')
  return policy
}

function planOf(plan: Plan | 'business' | undefined): Plan | undefined {
  return plan === 'business' ? 'team' : plan
}

function noProject(): never {
  throw new TocsinError(
    'not_found',
    'project: no such project. List those the key opens at /api/v1/projects.',
  )
}

function toApi(row: Selectable<ProjectTable>): ApiProject {
  const policy = readPolicy(row.policy)
  const { attachWindowMinutes, manualQuietMinutes, resolveGraceSeconds } = effectivePolicy(policy)
  return {
    id: row.id,
    name: row.name,
    plan: row.plan,
    policy: shownPolicy(policy),
    effectivePolicy: { attachWindowMinutes, manualQuietMinutes, resolveGraceSeconds },
    ingestionEnabled: row.ingestion_enabled === 1,
    createdAt: row.created_at,
  }
}

function shownPolicy(policy: Policy): ApiPolicy {
  return {
    ...policy,
    attachWindowMinutes: policy.attachWindowMinutes === 'none' ? null : policy.attachWindowMinutes,
  }
}
