import {
  type ExpressionBuilder,
  type ExpressionWrapper,
  type Insertable,
  type Kysely,
  type Selectable,
  type SqlBool,
  sql,
} from 'kysely'
import type { HookRequest } from '../types.ts'
import { difference, type EarlierBody, patched } from './earlier-body.ts'
import { idBefore } from './id-time.ts'
import type { HookRequestTable, Schema } from './schema.ts'
import { putBack } from './shared-text.ts'
import { all, run, statement, type Work } from './statement.ts'

/** Rejections of strangers kept per source, so that its owner sees why nothing arrives. */
const MOST_UNAUTHORIZED = 50
/** Bytes kept of a body that was refused. */
const REFUSED_BYTES = 4096

/** Headers worth keeping, besides CloudEvents' own: what tells senders apart and what a replay needs. Everything else may hold a credential. */
const KEPT_HEADERS = new Set([
  'content-type',
  'content-encoding',
  'user-agent',
  'idempotency-key',
  'request-id',
  'sentry-hook-resource',
  'sentry-hook-timestamp',
  'x-webhook-id',
  'webhook-id',
  'webhook-timestamp',
  'x-github-event',
  'x-github-delivery',
  'x-uptimera-event',
  'x-uptimera-event-type',
  'x-uptimera-type',
])

/** Whether a header, by its lower-case name, stays in the log. */
export function isKeptHeader(name: string): boolean {
  return KEPT_HEADERS.has(name) || name.startsWith('ce-')
}

/** What one received request leaves in the log. */
export interface LoggedRequest {
  id: string
  projectId: string
  sourceId: string | null
  status: number
  outcome: string
  reason: string | null
  message: string | null
  rule: string | null
  diagnosis: string | null
  deliveryKey: string | null
  incidentId: string | null
  slotAt: string | null
  slotKind: number | null
  drill: boolean
  /** How much of the body to keep. */
  keep: 'all' | 'start' | 'nothing'
  /** Where all is kept, one it may repeat. */
  earlier?: EarlierBody | null
}

export function hookRequestRow(request: HookRequest, logged: LoggedRequest): Insertable<HookRequestTable> {
  return {
    id: logged.id,
    project_id: logged.projectId,
    source_id: logged.sourceId,
    received_at: request.receivedAt,
    method: request.method,
    path: withoutSecrets(request),
    ip: request.ip === null ? null : logged.reason === 'unauthorized' ? cutAddress(request.ip) : request.ip,
    headers: JSON.stringify(keptHeaders(request)),
    status: logged.status,
    outcome: logged.outcome,
    reason: logged.reason,
    message: logged.message,
    rule: logged.rule,
    diagnosis: logged.diagnosis,
    delivery_key: logged.deliveryKey,
    incident_id: logged.incidentId,
    slot_at: logged.slotAt,
    slot_kind: logged.slotKind,
    drill: Number(logged.drill),
    event_ids: '[]',
    body_size: request.rawBody.length,
    ...keptBody(request.rawBody, logged),
    body_text: null,
    body_text_at: null,
  }
}

function keptBody(
  body: Buffer,
  { keep, earlier }: LoggedRequest,
): Pick<Insertable<HookRequestTable>, 'body' | 'body_like' | 'body_start' | 'body_end'> {
  const whole = { body_like: null, body_start: null, body_end: null }
  if (keep === 'nothing') return { body: null, ...whole }
  if (keep === 'start') return { body: body.subarray(0, REFUSED_BYTES), ...whole }
  const differs = earlier ? difference(earlier.body, body) : null
  if (!earlier || !differs) return { body, ...whole }
  return { body: differs.middle, body_like: earlier.id, body_start: differs.start, body_end: differs.end }
}

/** What putting a body together takes. */
export interface KeptBody
  extends Pick<
    Selectable<HookRequestTable>,
    'body' | 'body_text' | 'body_text_at' | 'body_like' | 'body_start' | 'body_end'
  > {
  /** The shared text cut out of it. */
  text: string | null
  /** The body of the request it is like. */
  earlier: Buffer | null
}

/** The body of a row as it came; null where it is no longer kept. */
export function bodyOf(kept: KeptBody): Buffer | null {
  const { body, body_text: textHash, body_text_at: at, text, earlier } = kept
  if (body === null) return null
  if (kept.body_like !== null) {
    const differs = { middle: Buffer.from(body), start: kept.body_start!, end: kept.body_end! }
    return earlier && patched(Buffer.from(earlier), differs)
  }
  if (textHash === null || at === null) return Buffer.from(body)
  if (text === null) throw new Error(`The text ${textHash} of a body is gone.`)
  return putBack(Buffer.from(body), text, at)
}

/** A query of requests that reads what `bodyOf` needs of each. */
export function withBodies(db: Kysely<Schema>) {
  return db
    .selectFrom('hook_request as r')
    .leftJoin('shared_text as t', (join) =>
      join.onRef('t.project_id', '=', 'r.project_id').onRef('t.hash', '=', 'r.body_text'),
    )
    .leftJoin('hook_request as earlier', (join) =>
      join.onRef('earlier.project_id', '=', 'r.project_id').onRef('earlier.id', '=', 'r.body_like'),
    )
    .select([
      'r.body',
      'r.body_text',
      'r.body_text_at',
      'r.body_like',
      'r.body_start',
      'r.body_end',
      't.text',
      'earlier.body as earlier',
    ])
}

const oldUnauthorized = statement<{ sourceId: string }, unknown>((db, p) =>
  allButNewestUnauthorized(db, ({ and, eb }) => and([eb('source_id', '=', p('sourceId'))])),
)

const oldUnauthorizedOfNone = statement<{ projectId: string }, unknown>((db, p) =>
  allButNewestUnauthorized(db, ({ and, eb }) =>
    and([eb('source_id', 'is', null), eb('project_id', '=', p('projectId'))]),
  ),
)

function allButNewestUnauthorized(
  db: Kysely<Schema>,
  isTheirs: (
    eb: ExpressionBuilder<Schema, 'hook_request'>,
  ) => ExpressionWrapper<Schema, 'hook_request', SqlBool>,
) {
  return db
    .deleteFrom('hook_request')
    .where(isTheirs)
    .where('outcome', '=', sql.lit('rejected'))
    .where('reason', '=', 'unauthorized')
    .where(
      'id',
      '<',
      db
        .selectFrom('hook_request')
        .select('id')
        .where(isTheirs)
        .where('outcome', '=', sql.lit('rejected'))
        .where('reason', '=', 'unauthorized')
        .orderBy('id', 'desc')
        .limit(sql.lit(1))
        .offset(sql.lit(MOST_UNAUTHORIZED - 1)),
    )
}

/** Keeps the last rejections of strangers only: of each source, or of what a project has of no source it can tell. */
export function* trimUnauthorized(
  added: readonly { project_id: string; source_id?: string | null }[],
): Work<void> {
  const sources = added.flatMap(({ source_id }) => source_id ?? [])
  const projects = added.filter(({ source_id }) => source_id == null).map(({ project_id }) => project_id)
  for (const sourceId of [...new Set(sources)].sort()) yield* run(oldUnauthorized, { sourceId })
  for (const projectId of [...new Set(projects)].sort()) yield* run(oldUnauthorizedOfNone, { projectId })
}

const oldOfProject = statement<{ projectId: string; before: string; most: number }, unknown>((db, p) =>
  db
    .deleteFrom('hook_request')
    .where('project_id', '=', p('projectId'))
    .where(
      'id',
      'in',
      db
        .selectFrom('hook_request as old')
        .select('old.id')
        .where('old.project_id', '=', p('projectId'))
        .where('old.id', '<', p('before'))
        .limit(p('most')),
    ),
)

/** Deletes some of a project's requests received before `time`, at most so many; answers how many went. */
export function* forgetRequests(projectId: string, time: number, most: number): Work<number> {
  return yield* run(oldOfProject, { projectId, before: idBefore(time), most })
}

export interface ReplayableRequest extends KeptBody {
  id: string
  source_id: string | null
  received_at: string
  method: string
  path: string
  headers: string
  outcome: string
  status: number
  drill: number
}

const replayable = statement<{ projectId: string; id: string }, ReplayableRequest>((db, p) =>
  withBodies(db)
    .innerJoin('project', 'project.id', 'r.project_id')
    .select([
      'r.id',
      'r.source_id',
      'r.received_at',
      'r.method',
      'r.path',
      'r.headers',
      'r.outcome',
      'r.status',
      'r.drill',
    ])
    .where('r.project_id', '=', p('projectId'))
    .where('r.id', '=', p('id')),
)

export function* requestToReplay(projectId: string, id: string): Work<ReplayableRequest | undefined> {
  return (yield* all(replayable, { projectId, id }))[0]
}

/** The token of a token address is a secret; parameters that look like one are, too. */
function withoutSecrets(request: HookRequest): string {
  const path = request.path
    .replace(/^(\/api\/webhooks\/[^/]+\/)[^/]+/, '$1***')
    .replace(/^(\/webhooks\/)[^/]+/, '$1***')
  if (request.query.size === 0) return path.slice(0, 2000)
  const query = new URLSearchParams(request.query)
  for (const name of new Set(query.keys()))
    if (/secret|token|key|password|auth/i.test(name)) query.set(name, '***')
  return `${path}?${query}`.slice(0, 2000)
}

function keptHeaders(request: HookRequest): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, values] of request.headers) {
    if (isKeptHeader(name)) kept[name] = values.join(', ').slice(0, 500)
  }
  return kept
}

/** Strangers' addresses are kept to the network only. */
function cutAddress(ip: string): string {
  if (ip === 'unknown') return ip
  const v4 = ip.match(/^(?:::ffff:)?(\d+\.\d+\.\d+)\.\d+$/i)
  if (v4) return `${v4[1]}.0/24`
  const [head = '', tail] = ip.replace(/%.*$/, '').split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail ? tail.split(':') : []
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const groups = [...before, ...Array<string>(Math.max(0, zeros)).fill('0'), ...after]
  return `${groups.slice(0, 3).join(':')}::/48`
}
