import type { Selectable } from 'kysely'
import type { ApiAttempt, ApiMessage, ApiMessageQuery, ApiMessageType, ApiReplayRange } from '../api-types.ts'
import { withGap } from '../delivery/message-body.ts'
import { deadlineOf } from '../delivery/results.ts'
import type { RetryPolicyName } from '../delivery/retry-policy.ts'
import { sentHeaders } from '../delivery/worker.ts'
import { TocsinError } from '../errors.ts'
import { type EndpointRow, endpointById, lockEndpoints } from '../store/endpoint.ts'
import { type MessageWithBody, replayMessages } from '../store/message.ts'
import { lockProjects } from '../store/project.ts'
import type { AttemptTable } from '../store/schema.ts'
import { all, statement, type Work } from '../store/statement.ts'
import type { Caller } from '../tocsin.ts'
import { allow, type Core, change, cutPage, readPage } from './core.ts'

/** Ended messages of a range that are sent again in one transaction. */
const REPLAY_AT_ONCE = 200

export async function listMessages(
  core: Core,
  caller: Caller,
  projectId: string,
  endpointId: string,
  query: ApiMessageQuery,
): Promise<{ messages: ApiMessage[]; nextCursor: string | null }> {
  allow(caller, 'endpoints:read', projectId)
  if ((await core.database.query(endpointById, { projectId, id: endpointId })).length === 0) noEndpoint()
  const { limit, after } = readPage(query)
  let found = core.database.read
    .selectFrom('message')
    .innerJoin('message_body', 'message_body.id', 'message.body_id')
    .selectAll('message')
    .select('body')
    .where('endpoint_id', '=', endpointId)
    .orderBy('message.id', 'desc')
    .limit(limit + 1)
  if (query.status) found = found.where('status', 'in', query.status)
  if (query.type) found = found.where('type', 'in', query.type)
  if (query.since !== undefined) found = found.where('created_at', '>=', new Date(query.since).toISOString())
  if (query.until !== undefined) found = found.where('created_at', '<=', new Date(query.until).toISOString())
  if (after !== undefined) found = found.where('message.id', '<', after)
  const { page, nextCursor } = cutPage(await found.execute(), limit)
  return { messages: page.map(messageToApi), nextCursor }
}

const messageById = statement<{ projectId: string; id: string }, MessageWithBody>((db, p) =>
  db
    .selectFrom('message')
    .innerJoin('message_body', 'message_body.id', 'message.body_id')
    .innerJoin('endpoint', 'endpoint.id', 'message.endpoint_id')
    .selectAll('message')
    .select('body')
    .where('message.project_id', '=', p('projectId'))
    .where('message.id', '=', p('id'))
    .where('endpoint.kept_until', 'is', null),
)

const attemptsOfMessage = statement<{ id: string }, Selectable<AttemptTable>>((db, p) =>
  db.selectFrom('attempt').selectAll().where('message_id', '=', p('id')).orderBy('id'),
)

/** Attempts run oldest first. */
export async function getMessage(
  core: Core,
  caller: Caller,
  projectId: string,
  messageId: string,
): Promise<{ message: ApiMessage; attempts: ApiAttempt[] }> {
  allow(caller, 'endpoints:read', projectId)
  const [row] = await core.database.query(messageById, { projectId, id: messageId })
  if (!row) noMessage()
  const attempts = await core.database.query(attemptsOfMessage, { id: messageId })
  return { message: messageToApi(row), attempts: attempts.map((attempt) => attemptToApi(row, attempt)) }
}

export async function replayMessage(
  core: Core,
  caller: Caller,
  projectId: string,
  messageId: string,
): Promise<{ message: ApiMessage }> {
  allow(caller, 'endpoints:write', projectId)
  await change(core, function* (context) {
    yield* lockProjects([projectId])
    const [found] = yield* all(messageById, { projectId, id: messageId })
    if (!found) noMessage()
    const endpoint = yield* endpointOn(projectId, found.endpoint_id)
    // As it is now that nobody else can end it.
    const [row] = yield* all(messageById, { projectId, id: messageId })
    if (!row) noMessage()
    if (row.status === 'pending') {
      throw new TocsinError(
        'conflict',
        'The message is still on its way; its next attempt is at nextAttemptAt.',
      )
    }
    yield* replayMessages([row], context.now, deadlineOf(endpoint.policy as RetryPolicyName, context.now))
    core.onMessages()
  })
  const [row] = await core.database.query(messageById, { projectId, id: messageId })
  return { message: messageToApi(row ?? noMessage()) }
}

/** Every ended message of the range, oldest first. */
export async function replayEndpoint(
  core: Core,
  caller: Caller,
  projectId: string,
  endpointId: string,
  { since, until, status = ['failed'] }: ApiReplayRange,
): Promise<{ replayed: number }> {
  allow(caller, 'endpoints:write', projectId)
  let replayed = 0
  let after = ''
  for (;;) {
    let query = core.database.read
      .selectFrom('message')
      .select(['id', 'endpoint_id', 'incident_id'])
      .where('project_id', '=', projectId)
      .where('endpoint_id', '=', endpointId)
      .where('status', 'in', status)
      .where('id', '>', after)
      .orderBy('id')
      .limit(REPLAY_AT_ONCE)
    if (since !== undefined) query = query.where('created_at', '>=', new Date(since).toISOString())
    if (until !== undefined) query = query.where('created_at', '<=', new Date(until).toISOString())
    const rows = await query.execute()
    const { count, last } = await change(core, function* (context) {
      yield* lockProjects([projectId])
      const endpoint = yield* endpointOn(projectId, endpointId)
      core.onMessages()
      const deadline = deadlineOf(endpoint.policy as RetryPolicyName, context.now)
      return {
        count: yield* replayMessages(rows, context.now, deadline),
        last: rows.length < REPLAY_AT_ONCE ? null : rows.at(-1)!.id,
      }
    })
    replayed += count
    if (last === null) break
    after = last
  }
  return { replayed }
}

export function messageToApi(
  row: Pick<
    MessageWithBody,
    | 'id'
    | 'type'
    | 'endpoint_id'
    | 'incident_id'
    | 'sequence'
    | 'status'
    | 'reason'
    | 'created_at'
    | 'due_at'
    | 'body'
    | 'gap'
  >,
): ApiMessage {
  return {
    id: row.id,
    type: row.type as ApiMessageType,
    endpointId: row.endpoint_id,
    incidentId: row.incident_id,
    sequence: row.sequence,
    status: row.status as ApiMessage['status'],
    reason: row.reason as ApiMessage['reason'],
    createdAt: row.created_at,
    nextAttemptAt: row.due_at,
    requestBody: row.gap === 1 ? withGap(row.body) : row.body,
  }
}

function attemptToApi(message: MessageWithBody, attempt: Selectable<AttemptTable>): ApiAttempt {
  return {
    at: attempt.at,
    requestHeaders: {
      // Those before the last replay were not marked as one.
      ...sentHeaders({ replay: attempt.at < message.started_at ? 0 : message.replay }),
      'webhook-id': message.id,
      'webhook-timestamp': String(Math.floor(Date.parse(attempt.at) / 1000)),
    },
    responseStatus: attempt.response_status,
    durationMs: attempt.duration_ms,
    error: attempt.error,
    responseBody: attempt.response_body,
  }
}

/** The endpoint, held until the transaction ends. */
function* endpointOn(projectId: string, id: string): Work<EndpointRow> {
  yield* lockEndpoints([id])
  const [endpoint] = yield* all(endpointById, { projectId, id })
  if (!endpoint) noEndpoint()
  if (endpoint.enabled === 1) return endpoint
  throw new TocsinError(
    'conflict',
    'The endpoint is switched off. Switch it on with {"enabled": true} first.',
  )
}

function noEndpoint(): never {
  throw new TocsinError('not_found', 'endpoint: no such endpoint in this project.')
}

function noMessage(): never {
  throw new TocsinError('not_found', 'message: no such message in this project, or older than 30 days.')
}
