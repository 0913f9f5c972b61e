import { type Selectable, sql } from 'kysely'
import type { ApiSourceHealth } from '../api-types.ts'
import type { SourceHourTable } from '../store/schema.ts'
import type { Core } from './core.ts'

const DAY_MS = 24 * 3_600_000
const MOST_ERRORS = 5
/** Refusals looked at: the log keeps fifty of strangers, so the last errors are among these. */
const MOST_REFUSALS = 100
/** Refusals in a row, and alerts without one recovery, that are worth a word to the owner. */
const WORRYING_REFUSALS = 3
const WORRYING_OPENINGS = 3

type Hour = Selectable<SourceHourTable>

/** How these sources fare, from what was counted while their requests were stored. */
export async function healthOf(core: Core, ids: string[]): Promise<Map<string, ApiSourceHealth>> {
  const now = core.now().getTime()
  const [hours, words, refusals] = await Promise.all([
    core.database.read
      .selectFrom('source_hour')
      .selectAll()
      .where('source_id', 'in', ids)
      .where('hour', '>=', hourOf(now - 30 * DAY_MS))
      .orderBy('hour', 'desc')
      .execute(),
    core.database.read
      .selectFrom('source_word')
      .selectAll()
      .where('source_id', 'in', ids)
      .where('last_at', '>=', new Date(now - 30 * DAY_MS).toISOString())
      .orderBy('last_at', 'desc')
      .orderBy('word')
      .execute(),
    Promise.all(ids.map((id) => refusalsOf(core, id, now - DAY_MS))),
  ])
  const hoursOf = Map.groupBy(hours, (row) => row.source_id)
  const wordsOf = Map.groupBy(words, (row) => row.source_id)
  return new Map(
    ids.map((id, i) => {
      const unknownStatusWords = (wordsOf.get(id) ?? []).map(({ word, count, last_at }) => ({
        word,
        count,
        lastAt: last_at,
      }))
      const counted = summed(hoursOf.get(id) ?? [], hourOf(now - DAY_MS))
      const health = { ...counted, ...refusals[i]!, unknownStatusWords }
      return [id, { ...health, notes: notesOn(health) }]
    }),
  )
}

/** Newest hour first. Success rates are of whole hours, the one of 24 hours ago included. */
function summed(
  hours: readonly Hour[],
  dayAgo: string,
): Omit<ApiSourceHealth, 'lastErrors' | 'strangers' | 'unknownStatusWords' | 'notes'> {
  const streak = streakOf(hours)
  const sum = (column: 'opened' | 'recovered') => hours.reduce((total, row) => total + row[column], 0)
  return {
    successRate24h: rateOf(hours.filter(({ hour }) => hour >= dayAgo)),
    successRate30d: rateOf(hours),
    lastRequestAt: hours[0]?.last_at ?? null,
    lastSuccessAt: hours.find((row) => row.last_accepted_at !== null)?.last_accepted_at ?? null,
    successStreak: Math.max(0, streak),
    failureStreak: Math.max(0, -streak),
    opened30d: sum('opened'),
    recovered30d: sum('recovered'),
  }
}

function rateOf(hours: readonly Hour[]): number | null {
  const accepted = hours.reduce((total, row) => total + row.accepted, 0)
  const all = hours.reduce((total, row) => total + row.accepted + row.refused, 0)
  return all === 0 ? null : Math.round((accepted / all) * 10_000) / 10_000
}

/** A streak goes on into the hour before where it fills its own. */
function streakOf(hours: readonly Hour[]): number {
  let streak = 0
  for (const row of hours) {
    if (streak !== 0 && row.streak > 0 !== streak > 0) break
    streak += row.streak
    if (Math.abs(row.streak) < row.accepted + row.refused) break
  }
  return streak
}

/** Strangers are told apart: what anybody may send must not cover what the source itself was refused. */
async function refusalsOf(
  core: Core,
  sourceId: string,
  dayAgo: number,
): Promise<Pick<ApiSourceHealth, 'lastErrors' | 'strangers'>> {
  const rows = await core.database.read
    .selectFrom('hook_request')
    .select(['id', 'received_at', 'reason', 'message', 'diagnosis'])
    .where('source_id', '=', sourceId)
    .where('outcome', '=', sql.lit('rejected'))
    .orderBy('id', 'desc')
    .limit(MOST_REFUSALS)
    .execute()
  const errors = rows.map((row) => ({
    at: row.received_at,
    code: row.reason ?? 'rejected',
    message: row.message ?? '',
    diagnosis: row.diagnosis,
    requestId: row.id,
  }))
  const strangers = errors.filter(({ code }) => code === 'unauthorized')
  return {
    lastErrors: errors.filter(({ code }) => code !== 'unauthorized').slice(0, MOST_ERRORS),
    strangers: {
      last24h: strangers.filter(({ at }) => Date.parse(at) >= dayAgo).length,
      last: strangers.slice(0, MOST_ERRORS).map(({ code: _, ...stranger }) => stranger),
    },
  }
}

function notesOn(health: Omit<ApiSourceHealth, 'notes'>): string[] {
  const notes: string[] = []
  if (health.failureStreak >= WORRYING_REFUSALS) {
    notes.push(
      `The last ${health.failureStreak} requests were refused: lastErrors and the request log say why.`,
    )
  }
  if (health.opened30d >= WORRYING_OPENINGS && health.recovered30d === 0) {
    notes.push(
      `${health.opened30d} alerts began in 30 days and none recovered: let the tool send its resolved notifications too.`,
    )
  }
  if (health.unknownStatusWords.length > 0) {
    const words = health.unknownStatusWords.slice(0, 5).map(({ word }) => JSON.stringify(word))
    notes.push(
      `Status words that are not known open and resolve nothing: ${words.join(', ')}. Say in settings.statusWords what they mean.`,
    )
  }
  return notes
}

function hourOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 'YYYY-MM-DDTHH'.length)
}
