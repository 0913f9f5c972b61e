import type { Insertable } from 'kysely'
import { FROM_THE_START, writeCatchUp } from '../store/catch-up.ts'
import { type EndpointRow, endpointsOfProjects, lockEndpoints } from '../store/endpoint.ts'
import {
  insertMessages,
  lockMessages,
  type MessageRow,
  type NewMessage,
  NO_LANES,
  saveMessages,
} from '../store/message.ts'
import { lockProjects, raiseConfigVersion } from '../store/project.ts'
import type { AttemptTable } from '../store/schema.ts'
import { all, insertRows, isAnyOf, statement, updateRows, type Work } from '../store/statement.ts'
import { disabledBody } from './message-body.ts'
import {
  afterAttempt,
  type Breaker,
  judgeEndpoint,
  lastStartOf,
  nextAttempt,
  pauseOf,
  type RetryPolicyName,
} from './retry-policy.ts'
import { isSuccess, type SendResult } from './send.ts'

/** What attempts come to: written for many at once, in one transaction of the writer queue. */

export interface AttemptOutcome extends SendResult {
  id: string
  /** A commit was tried whose end nobody knows. */
  mayBeStored: boolean
  messageId: string
  endpointId: string
  projectId: string
  token: string
  /** Start and end, in milliseconds. */
  at: number
  endedAt: number
  /** From 0 to 1, for the jitter of what follows. */
  random: number
}

export interface DisabledEndpoint {
  id: string
  projectId: string
  reason: DisabledReason
}

/** `no_success`: for days. `failed`: its policy ends with the first message that fails for good. */
export type DisabledReason = 'by_hand' | 'gone' | 'failed' | 'no_success'

export interface StoredResults {
  disabled: DisabledEndpoint[]
  warned: { id: string; projectId: string }[]
}

export interface ResultContext {
  newId: () => string
  now: string
}

/**
 * Stores what became of attempts, but for what is stored already: the log, the message, its lane, and the endpoint's
 * state. `others` are messages that the transaction goes on with.
 */
export function* storeResults(
  given: readonly AttemptOutcome[],
  late: readonly MessageRow[],
  context: ResultContext,
  others: readonly string[] = [],
): Work<StoredResults> {
  const outcomes = yield* withoutStored(given)
  // Any failure may be the one that switches its endpoint off, of which the project's other endpoints are told.
  yield* lockProjects(outcomes.flatMap((outcome) => (isSuccess(outcome) ? [] : outcome.projectId)))
  const endpointIds = [...outcomes, ...late.map(lateEndpoint)].map((o) => o.endpointId)
  const endpoints = new Map((yield* lockEndpoints(endpointIds)).map((row) => [row.id, { ...row }]))
  const ids = [...outcomes.map((outcome) => outcome.messageId), ...others]
  const messages = new Map((yield* lockMessages(ids)).map((row) => [row.id, { ...row }]))
  const changed = new Map<string, MessageRow>()
  const disabled: DisabledEndpoint[] = []
  const warned: StoredResults['warned'] = []

  for (const outcome of outcomes.toSorted((a, b) => a.endedAt - b.endedAt)) {
    const endpoint = endpoints.get(outcome.endpointId)
    const message = messages.get(outcome.messageId)
    // Deleted since.
    if (!endpoint || !message) continue
    const holds = message.lease_token === outcome.token && message.status === 'pending'
    if (holds) {
      settle(message, endpoint, outcome)
      changed.set(message.id, message)
    }
    const verdict = judge(endpoint, outcome, holds ? message : undefined)
    if (verdict === 'warn') warned.push({ id: endpoint.id, projectId: endpoint.project_id })
    if (verdict !== null && verdict !== 'warn' && endpoint.enabled === 1) {
      endpoint.enabled = 0
      endpoint.disabled_reason = verdict
      disabled.push({ id: endpoint.id, projectId: endpoint.project_id, reason: verdict })
    }
  }
  for (const message of late) {
    changed.set(message.id, {
      ...message,
      status: 'failed',
      reason: 'circuit_open',
      due_at: null,
      lease_token: null,
    })
    const endpoint = endpoints.get(message.endpoint_id)
    if (endpoint) endpoint.failed += 1
  }

  yield* insertRows(
    'attempt',
    outcomes.filter((o) => messages.has(o.messageId) && endpoints.has(o.endpointId)).map(attemptRow),
  )
  yield* saveMessages([...changed.values()], context.now)
  for (const { id, reason } of disabled) {
    // What waits for it is failed in parts (catch-up.ts).
    if (reason === 'gone') yield* writeCatchUp(id, { since: null, after: FROM_THE_START })
  }
  yield* updateRows('endpoint', [...endpoints.values()].map(endpointState))
  for (const { id } of disabled) yield* tellOthers(endpoints.get(id)!, context)
  return { disabled, warned }
}

const attemptsByIds = statement<{ ids: string[] }, { id: string }>((db, p) =>
  db
    .selectFrom('attempt')
    .select('id')
    .where(isAnyOf('attempt.id', p.list('ids'))),
)

function* withoutStored(outcomes: readonly AttemptOutcome[]): Work<readonly AttemptOutcome[]> {
  const doubtful = outcomes.filter(({ mayBeStored }) => mayBeStored)
  if (doubtful.length === 0) return outcomes
  const stored = new Set(
    (yield* all(attemptsByIds, { ids: doubtful.map(({ id }) => id) })).map(({ id }) => id),
  )
  return outcomes.filter(({ id }) => !stored.has(id))
}

/** What an attempt means for its message. */
function settle(message: MessageRow, endpoint: EndpointRow, outcome: AttemptOutcome): void {
  const policy = message.type === 'test' ? 'once' : (endpoint.policy as RetryPolicyName)
  message.attempts += 1
  message.first_attempt_at ??= isoOf(outcome.at)
  message.lease_token = null
  if (isSuccess(outcome)) {
    message.status = 'delivered'
    message.due_at = null
    endpoint.delivered += 1
    return
  }

  // Also what was under way when another answer was 410.
  const isGone = outcome.status === 410 || endpoint.disabled_reason === 'gone'
  const next = isGone
    ? null
    : nextAttempt({
        policy,
        attempts: message.attempts,
        createdAt: Date.parse(message.started_at),
        firstAt: Date.parse(message.first_attempt_at),
        now: outcome.endedAt,
        retryAfterMs: outcome.retryAfterMs,
        random: outcome.random,
      })
  if (next !== null) {
    message.due_at = isoOf(next)
    return
  }
  message.status = 'failed'
  message.reason = isGone ? 'gone' : 'attempts'
  message.due_at = null
  endpoint.failed += 1
}

/** What an attempt means for its endpoint; answers what is to be done about it. */
function judge(
  endpoint: EndpointRow,
  outcome: AttemptOutcome,
  message: MessageRow | undefined,
): DisabledReason | 'warn' | null {
  const policy = endpoint.policy as RetryPolicyName
  const ok = isSuccess(outcome)
  const before = JSON.parse(endpoint.breaker) as Breaker
  const breaker = afterAttempt(before, ok, outcome.endedAt, outcome.random)
  endpoint.breaker = JSON.stringify(breaker)
  endpoint.open_until = breaker.openUntil === null ? null : isoOf(breaker.openUntil)
  endpoint.attempts += 1
  if (ok) {
    endpoint.last_success_at = isoOf(outcome.endedAt)
    endpoint.failing_since = null
    endpoint.warned_at = null
    return null
  }

  endpoint.last_failure_at = isoOf(outcome.endedAt)
  endpoint.failing_since ??= isoOf(outcome.at)
  if ((outcome.status === 429 || outcome.status === 503) && outcome.retryAfterMs !== null) {
    const attempts = message?.attempts ?? 1
    const until = isoOf(outcome.endedAt + pauseOf(policy, attempts, outcome.retryAfterMs))
    if (endpoint.paused_until === null || endpoint.paused_until < until) endpoint.paused_until = until
  }
  if (outcome.status === 410) return 'gone'

  const verdict = judgeEndpoint({
    policy,
    ended: message?.status === 'failed' && message.type !== 'test',
    failingSince: Date.parse(endpoint.failing_since),
    now: outcome.endedAt,
  })
  if (verdict === 'disable') return policy === 'runframe-2h' ? 'failed' : 'no_success'
  if (verdict !== 'warn' || endpoint.warned_at !== null) return null
  endpoint.warned_at = isoOf(outcome.endedAt)
  return 'warn'
}

const projectsByIds = statement<{ ids: string[] }, { id: string; name: string }>((db, p) =>
  db
    .selectFrom('project')
    .select(['id', 'name'])
    .where(isAnyOf('project.id', p.list('ids'))),
)

/**
 * `endpoint.disabled` goes to the other endpoints that asked for it. Every process reads the project anew, which is
 * locked already.
 */
export function* tellOthers(endpoint: EndpointRow, context: ResultContext): Work<void> {
  yield* raiseConfigVersion(endpoint.project_id)
  const [project] = yield* all(projectsByIds, { ids: [endpoint.project_id] })
  if (!project) return
  const others = (yield* endpointsOfProjects([endpoint.project_id])).filter(
    ({ id, filters }) => id !== endpoint.id && filters.events.includes('endpoint.disabled'),
  )
  const { id, description } = endpoint
  // Its path may hold a token, and the others are other people's.
  const url = `${new URL(endpoint.url).origin}/…`
  const body = disabledBody(
    context.now,
    { id, url, description, reason: endpoint.disabled_reason ?? 'by_hand' },
    project,
  )
  yield* insertMessages(
    others.map((other) =>
      newMessage({
        id: context.newId(),
        project_id: project.id,
        endpoint_id: other.id,
        type: 'endpoint.disabled',
        incident_id: null,
        sequence: null,
        body,
        policy: other.policy as RetryPolicyName,
        now: context.now,
      }),
    ),
    NO_LANES,
  )
}

/** A message before its first attempt. */
export function newMessage({
  policy,
  now,
  ...message
}: Pick<NewMessage, 'id' | 'project_id' | 'endpoint_id' | 'type' | 'incident_id' | 'sequence' | 'body'> & {
  policy: RetryPolicyName
  now: string
}): NewMessage {
  return {
    ...message,
    reason: null,
    replay: 0,
    created_at: now,
    started_at: now,
    deadline_at: deadlineOf(policy, now),
    first_attempt_at: null,
    attempts: 0,
    lease_token: null,
  }
}

/** When its last attempt may start at the latest. */
export function deadlineOf(policy: RetryPolicyName, startedAt: string): string | null {
  const at = lastStartOf(policy, Date.parse(startedAt))
  return at === null ? null : isoOf(at)
}

function endpointState(row: EndpointRow): Partial<EndpointRow> {
  const { id, enabled, disabled_reason, breaker, open_until, paused_until, failing_since, warned_at } = row
  const { last_success_at, last_failure_at, delivered, failed, attempts } = row
  return {
    id,
    enabled,
    disabled_reason,
    breaker,
    open_until,
    paused_until,
    failing_since,
    warned_at,
    last_success_at,
    last_failure_at,
    delivered,
    failed,
    attempts,
  }
}

function attemptRow(outcome: AttemptOutcome): Insertable<AttemptTable> {
  return {
    id: outcome.id,
    project_id: outcome.projectId,
    message_id: outcome.messageId,
    at: isoOf(outcome.at),
    response_status: outcome.status,
    duration_ms: outcome.durationMs,
    error: outcome.error,
    // PostgreSQL's text holds no NUL.
    response_body: outcome.excerpt?.replaceAll('\0', '\uFFFD') ?? null,
  }
}

function lateEndpoint(message: MessageRow): { endpointId: string } {
  return { endpointId: message.endpoint_id }
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}
