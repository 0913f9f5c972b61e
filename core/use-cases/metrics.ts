import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { ApiMetrics, ApiMetricsQuery } from '../api-types.ts'
import { itsOccurrences } from '../store/incident-chunk.ts'
import type { Caller } from '../tocsin.ts'
import { allow, type Core } from './core.ts'
import { conditions, sourcesNamed } from './incidents.ts'
import { projectRow } from './projects.ts'

/** MTTA and MTTR of a project (matching.md 4). */
export async function getMetrics(
  core: Core,
  caller: Caller,
  projectId: string,
  { exclude = [], ...filter }: ApiMetricsQuery,
): Promise<ApiMetrics> {
  allow(caller, 'incidents:read', projectId)
  await projectRow(core, projectId)
  const reasons = exclude.filter((reason) => reason !== 'drill')
  const sources = filter.source && (await sourcesNamed(core, projectId, filter.source))

  const row = await core.database.read
    .selectFrom((db) =>
      db
        .selectFrom('incident')
        .select((eb) => [
          'status',
          'duration_ms',
          'acknowledged_after_ms',
          eb.or([eb('drill', '=', 1), ...(reasons.length > 0 ? [hasOneOf(reasons)] : [])]).as('is_excluded'),
        ])
        .where((eb) => eb.and(conditions(eb, projectId, filter, sources)))
        .as('found'),
    )
    .select([
      sql<number>`coalesce(sum(case when is_excluded then 1 else 0 end), 0)`.as('excluded'),
      sql<number>`coalesce(sum(case when is_excluded then 0 else 1 end), 0)`.as('incidents'),
      sql<number>`coalesce(sum(case when not is_excluded and acknowledged_after_ms is null then 1 else 0 end), 0)`.as(
        'unacknowledged',
      ),
      sql<number | null>`avg(case when not is_excluded then acknowledged_after_ms end)`.as('mtta'),
      sql<number | null>`avg(case when not is_excluded and status = 'resolved' then duration_ms end)`.as(
        'mttr',
      ),
    ])
    .executeTakeFirstOrThrow()

  return {
    mttaMs: rounded(row.mtta),
    mttrMs: rounded(row.mttr),
    incidents: Number(row.incidents),
    unacknowledged: Number(row.unacknowledged),
    excluded: Number(row.excluded),
  }
}

type Reason = Exclude<NonNullable<ApiMetricsQuery['exclude']>[number], 'drill'>

/** Why an incident may not count, by what its members tell. */
const REASONS: Record<Reason, RawBuilder<SqlBool>> = {
  // Heard of only when it was over: every member's fire came late (R5).
  late: sql`min(o.late) = 1`,
  // A member was taken to have ended because nothing was heard of it.
  stale: sql`max(case when o.closed_by = 'stale' then 1 else 0 end) = 1`,
  timeInferred: sql`max(case when o.fired_time_inferred = 1 or o.recovered_time_inferred = 1 then 1 else 0 end) = 1`,
}

/** Whether one of these holds, by one look at its members. */
function hasOneOf(reasons: readonly Reason[]) {
  const any = sql.join(
    reasons.map((reason) => REASONS[reason]),
    sql` or `,
  )
  return sql<SqlBool>`(${itsOccurrences().select(sql<number>`case when ${any} then 1 else 0 end`.as('excluded'))}) = 1`
}

function rounded(mean: number | null): number | null {
  return mean === null ? null : Math.round(mean)
}
