import { sql } from 'kysely'
import type { MessageRow } from './message.ts'
import { all, insertRows, isAnyOf, run, statement, type Work } from './statement.ts'

/**
 * Notes of endpoints that were changed, of whose waiting messages not all are as that change wants them yet. There may
 * be hundreds of thousands: they follow in parts. A note is read and written by whoever holds its endpoint.
 */
export interface CatchUp {
  /** Since when everything is to be sent at once; null where that was not asked for. */
  since: string | null
  /** The message that was looked at last. */
  after: Place
}

export type Place = Pick<MessageRow, 'incident_id' | 'sequence' | 'id'>

/** Before all messages. */
export const FROM_THE_START: Place = { incident_id: null, sequence: null, id: '' }

const NAME = 'catch_up/'

/** Names of notes; ids are hexadecimal, so that every collation finds them. */
export const catchUpNames = statement<object, { name: string }>((db) =>
  db
    .selectFrom('setting')
    .select('name')
    .where('name', '>=', sql.lit(`${NAME}0`))
    .where('name', '<=', sql.lit(`${NAME}g`))
    .orderBy('name'),
)

export function endpointOfName(name: string): string {
  return name.slice(NAME.length)
}

const noteByName = statement<{ name: string }, { value: string }>((db, p) =>
  db.selectFrom('setting').select('value').where('name', '=', p('name')),
)

const dropNote = statement<{ name: string }, unknown>((db, p) =>
  db.deleteFrom('setting').where('name', '=', p('name')),
)

export function* readCatchUp(endpointId: string): Work<CatchUp | null> {
  const [row] = yield* all(noteByName, { name: NAME + endpointId })
  return row ? (JSON.parse(row.value) as CatchUp) : null
}

/** Null: nothing is left to do. */
export function* writeCatchUp(endpointId: string, left: CatchUp | null): Work<void> {
  const name = NAME + endpointId
  if (left === null) yield* run(dropNote, { name })
  else {
    yield* insertRows('setting', [{ name, value: JSON.stringify(left) }], {
      onConflict: { do: 'replace', columns: ['name'] },
    })
  }
}

// ---- the messages, in the order of their lanes ----

/** Those of no incident come first. */
const waitingAlone = statement<{ endpoint: string; id: string; most: number }, Place>((db, p) =>
  db
    .selectFrom('message')
    .select(['incident_id', 'sequence', 'id'])
    .where('endpoint_id', '=', p('endpoint'))
    .where('status', '=', sql.lit('pending'))
    .where('incident_id', 'is', null)
    .where('sequence', 'is', null)
    .where('id', '>', p('id'))
    .orderBy('incident_id')
    .orderBy('sequence')
    .orderBy('id')
    .limit(p('most')),
)

const waitingInLanes = statement<
  { endpoint: string; incident: string; sequence: number; id: string; most: number },
  Place
>((db, p) =>
  db
    .selectFrom('message')
    .select(['incident_id', 'sequence', 'id'])
    .where('endpoint_id', '=', p('endpoint'))
    .where('status', '=', sql.lit('pending'))
    .where(sql<boolean>`(incident_id, sequence, id) > (${p('incident')}, ${p('sequence')}, ${p('id')})`)
    .orderBy('incident_id')
    .orderBy('sequence')
    .orderBy('id')
    .limit(p('most')),
)

const lockedWaiting = statement<{ ids: string[] }, MessageRow>((db, p) =>
  db
    .selectFrom('message')
    .selectAll()
    .where(isAnyOf('message.id', p.list('ids')))
    .where('status', '=', sql.lit('pending'))
    // Who wants one that waits has the one before it (see project.ts).
    .orderBy(sql`due_at is null`)
    .orderBy('id')
    .forUpdate(),
)

/**
 * The next waiting messages of an endpoint that is held, held as well, in the order of their lanes, and the place of the
 * last of them where there may be more.
 */
export function* lockWaiting(
  endpoint: string,
  after: Place,
  most: number,
): Work<{ rows: MessageRow[]; last: Place | null }> {
  const isAlone = after.incident_id === null
  const alone = isAlone ? yield* all(waitingAlone, { endpoint, id: after.id, most }) : []
  const from = isAlone
    ? { incident: '', sequence: 0, id: '' }
    : { incident: after.incident_id!, sequence: after.sequence ?? 0, id: after.id }
  const missing = most - alone.length
  const inLanes = missing === 0 ? [] : yield* all(waitingInLanes, { endpoint, ...from, most: missing })
  const places = [...alone, ...inLanes]
  if (places.length === 0) return { rows: [], last: null }
  const locked = yield* all(lockedWaiting, { ids: places.map(({ id }) => id) })
  const rows = new Map(locked.map((row) => [row.id, row]))
  return {
    rows: places.flatMap(({ id }) => rows.get(id) ?? []),
    last: places.length < most ? null : places.at(-1)!,
  }
}

export const failMessages = statement<{ ids: string[]; reason: string }, unknown>((db, p) =>
  db
    .updateTable('message')
    .set({ status: sql.lit('failed'), reason: p('reason'), due_at: null, lease_token: null })
    .where(isAnyOf('message.id', p.list('ids'))),
)

/** One of a lane that is due or under way. */
export const dueInLane = statement<{ endpoint: string; incident: string }, { id: string }>((db, p) =>
  db
    .selectFrom('message')
    .select('id')
    .where('endpoint_id', '=', p('endpoint'))
    .where('incident_id', '=', p('incident'))
    .where('status', '=', sql.lit('pending'))
    .where('due_at', 'is not', null)
    .limit(sql.lit(1)),
)

/** One that is under way, or was when its worker died. */
export const underWay = statement<{ endpoint: string }, { id: string }>((db, p) =>
  db
    .selectFrom('message')
    .select('id')
    .where('endpoint_id', '=', p('endpoint'))
    .where('lease_token', 'is not', null)
    .limit(sql.lit(1)),
)

/** Those of these messages with an attempt whose id is greater. */
export const attemptedAfter = statement<{ ids: string[]; after: string }, { message_id: string }>((db, p) =>
  db
    .selectFrom('attempt')
    .select('message_id')
    .distinct()
    .where(isAnyOf('message_id', p.list('ids')))
    .where('id', '>', p('after')),
)
