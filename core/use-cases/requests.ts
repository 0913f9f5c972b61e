import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import type { ApiOutcome, ApiReceived, ApiRequest, ApiRequestDetail, ApiRequestQuery } from '../api-types.ts'
import { type ReceiveCommand, type ReceiveResult, receiveAlone } from '../commands.ts'
import { TocsinError } from '../errors.ts'
import { bodyOf, requestToReplay, withBodies } from '../store/hook-request.ts'
import type { EventTable, HookRequestTable } from '../store/schema.ts'
import { isAnyOf, statement } from '../store/statement.ts'
import type { Caller } from '../tocsin.ts'
import type { HookRequest } from '../types.ts'
import { allow, type Core, cutPage, readPage } from './core.ts'
import { eventToApi } from './events.ts'
import { projectRow } from './projects.ts'

type ListedRow = Omit<
  Selectable<HookRequestTable>,
  | 'body'
  | 'body_text'
  | 'body_text_at'
  | 'body_like'
  | 'body_start'
  | 'body_end'
  | 'slot_at'
  | 'slot_kind'
  | 'drill'
  | 'event_ids'
> & {
  body_kept: number | null
}

const LISTED = [
  'r.id',
  'r.project_id',
  'r.source_id',
  'r.received_at',
  'r.method',
  'r.path',
  'r.ip',
  'r.headers',
  'r.status',
  'r.outcome',
  'r.reason',
  'r.message',
  'r.rule',
  'r.diagnosis',
  'r.delivery_key',
  'r.incident_id',
  'r.body_size',
] as const

const BODY_KEPT = sql<number | null>`length(r.body)`.as('body_kept')

export async function listRequests(
  core: Core,
  caller: Caller,
  projectId: string,
  filter: ApiRequestQuery,
): Promise<{ requests: ApiRequest[]; nextCursor: string | null }> {
  allow(caller, 'sources:read', projectId)
  await projectRow(core, projectId)
  const { limit, after } = readPage(filter)
  let query = core.database.read
    .selectFrom('hook_request as r')
    .select([...LISTED, BODY_KEPT])
    .where('r.project_id', '=', projectId)
    .orderBy('r.id', 'desc')
    .limit(limit + 1)
  if (after !== undefined) query = query.where('r.id', '<', after)
  if (filter.source !== undefined) query = query.where('r.source_id', '=', filter.source)
  if (filter.outcome) query = query.where('r.outcome', 'in', filter.outcome)
  if (filter.status) query = query.where('r.status', 'in', filter.status)
  if (filter.since !== undefined)
    query = query.where('r.received_at', '>=', new Date(filter.since).toISOString())
  const { page, nextCursor } = cutPage(await query.execute(), limit)
  return { requests: page.map(toApi), nextCursor }
}

const eventsByIds = statement<{ ids: string[] }, Selectable<EventTable>>((db, p) =>
  db
    .selectFrom('event')
    .selectAll()
    .where(isAnyOf('event.id', p.list('ids')))
    .orderBy('id'),
)

export async function getRequest(
  core: Core,
  caller: Caller,
  projectId: string,
  id: string,
): Promise<{ request: ApiRequestDetail }> {
  allow(caller, 'sources:read', projectId)
  const row = await withBodies(core.database.read)
    .innerJoin('project', 'project.id', 'r.project_id')
    .select([...LISTED, 'r.event_ids', BODY_KEPT])
    .where('r.project_id', '=', projectId)
    .where('r.id', '=', id)
    .executeTakeFirst()
  if (!row) noRequest()
  const ids = JSON.parse(row.event_ids) as string[]
  const events = await core.database.query(eventsByIds, { ids })
  const body = bodyOf(row)
  const text = body && readUtf8(body)
  return {
    request: {
      ...toApi(row),
      headers: JSON.parse(row.headers) as Record<string, string>,
      body: text ?? body?.toString('base64') ?? null,
      bodyEncoding: text !== null ? 'utf8' : body && 'base64',
      events: events.map(eventToApi),
    },
  }
}

/** Runs a kept request again (D7): its arrival stays what it was, and what was accepted before takes no slot. */
export async function replayRequest(
  core: Core,
  caller: Caller,
  projectId: string,
  id: string,
  { dryRun }: { dryRun?: boolean },
): Promise<ApiReceived> {
  allow(caller, 'sources:write', projectId)
  const row = await core.database.transaction(() => requestToReplay(projectId, id), { rollback: true })
  if (!row) noRequest()
  const body = bodyOf(row)
  if (body === null || row.source_id === null || row.outcome === 'rejected') {
    throw new TocsinError(
      'conflict',
      'The request was refused or its body is no longer kept; it cannot be replayed.',
    )
  }
  const cut = row.path.indexOf('?')
  const request: HookRequest = {
    method: row.method,
    path: cut < 0 ? row.path : row.path.slice(0, cut),
    query: new URLSearchParams(cut < 0 ? '' : row.path.slice(cut + 1)),
    headers: new Map(
      Object.entries(JSON.parse(row.headers) as Record<string, string>).map(([name, value]) => [
        name,
        [value],
      ]),
    ),
    rawBody: body,
    receivedAt: row.received_at,
    ip: null,
  }
  const {
    requestId: _,
    echo: __,
    ...answer
  } = await core.receive(
    request,
    { kind: 'project', projectId, adapter: '', sourceId: row.source_id },
    undefined,
    {
      drill: row.drill === 1,
      // What a filter excluded was answered 2xx, but nothing of it was taken.
      replay: {
        requestId: id,
        sourceId: row.source_id,
        wasAccepted: row.outcome !== 'parked' && row.outcome !== 'filtered',
      },
      ...(dryRun && { dryRun: (command: ReceiveCommand) => decideOnly(core, command) }),
    },
  )
  return answer
}

/** Decides in a transaction that is rolled back. */
function decideOnly(core: Core, command: ReceiveCommand): Promise<ReceiveResult> {
  return core.database.transaction(() => receiveAlone(command, core.context()), { rollback: true })
}

function toApi(row: ListedRow): ApiRequest {
  return {
    id: row.id,
    receivedAt: row.received_at,
    sourceId: row.source_id,
    method: row.method,
    path: row.path,
    ip: row.ip,
    status: row.status,
    outcome: row.outcome as ApiOutcome,
    reason: row.reason,
    message: row.message,
    rule: row.rule,
    diagnosis: row.diagnosis,
    deliveryKey: row.delivery_key,
    incidentId: row.incident_id,
    bodySize: row.body_size,
    replayable: row.outcome !== 'rejected' && row.body_kept !== null && row.source_id !== null,
  }
}

function readUtf8(body: Buffer): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body)
    // Text is what people and other programs can take in.
    return text.includes('\0') ? null : text
  } catch {
    return null
  }
}

function noRequest(): never {
  throw new TocsinError('not_found', 'request: no such request in this project.')
}
