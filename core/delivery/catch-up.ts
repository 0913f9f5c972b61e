import {
  attemptedAfter,
  type CatchUp,
  dueInLane,
  FROM_THE_START,
  failMessages,
  lockWaiting,
  readCatchUp,
  underWay,
  writeCatchUp,
} from '../store/catch-up.ts'
import { type EndpointRow, lockEndpoints } from '../store/endpoint.ts'
import { idBefore } from '../store/id-time.ts'
import { type MessageRow, saveMessages } from '../store/message.ts'
import { all, allForEach, run, updateRows, type Work } from '../store/statement.ts'
import { deadlineOf } from './results.ts'
import type { RetryPolicyName } from './retry-policy.ts'

/** What a changed endpoint means for the messages that wait for it: in parts, so that a long queue holds up nobody else. */

/** Messages looked at in one transaction. */
const PART = 200

/**
 * Begins it, for an endpoint that is held: a short queue is done with at once, the rest of a long one is noted for the
 * workers. `sendNow`: all that waits goes out, whatever its next attempt was planned for.
 */
export function* beginCatchUp(endpoint: EndpointRow, now: string, sendNow: boolean): Work<void> {
  const before = yield* readCatchUp(endpoint.id)
  const whole = { since: sendNow ? now : (before?.since ?? null), after: FROM_THE_START }
  const left = endpoint.disabled_reason === 'gone' ? whole : (yield* nextPart(endpoint, whole, now)).left
  if (before || left) yield* writeCatchUp(endpoint.id, left)
}

/** Does the next part of what is noted; answers whether there was something to do. */
export function* catchUp(endpointId: string, now: string): Work<boolean> {
  const [endpoint] = yield* lockEndpoints([endpointId])
  const noted = yield* readCatchUp(endpointId)
  if (!noted) return false
  // Of one that was deleted nothing waits any more.
  const { changed, left } = endpoint ? yield* nextPart(endpoint, noted, now) : { changed: 0, left: null }
  yield* writeCatchUp(endpointId, left)
  return changed > 0 || (left !== null && left.after !== FROM_THE_START)
}

interface Part {
  changed: number
  left: CatchUp | null
}

function* nextPart(endpoint: EndpointRow, { since, after }: CatchUp, now: string): Work<Part> {
  const { rows, last } = yield* lockWaiting(endpoint.id, after, PART)
  const left = last && { since, after: last }
  if (endpoint.disabled_reason !== 'gone') {
    return { changed: yield* adjust(endpoint, rows, { since, after }, now), left }
  }
  const changed = yield* failGone(endpoint, rows, now)
  if (left !== null || (yield* all(underWay, { endpoint: endpoint.id })).length === 0)
    return { changed, left }
  // What a worker has left behind that died is failed when its lease ends.
  return { changed, left: { since, after: FROM_THE_START } }
}

/** Fails what is not under way, which ends by its own result; answers how many. */
function* failGone(endpoint: EndpointRow, rows: readonly MessageRow[], now: string): Work<number> {
  const idle = rows.filter(
    ({ lease_token, due_at }) => lease_token === null || (due_at !== null && due_at <= now),
  )
  const last = idle.at(-1)
  if (last === undefined) return 0
  yield* run(failMessages, { ids: idle.map(({ id }) => id), reason: 'gone' })
  // Of no other lane anything is left that is not under way.
  yield* saveMessages([{ ...last, status: 'failed', reason: 'gone', due_at: null, lease_token: null }], now)
  yield* updateRows('endpoint', [{ id: endpoint.id, failed: endpoint.failed + idle.length }])
  return idle.length
}

/** Gives them the deadlines of the endpoint's policy, and sends the first of each lane where that is asked for. */
function* adjust(
  endpoint: EndpointRow,
  rows: readonly MessageRow[],
  { since, after }: CatchUp,
  now: string,
): Work<number> {
  const sent = since === null ? new Set<string>() : yield* toSendNow(endpoint, rows, { since, after }, now)
  const changed = rows.flatMap((row) => {
    const { id, type, started_at, lease_token } = row
    const deadline =
      type === 'test' ? row.deadline_at : deadlineOf(endpoint.policy as RetryPolicyName, started_at)
    const due = sent.has(id) ? since : row.due_at
    // What is due later comes forward to its deadline.
    const isLater = lease_token === null && due !== null && deadline !== null && due > deadline
    const after = { id, deadline_at: deadline, due_at: isLater ? deadline : due }
    return after.deadline_at === row.deadline_at && after.due_at === row.due_at ? [] : [after]
  })
  yield* updateRows('message', changed)
  return changed.length
}

function* toSendNow(
  endpoint: EndpointRow,
  rows: readonly MessageRow[],
  { since, after }: CatchUp & { since: string },
  now: string,
): Work<Set<string>> {
  const idle = rows.filter(({ lease_token }) => lease_token === null)
  const planned = idle.filter(({ due_at }) => due_at !== null && due_at > now)
  const ids = planned.map(({ id }) => id)
  // What was tried since then has had its turn, and waits as its policy says.
  const tried =
    ids.length === 0 ? [] : yield* all(attemptedAfter, { ids, after: idBefore(Date.parse(since) + 1) })
  const isTried = new Set(tried.map(({ message_id }) => message_id))

  // The first of a lane is not due where the one before it was forgotten while the endpoint was off.
  const firsts = rows.filter(({ incident_id, due_at }, index) => {
    const before = index === 0 ? after : rows[index - 1]!
    return due_at === null && incident_id !== null && incident_id !== before.incident_id
  })
  const due = yield* allForEach(
    dueInLane,
    firsts.map(({ incident_id }) => ({ endpoint: endpoint.id, incident: incident_id! })),
  )
  const stuck = firsts.filter((_, index) => due[index]!.length === 0)
  return new Set([...planned.filter(({ id }) => !isTried.has(id)), ...stuck].map(({ id }) => id))
}
