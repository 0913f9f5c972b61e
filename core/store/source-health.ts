import { type Insertable, sql } from 'kysely'
import type { HookRequestTable, SourceHourTable } from './schema.ts'
import { run, statement, together, type Work } from './statement.ts'

/** Words remembered per source: a sender may put anything where its status belongs. */
const MOST_WORDS = 50

/** What one request did, as far as the health of its source goes. */
export interface RequestTally {
  opened: number
  recovered: number
  unknownWords: string[]
}

const NOTHING: RequestTally = { opened: 0, recovered: 0, unknownWords: [] }

const countHour = statement<SourceHourTable, unknown>((db, p) =>
  db
    .insertInto('source_hour')
    .values({
      source_id: p('source_id'),
      hour: p('hour'),
      accepted: p('accepted'),
      refused: p('refused'),
      opened: p('opened'),
      recovered: p('recovered'),
      streak: p('streak'),
      last_at: p('last_at'),
      last_accepted_at: p('last_accepted_at'),
    })
    .onConflict((conflict) =>
      conflict.columns(['source_id', 'hour']).doUpdateSet({
        accepted: sql`source_hour.accepted + excluded.accepted`,
        refused: sql`source_hour.refused + excluded.refused`,
        opened: sql`source_hour.opened + excluded.opened`,
        recovered: sql`source_hour.recovered + excluded.recovered`,
        streak: sql`case when (excluded.accepted = 0 or excluded.refused = 0)
          and (source_hour.streak > 0) = (excluded.streak > 0)
          then source_hour.streak + excluded.streak else excluded.streak end`,
        last_at: sql`excluded.last_at`,
        last_accepted_at: sql`coalesce(excluded.last_accepted_at, source_hour.last_accepted_at)`,
      }),
    ),
)

const countWord = statement<{ sourceId: string; word: string; at: string }, unknown>((db, p) =>
  db
    .insertInto('source_word')
    .values({ source_id: p('sourceId'), word: p('word'), count: sql.lit(1), last_at: p('at') })
    .onConflict((conflict) =>
      conflict
        .columns(['source_id', 'word'])
        .doUpdateSet({ count: sql`source_word.count + 1`, last_at: sql`excluded.last_at` }),
    ),
)

const dropOldWords = statement<{ sourceId: string }, unknown>((db, p) =>
  db
    .deleteFrom('source_word')
    .where('source_id', '=', p('sourceId'))
    .where(
      'word',
      'not in',
      db
        .selectFrom('source_word as newer')
        .select('newer.word')
        .where('newer.source_id', '=', p('sourceId'))
        .orderBy('newer.last_at', 'desc')
        .orderBy('newer.word')
        .limit(sql.lit(MOST_WORDS)),
    ),
)

/** Counts requests with their sources, in the transaction that stores them. */
export function* countRequests(
  rows: readonly Insertable<HookRequestTable>[],
  tallies: ReadonlyMap<string, RequestTally> = new Map(),
): Work<void> {
  const hours = new Map<string, SourceHourTable>()
  const words: Work<number>[] = []
  const named = new Set<string>()
  for (const { id, source_id: sourceId, received_at: at, status, reason } of rows) {
    // What anybody may send without a credential says nothing of how a source fares.
    if (sourceId == null || reason === 'unauthorized') continue
    const { opened, recovered, unknownWords } = tallies.get(id) ?? NOTHING
    const hour = at.slice(0, 'YYYY-MM-DDTHH'.length)
    const known = hours.get(`${sourceId} ${hour}`)
    const isAccepted = status < 400
    const step = isAccepted ? 1 : -1
    const goesOn = known !== undefined && known.streak > 0 === isAccepted
    hours.set(`${sourceId} ${hour}`, {
      source_id: sourceId,
      hour,
      accepted: (known?.accepted ?? 0) + Number(isAccepted),
      refused: (known?.refused ?? 0) + Number(!isAccepted),
      opened: (known?.opened ?? 0) + opened,
      recovered: (known?.recovered ?? 0) + recovered,
      streak: goesOn ? known.streak + step : step,
      last_at: at,
      last_accepted_at: isAccepted ? at : (known?.last_accepted_at ?? null),
    })
    for (const word of unknownWords) {
      words.push(run(countWord, { sourceId, word, at }))
      named.add(sourceId)
    }
  }
  // In one order in every process, so that two batches cannot wait for each other.
  const sorted = [...hours.values()].sort((a, b) => (a.source_id < b.source_id ? -1 : 1))
  yield* together(...sorted.map((hour) => run(countHour, hour)), ...words)
  for (const sourceId of named) yield* run(dropOldWords, { sourceId })
}

const oldHours = statement<{ before: string }, unknown>((db, p) =>
  db.deleteFrom('source_hour').where('hour', '<', p('before')),
)

const oldWords = statement<{ before: string }, unknown>((db, p) =>
  db.deleteFrom('source_word').where('last_at', '<', p('before')),
)

/** Forgets what was counted before this time (ISO). */
export function* forgetCounts(before: string): Work<void> {
  yield* together(run(oldHours, { before }), run(oldWords, { before }))
}
