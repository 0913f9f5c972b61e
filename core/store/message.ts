import { type Insertable, type Selectable, sql } from 'kysely'
import { idBefore } from './id-time.ts'
import { laneKey } from './outbox.ts'
import type { MessageTable } from './schema.ts'
import {
  all,
  allForEach,
  insertRows,
  isAnyOf,
  run,
  statement,
  together,
  updateRows,
  type Work,
} from './statement.ts'

/**
 * The outbox as a queue. A lane is (endpoint, incident): of its pending messages only the first has a `due_at`. A claim
 * moves `due_at` to the end of its lease, so a worker that died gives its messages back by doing nothing.
 */

export type MessageRow = Selectable<MessageTable>
export type MessageWithBody = MessageRow & { body: string }
export type NewMessage = Omit<Insertable<MessageTable>, 'due_at' | 'status' | 'gap' | 'body_id'> & {
  body: string
}

// ---- putting in ----

const pendingInLanes = statement<
  { endpoints: string[]; incidents: string[] },
  { endpoint_id: string; incident_id: string }
>((db, p) =>
  db
    .selectFrom('message')
    .select(['endpoint_id', 'incident_id'])
    .where(isAnyOf('endpoint_id', p.list('endpoints')))
    .where(isAnyOf('incident_id', p.list('incidents')))
    .where('status', '=', sql.lit('pending'))
    // Who wants one that waits has the one before it (see project.ts).
    .orderBy(sql`due_at is null`)
    .orderBy('id')
    .$narrowType<{ incident_id: string }>()
    // A worker that ends the last of a lane right now either sees the new message, or is seen here.
    .forUpdate(),
)

/** How the newest ended message of each lane ended, each found by one look into the index. */
export const endedLanes = statement<
  { endpoints: string[]; incidents: string[] },
  { endpoint_id: string; incident_id: string; status: string | null }
>(
  (_db, p) => sql<{ endpoint_id: string; incident_id: string; status: string | null }>`
    select endpoint.id as endpoint_id, incident.id as incident_id, (
      select status from message
      where endpoint_id = endpoint.id and incident_id = incident.id and status <> 'pending'
      order by sequence desc, message.id desc limit 1
    ) as status
    from endpoint join incident on incident.project_id = endpoint.project_id
    where ${isAnyOf('endpoint.id', p.list('endpoints'))} and ${isAnyOf('incident.id', p.list('incidents'))}`,
)

/** What is known of lanes that new messages go to, by `laneKey`. */
export interface Lanes {
  /** With messages waiting; they keep waiting until the transaction ends. */
  waiting: ReadonlySet<string>
  /** With messages that ended. */
  ended: ReadonlySet<string>
  /** The last of those failed for good. */
  broken: ReadonlySet<string>
}

/** For messages that are alone in no lane. */
export const NO_LANES: Lanes = { waiting: new Set(), ended: new Set(), broken: new Set() }

/** `known`: those of the incidents that may have had messages before. */
export function* readLanes(endpoints: string[], incidents: string[], known: string[]): Work<Lanes> {
  const waiting = yield* all(pendingInLanes, { endpoints, incidents })
  // Looked at after the lock: a message that was just ending is seen in one of the two.
  const lanes = known.length === 0 ? [] : yield* all(endedLanes, { endpoints, incidents: known })
  const ended = lanes.filter((lane) => lane.status !== null)
  return {
    waiting: new Set(waiting.map(keyOf)),
    ended: new Set(ended.map(keyOf)),
    broken: new Set(ended.filter((lane) => lane.status === 'failed').map(keyOf)),
  }
}

function keyOf(lane: { endpoint_id: string; incident_id: string }): string {
  return laneKey(lane.endpoint_id, lane.incident_id)
}

/** Puts in new messages, in the order of their lanes; answers how many. */
export function* insertMessages(messages: readonly NewMessage[], lanes: Lanes): Work<number> {
  const waiting = new Set(lanes.waiting)
  // One transition says the same to every endpoint.
  const bodies = new Map<string, { id: string; project_id: string; body: string }>()
  const rows = messages.map(({ body, ...message }) => {
    const { id, project_id } = message
    const key = `${project_id} ${body}`
    if (!bodies.has(key)) bodies.set(key, { id, project_id, body })
    return { ...message, body_id: bodies.get(key)!.id }
  })
  yield* insertRows('message_body', [...bodies.values()])
  return yield* insertRows(
    'message',
    rows.map((message) => {
      const lane = message.incident_id == null ? null : laneKey(message.endpoint_id, message.incident_id)
      const isFirst = lane === null || !waiting.has(lane)
      const gap = Number(lane !== null && isFirst && lanes.broken.has(lane))
      if (lane !== null) waiting.add(lane)
      return { ...message, gap, status: 'pending', due_at: isFirst ? message.created_at : null }
    }),
  )
}

// ---- claiming ----

export interface DueEndpoint {
  id: string
  project_id: string
  open_until: string | null
  paused_until: string | null
  failing_since: string | null
}

/**
 * Endpoints with something to send, by id from one on, each found by one look into the index, however long its queue
 * is. Those left in peace are among them only with a last attempt that may wait no longer.
 */
export const dueEndpoints = statement<{ now: string; after: string; limit: number }, DueEndpoint>(
  (_db, p) => sql<DueEndpoint>`
    with recursive queue(id) as (
      select (
        select endpoint_id from message
        where due_at is not null and endpoint_id > ${p('after')} order by endpoint_id limit 1
      )
      union all
      select (
        select endpoint_id from message
        where due_at is not null and endpoint_id > queue.id order by endpoint_id limit 1
      ) from queue where queue.id is not null
    )
    select endpoint.id, endpoint.project_id, endpoint.open_until, endpoint.paused_until, endpoint.failing_since
    from queue join endpoint on endpoint.id = queue.id
    where endpoint.enabled = 1 and case
      when endpoint.open_until > ${p('now')} or endpoint.paused_until > ${p('now')} then exists (
        select 1 from message
        where endpoint_id = queue.id and deadline_at <= ${p('now')} and due_at <= ${p('now')}
      )
      else exists (select 1 from message where endpoint_id = queue.id and due_at <= ${p('now')})
    end
    limit ${p('limit')}`,
)

/** How many messages of each endpoint are under way. */
export const leasedCounts = statement<{ ids: string[]; now: string }, { endpoint_id: string; count: number }>(
  (db, p) =>
    db
      .selectFrom('message')
      .select(['endpoint_id', (eb) => eb.fn.countAll<number>().as('count')])
      .where(isAnyOf('endpoint_id', p.list('ids')))
      .where('lease_token', 'is not', null)
      .where('due_at', '>', p('now'))
      .groupBy('endpoint_id'),
)

const lockDueEndpoints = statement<{ ids: string[] }, DueEndpoint>((db, p) =>
  db
    .selectFrom('endpoint')
    .select(['id', 'project_id', 'open_until', 'paused_until', 'failing_since'])
    .where(isAnyOf('endpoint.id', p.list('ids')))
    .where('enabled', '=', 1)
    .orderBy('id')
    .forUpdate()
    // Another worker that is claiming from it right now may have it.
    .skipLocked(),
)

/** The messages of one endpoint that may be sent, the longest due first. */
export const dueMessages = statement<{ endpoint: string; now: string; limit: number }, { id: string }>(
  (db, p) =>
    db
      .selectFrom('message')
      .select('id')
      .where('endpoint_id', '=', p('endpoint'))
      .where('due_at', '<=', p('now'))
      .orderBy('due_at')
      .orderBy('id')
      .limit(p('limit'))
      .forUpdate()
      .skipLocked(),
)

/** Those of an endpoint left in peace whose last attempt may wait no longer. */
export const lastCalls = statement<
  { endpoint: string; now: string; limit: number },
  { id: string; deadline_at: string }
>((db, p) =>
  db
    .selectFrom('message')
    .select(['id', 'deadline_at'])
    .where('endpoint_id', '=', p('endpoint'))
    .where('deadline_at', '<=', p('now'))
    .where('due_at', '<=', p('now'))
    .orderBy('deadline_at')
    .orderBy('id')
    .limit(p('limit'))
    .$narrowType<{ deadline_at: string }>()
    .forUpdate()
    .skipLocked(),
)

const lease = statement<{ ids: string[]; token: string; until: string }, unknown>((db, p) =>
  db
    .updateTable('message')
    .set({ lease_token: p('token'), due_at: p('until') })
    .where(isAnyOf('message.id', p.list('ids'))),
)

export interface ClaimedMessage extends MessageWithBody {
  url: string
  policy: string
  signature: string | null
  /** Of its endpoint. */
  failing_since: string | null
}

const claimedByIds = statement<{ ids: string[] }, ClaimedMessage>((db, p) =>
  db
    .selectFrom('message')
    .innerJoin('endpoint', 'endpoint.id', 'message.endpoint_id')
    .innerJoin('message_body', 'message_body.id', 'message.body_id')
    .selectAll('message')
    .select(['message_body.body', 'endpoint.url', 'endpoint.policy', 'endpoint.signature'])
    .select('endpoint.failing_since')
    .where(isAnyOf('message.id', p.list('ids')))
    .orderBy('message.id'),
)

/** Places that several endpoints share. */
export interface Room {
  left: number
}

/** What an endpoint may take of the places that are free. */
export interface Standing {
  /** Each of its messages takes one place of all of these. */
  rooms: readonly Room[]
  /** Of a slow one: the lower, the longer ago it had its turn. Null: it takes its turn in the round. */
  slowSince: number | null
}

export interface ClaimOptions {
  now: string
  /** End of the lease. */
  until: string
  token: string
  /** What this worker can take. */
  free: number
  perEndpoint: number
  /** The endpoint served last: the next ones have their turn first. */
  after: string
  /** A last attempt that could not be made until then fails. */
  lastCallUntil: string
  /** Unless told, all stand alike. */
  standingOf?: (endpoint: DueEndpoint) => Standing
}

export interface Claim {
  claimed: ClaimedMessage[]
  /** Last attempts that could not be made in time: to be failed. */
  late: MessageRow[]
  /** The endpoint whose turn was last. */
  after: string
}

/** Takes messages to send, in turns over the endpoints. */
export function* claimMessages(options: ClaimOptions): Work<Claim> {
  const { now, free, perEndpoint, lastCallUntil } = options
  // More than can be served: another worker may hold some, and the places of others may be taken.
  const { candidates, end } = yield* findCandidates(options, free + SPARE_CANDIDATES)
  const ids = candidates.map(({ id }) => id)
  const locked = ids.length === 0 ? [] : yield* all(lockDueEndpoints, { ids })
  if (locked.length === 0) return { claimed: [], late: [], after: end }

  // Counted under the lock, so that no two workers fill the same place.
  const counts = yield* all(leasedCounts, { ids: locked.map(({ id }) => id), now })
  const leased = new Map(counts.map((row) => [row.endpoint_id, row.count]))
  const byId = new Map(locked.map((endpoint) => [endpoint.id, endpoint]))
  const held = candidates.flatMap(({ id }) => byId.get(id) ?? [])
  const roomsOf = new Map(candidates.map(({ id, rooms }) => [id, rooms]))
  const failing = held.filter((endpoint) => endpoint.failing_since !== null || isLeftInPeace(endpoint, now))
  const places = ({ id }: DueEndpoint, most: number) =>
    Math.max(0, Math.min(most - (leased.get(id) ?? 0), free))

  const open = held.flatMap((endpoint) => {
    // Until its next success it gets one place: a receiver that hangs must not hold the places of the others.
    const limit = places(
      endpoint,
      endpoint.failing_since === null && endpoint.open_until === null ? perEndpoint : 1,
    )
    return isLeftInPeace(endpoint, now) || limit === 0 ? [] : [{ endpoint: endpoint.id, now, limit }]
  })
  const overdue = yield* allForEach(
    lastCalls,
    failing.map(({ id }) => ({ endpoint: id, now, limit: MOST_LAST_CALLS })),
  )
  const isLate = (endpoint: DueEndpoint, message: { deadline_at: string }) =>
    isLeftInPeace(endpoint, now) && message.deadline_at <= lastCallUntil
  const late = overdue.flatMap((messages, index) =>
    messages.filter((message) => isLate(failing[index]!, message)),
  )
  // A last attempt waits for no other.
  const last = new Map(
    overdue.map((messages, index) => {
      const endpoint = failing[index]!
      const inTime = messages.filter((message) => !isLate(endpoint, message))
      return [endpoint.id, inTime.slice(0, places(endpoint, perEndpoint))]
    }),
  )

  // No more endpoints are asked than there are places; each mostly has one, as it was found to be due.
  const found = new Map<string, { id: string }[]>()
  const asked: (readonly Room[])[] = []
  for (let missing = free, rest = open; missing > 0; ) {
    const next = takePlaces(rest, missing, ({ endpoint }) => roomsOf.get(endpoint)!)
    if (next.length === 0) break
    const taken = new Set(next)
    rest = rest.filter((one) => !taken.has(one))
    for (const [index, messages] of (yield* allForEach(dueMessages, next)).entries()) {
      const { endpoint } = next[index]!
      found.set(endpoint, messages)
      if (messages.length === 0) giveBack(roomsOf.get(endpoint)!)
      else {
        asked.push(roomsOf.get(endpoint)!)
        missing -= 1
      }
    }
  }
  for (const rooms of asked) giveBack(rooms)
  const lists = held.map(({ id }) => ({
    messages: last.get(id)?.length ? last.get(id)! : (found.get(id) ?? []),
    rooms: roomsOf.get(id)!,
  }))
  const chosen = inTurns(lists, free)
  if (chosen.length > 0) yield* run(lease, { ids: chosen, token: options.token, until: options.until })
  const claimed = chosen.length > 0 ? yield* all(claimedByIds, { ids: chosen }) : []
  const lastServed = candidates.findLast(({ id }) => claimed.some((message) => message.endpoint_id === id))
  return {
    claimed,
    late: yield* lockMessages(late.map(({ id }) => id)),
    after: lastServed?.at ?? end,
  }
}

interface Candidate {
  id: string
  /** Where it stands in the round. */
  at: string
  rooms: readonly Room[]
}

/**
 * Endpoints that may have a place, in the order of their turns. Those that may have none now, and slow ones, are looked
 * past: there may be thousands before one that is well. Answers also how far it has looked.
 */
function* findCandidates(
  { now, after, standingOf = () => ({ rooms: [], slowSince: null }) }: ClaimOptions,
  most: number,
): Work<{ candidates: Candidate[]; end: string }> {
  const seen: (Standing & { endpoint: DueEndpoint })[] = []
  let prompt = 0
  let from = after
  let isAnew = false
  for (let looks = 0; prompt < most && looks < MOST_LOOKS; looks++) {
    const limit = looks < 2 ? most - prompt : LONG_LOOK
    const page = yield* all(dueEndpoints, { now, after: from, limit })
    for (const endpoint of page) {
      if (prompt === most || (isAnew && endpoint.id > after)) break
      const standing = standingOf(endpoint)
      seen.push({ ...standing, endpoint })
      if (standing.slowSince === null && hasPlace(standing.rooms)) prompt += 1
    }
    from = page.at(-1)?.id ?? ''
    if (page.length < limit || (isAnew && from > after)) {
      if (isAnew) break
      isAnew = true
      from = ''
    }
  }
  return { candidates: inOrder(seen, now, most), end: seen.at(-1)?.endpoint.id ?? after }
}

/** Of the slow ones those that have waited longest have the turns: the round may begin at the same one each time. */
function inOrder(
  seen: readonly (Standing & { endpoint: DueEndpoint })[],
  now: string,
  most: number,
): Candidate[] {
  const slow = seen
    .filter(({ rooms, slowSince }) => slowSince !== null && hasPlace(rooms))
    .toSorted((a, b) => a.slowSince! - b.slowSince!)
    .slice(0, most)
  let spare = SPARE_CANDIDATES
  return seen.flatMap(({ endpoint, rooms, slowSince }): Candidate[] => {
    const at = endpoint.id
    if (hasPlace(rooms)) {
      const one = slowSince === null ? { endpoint, rooms } : slow.shift()
      return one ? [{ id: one.endpoint.id, at, rooms: one.rooms }] : []
    }
    // Without a place a last attempt may still be too late.
    if (!isLeftInPeace(endpoint, now) || spare === 0) return []
    spare -= 1
    return [{ id: at, at, rooms }]
  })
}

/** Looked at beyond those that can be served. */
const SPARE_CANDIDATES = 20
/** Looks into the index per claim; all but the first are needed only where few have something to send, or many are slow. */
const MOST_LOOKS = 5
const LONG_LOOK = 500
/** Looked at per endpoint and claim. */
const MOST_LAST_CALLS = 200

export function isLeftInPeace(endpoint: DueEndpoint, now: string): boolean {
  const { open_until, paused_until } = endpoint
  return (open_until !== null && open_until > now) || (paused_until !== null && paused_until > now)
}

/** One of each list, then the next of each, up to the limit and as far as their rooms go. */
function inTurns(
  lists: readonly { messages: readonly { id: string }[]; rooms: readonly Room[] }[],
  limit: number,
): string[] {
  const ids: string[] = []
  for (let round = 0; ids.length < limit; round++) {
    const inRound = lists.flatMap(({ messages, rooms }) => {
      const message = messages[round]
      return message ? [{ id: message.id, rooms }] : []
    })
    if (inRound.length === 0) break
    ids.push(...takePlaces(inRound, limit - ids.length, ({ rooms }) => rooms).map(({ id }) => id))
  }
  return ids
}

function hasPlace(rooms: readonly Room[]): boolean {
  return rooms.every(({ left }) => left > 0)
}

/** The first of them for which there is room, and takes it. */
function takePlaces<T>(all: readonly T[], limit: number, roomsOf: (one: T) => readonly Room[]): T[] {
  const taken: T[] = []
  for (const one of all) {
    if (taken.length === limit) break
    const rooms = roomsOf(one)
    if (!hasPlace(rooms)) continue
    for (const room of rooms) room.left -= 1
    taken.push(one)
  }
  return taken
}

function giveBack(rooms: readonly Room[]): void {
  for (const room of rooms) room.left += 1
}

// ---- holding and giving back ----

const extend = statement<{ ids: string[]; tokens: string[]; until: string }, unknown>((db, p) =>
  db
    .updateTable('message')
    .set({ due_at: p('until') })
    .where(isAnyOf('message.id', p.list('ids')))
    .where(isAnyOf('lease_token', p.list('tokens'))),
)

/** Prolongs leases that are still held, of messages that are locked. */
export function* extendLeases(held: { ids: string[]; tokens: string[] }, until: string): Work<number> {
  return held.ids.length === 0 ? 0 : yield* run(extend, { ...held, until })
}

const release = statement<{ ids: string[]; tokens: string[]; now: string }, unknown>((db, p) =>
  db
    .updateTable('message')
    .set({ due_at: p('now'), lease_token: null })
    .where(isAnyOf('message.id', p.list('ids')))
    .where(isAnyOf('lease_token', p.list('tokens'))),
)

/** Gives back what was not sent. */
export function* releaseLeases(held: { ids: string[]; tokens: string[] }, now: string): Work<number> {
  yield* lockMessages(held.ids)
  return held.ids.length === 0 ? 0 : yield* run(release, { ...held, now })
}

// ---- ending ----

const lockedByIds = statement<{ ids: string[] }, MessageRow>((db, p) =>
  db
    .selectFrom('message')
    .selectAll()
    .where(isAnyOf('message.id', p.list('ids')))
    .orderBy('id')
    .forUpdate(),
)

/** These messages, held until the transaction ends. */
export function* lockMessages(ids: readonly string[]): Work<MessageRow[]> {
  return ids.length === 0 ? [] : yield* all(lockedByIds, { ids: [...new Set(ids)].sort() })
}

const releaseNext = statement<{ endpoint: string; incident: string; now: string; gap: number }, unknown>(
  (db, p) =>
    db
      .updateTable('message')
      .set({ due_at: p('now'), gap: p('gap') })
      .where(
        'id',
        '=',
        db
          .selectFrom('message')
          .select('id')
          .where('endpoint_id', '=', p('endpoint'))
          .where('incident_id', '=', p('incident'))
          .where('status', '=', sql.lit('pending'))
          .orderBy('sequence')
          .orderBy('id')
          .limit(sql.lit(1)),
      )
      .where('due_at', 'is', null),
)

/** Writes what became of messages, and lets the next of their lanes go. */
export function* saveMessages(messages: readonly MessageRow[], now: string): Work<void> {
  if (messages.length === 0) return
  yield* updateRows(
    'message',
    messages.map(({ id, status, reason, attempts, first_attempt_at, due_at, lease_token }) => ({
      id,
      status,
      reason,
      attempts,
      first_attempt_at,
      due_at,
      lease_token,
    })),
  )
  const ended = messages.filter((message) => message.status !== 'pending' && message.incident_id !== null)
  yield* together(
    ...ended.map((message) =>
      run(releaseNext, {
        endpoint: message.endpoint_id,
        incident: message.incident_id!,
        now,
        gap: Number(message.status === 'failed'),
      }),
    ),
  )
}

// ---- again by hand ----

const setPending = statement<{ ids: string[]; now: string; deadline: string | null }, unknown>((db, p) =>
  db
    .updateTable('message')
    .set({
      status: sql.lit('pending'),
      reason: null,
      replay: sql.lit(1),
      attempts: sql.lit(0),
      first_attempt_at: null,
      started_at: p('now'),
      deadline_at: p('deadline'),
      due_at: sql<string | null>`case when incident_id is null then ${p('now')} end`,
      lease_token: null,
    })
    .where(isAnyOf('message.id', p.list('ids')))
    .where('status', '<>', sql.lit('pending')),
)

const holdLane = statement<{ endpoint: string; incident: string }, unknown>((db, p) =>
  db
    .updateTable('message')
    .set({ due_at: null })
    .where('endpoint_id', '=', p('endpoint'))
    .where('incident_id', '=', p('incident'))
    .where('status', '=', sql.lit('pending'))
    .where('lease_token', 'is', null),
)

const leasedInLane = statement<{ endpoint: string; incident: string }, { id: string }>((db, p) =>
  db
    .selectFrom('message')
    .select('id')
    .where('endpoint_id', '=', p('endpoint'))
    .where('incident_id', '=', p('incident'))
    .where('status', '=', sql.lit('pending'))
    .where('lease_token', 'is not', null)
    // A worker that ends it right now either sees what is replayed behind it, or has ended it.
    .forUpdate(),
)

/** Sends ended messages again, with the same ids and in the order of their lanes; answers how many. */
export function* replayMessages(
  messages: readonly Pick<MessageRow, 'id' | 'endpoint_id' | 'incident_id'>[],
  now: string,
  deadline: string | null,
): Work<number> {
  if (messages.length === 0) return 0
  const count = yield* run(setPending, { ids: messages.map(({ id }) => id), now, deadline })
  const lanes = new Map(
    messages
      .filter((message) => message.incident_id !== null)
      .map((message) => [
        laneKey(message.endpoint_id, message.incident_id!),
        { endpoint: message.endpoint_id, incident: message.incident_id! },
      ]),
  )
  for (const lane of lanes.values()) {
    yield* run(holdLane, lane)
    // The one under way lets the next go when it ends.
    if ((yield* all(leasedInLane, lane)).length === 0) yield* run(releaseNext, { ...lane, now, gap: 0 })
  }
  return count
}

// ---- forgetting ----

/** How long messages and their attempts are kept. */
export const RETENTION_MS = 30 * 24 * 3_600_000
const FORGET_AT_ONCE = 500

const oldMessages = statement<{ before: string }, unknown>((db, p) =>
  db.deleteFrom('message').where(
    'id',
    'in',
    db
      .selectFrom('message')
      .select('id')
      .where('id', '<', p('before'))
      // What is still on its way comes to its end first: its lane waits for it.
      .where(({ or, eb, exists, selectFrom }) =>
        or([
          eb('status', '<>', sql.lit('pending')),
          exists(
            selectFrom('endpoint')
              .select('endpoint.id')
              .whereRef('endpoint.id', '=', 'message.endpoint_id')
              .where('endpoint.enabled', '=', sql.lit(0)),
          ),
        ]),
      )
      .limit(sql.lit(FORGET_AT_ONCE)),
  ),
)

const oldAttempts = statement<{ before: string }, unknown>((db, p) =>
  db
    .deleteFrom('attempt')
    .where(
      'id',
      'in',
      db.selectFrom('attempt').select('id').where('id', '<', p('before')).limit(sql.lit(FORGET_AT_ONCE)),
    ),
)

const oldBodies = statement<{ before: string; made: string }, unknown>((db, p) =>
  db.deleteFrom('message_body').where(
    'id',
    'in',
    db
      .selectFrom('message_body')
      .select('id')
      .where('id', '<', p('made'))
      // The few old messages that are still on their way.
      .where('id', 'not in', db.selectFrom('message').select('body_id').where('id', '<', p('before')))
      .limit(sql.lit(FORGET_AT_ONCE)),
  ),
)

/** Deletes a part of what is older; ids tell their time. Answers whether that was all of it. */
export function* forgetBefore(time: number): Work<{ isAll: boolean }> {
  const before = idBefore(time)
  const gone = [yield* run(oldMessages, { before }), yield* run(oldAttempts, { before })]
  // After the messages that have them; the last of those is made a moment after its body.
  if (gone[0]! < FORGET_AT_ONCE) gone.push(yield* run(oldBodies, { before, made: idBefore(time - 60_000) }))
  return { isAll: gone.every((count) => count < FORGET_AT_ONCE) }
}
