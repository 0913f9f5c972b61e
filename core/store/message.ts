import { type Insertable, type Selectable, sql } from 'kysely'
import { idBefore } from './id-time.ts'
import { laneKey } from './outbox.ts'
import type { MessageTable } from './schema.ts'
import { all, insertRows, isAnyOf, run, statement, together, updateRows, type Work } from './statement.ts'

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
