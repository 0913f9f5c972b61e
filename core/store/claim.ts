import { sql } from 'kysely'
import { lockMessages, type MessageRow, type MessageWithBody } from './message.ts'
import { all, allForEach, isAnyOf, run, statement, type Work } from './statement.ts'

/** Which messages a worker takes up, and how it holds them: leases. */

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
