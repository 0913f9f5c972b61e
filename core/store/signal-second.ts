import type { Kysely } from 'kysely'
import type { DatabaseKind } from './open-database.ts'
import type { Schema, SignalSecondTable } from './schema.ts'
import { insertRows, type Work } from './statement.ts'

/**
 * When a signal fired, on SQLite. In an index by signal and time every signal has a place of its own: a commit would write
 * a whole page for each occurrence. So the index begins with the second they fired in, and `signal_second` tells the
 * seconds in which a signal has some: what fires at the same time lies together then, of however many signals it is.
 * Occurrences that programs of before 0017 wrote have no second; an index by signal and time holds just these. On
 * PostgreSQL, whose commits write no pages, it holds all, and no second is stored.
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

// Together these are the occurrences of signals, for `where x.signal_id …`.

/** Those with a second. */
export function occurrencesBySecond(db: From) {
  return db
    .selectFrom('signal_second as x')
    .innerJoin('occurrence as o', (join) =>
      join.onRef('o.fired_second', '=', 'x.second').onRef('o.signal_id', '=', 'x.signal_id'),
    )
}

/** Those in the index by signal and time. */
export function occurrencesByTime(db: From, kind: DatabaseKind) {
  return db
    .selectFrom('occurrence as x')
    .$if(kind === 'sqlite', (query) => query.where('x.fired_second', 'is', null))
}
