import { hash } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { ApiPostmortem, ApiPostmortemInput } from '../api-types.ts'
import { TocsinError } from '../errors.ts'
import { Picture } from '../matcher/picture.ts'
import { forCustomers } from '../postmortem/audience.ts'
import { check, idsNamed } from '../postmortem/check.ts'
import { type DraftPage, writePage } from '../postmortem/draft.ts'
import { type Findings, findFacts } from '../postmortem/facts.ts'
import { findGaps } from '../postmortem/gaps.ts'
import type { Model, Written } from '../postmortem/model.ts'
import { loadProjects } from '../store/picture.ts'
import {
  idsOfIncident,
  insertPostmortem,
  latestPostmortem,
  postmortemProse,
  postmortemRevision,
  savePostmortemProse,
} from '../store/postmortem.ts'
import type { IncidentTable, PostmortemProseTable, PostmortemTable } from '../store/schema.ts'
import { all, type Work } from '../store/statement.ts'
import { loadStory } from '../store/story.ts'
import type { Caller } from '../tocsin.ts'
import { allow, type Core, change } from './core.ts'
import { incidentRowOf } from './incidents.ts'

/** What of a revision is stored as JSON; the rest are columns. */
type Content = Omit<ApiPostmortem, 'revision' | 'createdAt' | 'createdBy'>

export async function draftPostmortem(
  core: Core,
  caller: Caller,
  projectId: string,
  incident: string,
  { template = 'standard', audience = 'internal', dryRun = false }: ApiPostmortemInput,
): Promise<{ postmortem: ApiPostmortem }> {
  allow(caller, dryRun ? 'incidents:read' : 'incidents:write', projectId)
  const row = await incidentRowOf(core, projectId, incident)
  const page = writePage(await findingsOf(core, row), { template, audience })
  const { draft } = page
  const written =
    core.model === null ? null : await proseOf(core, core.model, row, page, { template, audience, dryRun })
  const content: Content = {
    ...draft,
    template,
    audience,
    markdown: written?.markdown ?? draft.markdown,
    generatedBy: written?.markdown ? 'model' : 'tocsin',
    fallbackReason: written?.fallbackReason ?? null,
    unsupported: [],
  }
  if (!dryRun) return { postmortem: await store(core, caller, row, content) }
  return {
    postmortem: { ...content, revision: null, createdAt: core.now().toISOString(), createdBy: null },
  }
}

export async function getPostmortem(
  core: Core,
  caller: Caller,
  projectId: string,
  incident: string,
  { revision }: { revision?: number },
): Promise<{ postmortem: ApiPostmortem }> {
  allow(caller, 'incidents:read', projectId)
  const { id: incidentId } = await incidentRowOf(core, projectId, incident)
  const [row] =
    revision === undefined
      ? await core.database.query(latestPostmortem, { incidentId })
      : await core.database.query(postmortemRevision, { incidentId, revision })
  if (!row) {
    throw new TocsinError(
      'not_found',
      revision === undefined
        ? 'postmortem: none is stored for this incident. POST to this address to draft one.'
        : 'revision: this post-mortem has no such revision. Leave it out to get the latest.',
    )
  }
  return { postmortem: toApi(row) }
}

export async function savePostmortem(
  core: Core,
  caller: Caller,
  projectId: string,
  incident: string,
  { markdown }: { markdown: string },
): Promise<{ postmortem: ApiPostmortem }> {
  allow(caller, 'incidents:write', projectId)
  const row = await incidentRowOf(core, projectId, incident)
  const findings = await findingsOf(core, row)
  const [latest] = await core.database.query(latestPostmortem, { incidentId: row.id })
  const { template, audience } = latest
    ? toApi(latest)
    : ({ template: 'standard', audience: 'internal' } as const)
  const shown = audience === 'customer' ? forCustomers(findings) : findings
  const content: Content = {
    ...shown,
    template,
    audience,
    markdown,
    generatedBy: 'person',
    fallbackReason: null,
    gaps: findGaps(shown, audience),
    // A person may know more than customers are told, but nothing may be untrue.
    unsupported: check(markdown, findings, await resolving(core, row, idsNamed(markdown))),
  }
  return { postmortem: await store(core, caller, row, content) }
}

/** How long a draft that the model failed stays as it is, for whoever reads it in parts. */
const FAILED_MS = 10 * 60_000

/**
 * The model's page, asked for once: the same facts get the same answer, whoever asks and in how many parts. Where the
 * model failed, who wants to store a draft asks again.
 */
async function proseOf(
  core: Core,
  model: Model,
  { id, project_id }: Selectable<IncidentTable>,
  page: DraftPage,
  { dryRun, ...form }: Required<ApiPostmortemInput>,
): Promise<Written> {
  const key = { incident_id: id, ...form }
  const fingerprint = hash('sha256', JSON.stringify([model.name, page]), 'base64url')
  const kept = (row: PostmortemProseTable | undefined): Written | undefined => {
    if (row?.fingerprint !== fingerprint) return undefined
    const written = JSON.parse(row.written) as Written
    const isFresh = dryRun && core.now().getTime() - Date.parse(row.created_at) < FAILED_MS
    return written.fallbackReason === null || isFresh ? written : undefined
  }
  const before = kept((await core.database.query(postmortemProse, key))[0])
  if (before) return before
  const written = await model.write(page)
  // Kept for whoever asks: no part of a write under an Idempotency-Key.
  return await change({ ...core, once: null }, function* (): Work<Written> {
    if (!(yield* loadProjects(new Picture(), [project_id])).has(project_id)) return written
    // Who asked at the same time and came first has perhaps begun to read.
    const meanwhile = kept((yield* all(postmortemProse, key))[0])
    if (meanwhile) return meanwhile
    yield* savePostmortemProse({
      ...key,
      project_id,
      fingerprint,
      created_at: core.now().toISOString(),
      written: JSON.stringify(written),
    })
    return written
  })
}

async function findingsOf(core: Core, row: Selectable<IncidentTable>): Promise<Findings> {
  return findFacts(await core.database.transaction(() => loadStory(row), { rollback: true }))
}

async function resolving(
  core: Core,
  { id: incidentId, project_id: projectId }: Selectable<IncidentTable>,
  ids: string[],
): Promise<Set<string>> {
  const rows = await core.database.query(idsOfIncident, { projectId, incidentId, ids })
  return new Set(rows.map(({ id }) => id))
}

async function store(
  core: Core,
  caller: Caller,
  { id: incidentId, project_id: projectId }: Selectable<IncidentTable>,
  content: Content,
): Promise<ApiPostmortem> {
  const row = {
    id: core.newId(),
    project_id: projectId,
    incident_id: incidentId,
    created_at: core.now().toISOString(),
    created_by: caller.name,
    content: JSON.stringify(content),
  }
  const stored = await change(core, function* () {
    // Locks the project, whose incident may have gone with it meanwhile.
    if (!(yield* loadProjects(new Picture(), [projectId])).has(projectId))
      throw new TocsinError('not_found', 'project: no such project.')
    return { ...row, revision: yield* insertPostmortem(row) }
  })
  return toApi(stored)
}

function toApi(row: Selectable<PostmortemTable>): ApiPostmortem {
  const content = JSON.parse(row.content) as Content
  return { ...content, revision: row.revision, createdAt: row.created_at, createdBy: row.created_by }
}
