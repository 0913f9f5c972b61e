import { type Selectable, sql } from 'kysely'
import type { ApiPage, ApiToolCall, ApiToolCallInput } from '../api-types.ts'
import type { AuditTable } from '../store/schema.ts'
import { insertRows, run, statement } from '../store/statement.ts'
import type { Caller } from '../tocsin.ts'
import { allow, type Core, change, cutPage, readPage } from './core.ts'
import { projectRow } from './projects.ts'

const KEPT_DAYS = 90
/** Rows removed at a time, so that no write waits for a cleaning. */
const REMOVED_AT_ONCE = 50

const removeOld = statement<{ before: string }, unknown>((db, p) =>
  db
    .deleteFrom('audit')
    .where(
      'id',
      'in',
      db
        .selectFrom('audit')
        .select('id')
        .where('at', '<', p('before'))
        .orderBy('at')
        .limit(sql.lit(REMOVED_AT_ONCE)),
    ),
)

/** Keeps one call of an assistant's tool, under the name of the key that made it. */
export async function recordToolCall(core: Core, caller: Caller, input: ApiToolCallInput): Promise<void> {
  if (input.projectId !== null) {
    if (caller.projectId !== input.projectId) allow(caller, 'admin', input.projectId)
    await projectRow(core, input.projectId)
  }
  const now = core.now()
  const row: AuditTable = {
    id: core.newId(),
    project_id: input.projectId ?? caller.projectId,
    at: now.toISOString(),
    key_id: caller.keyId,
    key_name: caller.name,
    tool: input.tool,
    arguments: JSON.stringify(input.arguments),
    outcome: input.outcome,
    duration_ms: input.durationMs,
  }
  const before = new Date(now.getTime() - KEPT_DAYS * 24 * 3_600_000).toISOString()
  await change(core, function* () {
    yield* run(removeOld, { before })
    yield* insertRows('audit', [row])
  })
}

export async function listToolCalls(
  core: Core,
  caller: Caller,
  projectId: string,
  page: ApiPage,
): Promise<{ toolCalls: ApiToolCall[]; nextCursor: string | null }> {
  allow(caller, 'admin', projectId)
  await projectRow(core, projectId)
  const { limit, after } = readPage(page)
  let query = core.database.read
    .selectFrom('audit')
    .selectAll()
    .where((eb) =>
      caller.projectId === null
        ? eb.or([eb('project_id', '=', projectId), eb('project_id', 'is', null)])
        : eb('project_id', '=', projectId),
    )
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (after !== undefined) query = query.where('id', '<', after)
  const { page: rows, nextCursor } = cutPage(await query.execute(), limit)
  return { toolCalls: rows.map(toApi), nextCursor }
}

function toApi(row: Selectable<AuditTable>): ApiToolCall {
  return {
    id: row.id,
    at: row.at,
    projectId: row.project_id,
    caller: { keyId: row.key_id, name: row.key_name },
    tool: row.tool,
    arguments: JSON.parse(row.arguments) as Record<string, unknown>,
    outcome: row.outcome,
    durationMs: row.duration_ms,
  }
}
