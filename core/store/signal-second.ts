import type { Kysely } from 'kysely'
import type { DatabaseKind } from './open-database.ts'
import type { Schema, SignalSecondTable } from './schema.ts'
import { insertRows, type Work } from './statement.ts'

/**
 * Occurrences by their signal. In an index by signal and time every signal has a place of its own: each commit to SQLite
 * would write a whole page for each occurrence of a storm. So those of a signal that fires again and again within seconds
 * are in an index that begins with the second they fired in, where what fires at the same time lies together, of however
 * many signals it is; `signal_second` tells the seconds in which a signal has some. Those of a signal that fires now and
 * then, which would need a second each, have none: an index by signal and time holds just these, and what programs of
 * before 0017 wrote. On PostgreSQL, whose commits write no page twice between two checkpoints, it holds all, and no second
 * is stored.
 */

/** The second of an ISO time, since 1970. */
export function secondOf(time: string): number {
  return Math.floor(Date.parse(time) / 1000)
}

/** Notes seconds in which signals fired. */
export function* noteSeconds(seconds: readonly SignalSecondTable[]): Work<number> {
  return yield* insertRows('signal_second', seconds, {
    onConflict: { do: 'ignore', columns: ['signal_id', 'second'] },
  })
}

type From = Pick<Kysely<Schema>, 'selectFrom'>

// The occurrences of signals, for `where x.signal_id …`; on PostgreSQL the latter are all.

/** Those with a second: `x` is the second, `o` the occurrence. */
export function occurrencesBySecond(db: From) {
  return db
    .selectFrom('signal_second as x')
    .innerJoin('occurrence as o', (join) =>
      join.onRef('o.fired_second', '=', 'x.second').onRef('o.signal_id', '=', 'x.signal_id'),
    )
}

/** Those without, in the index by signal and time, recoveries that wait for their fire among them. */
export function occurrencesByTime(db: From, kind: DatabaseKind) {
  return db
    .selectFrom('occurrence as x')
    .$if(kind === 'sqlite', (query) => query.where('x.fired_second', 'is', null))
}
