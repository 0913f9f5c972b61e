import { type ExpressionBuilder, sql } from 'kysely'
import type { ApiMetrics, ApiMetricsQuery } from '../api-types.ts'
import { itsOccurrences } from '../store/incident-chunk.ts'
import type { Schema } from '../store/schema.ts'
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
  const sources = filter.source && (await sourcesNamed(core, projectId, filter.source))

  const row = await core.database.read
    .selectFrom((db) =>
      db
        .selectFrom('incident')
        .select((eb) => [
          'status',
          'duration_ms',
          'acknowledged_after_ms',
          eb
            .or([
              eb('drill', '=', 1),
              ...(exclude.includes('late') ? [isLate(eb)] : []),
              ...(exclude.includes('stale') ? [isStale(eb)] : []),
              ...(exclude.includes('timeInferred') ? [hasInferredTime(eb)] : []),
            ])
            .as('is_excluded'),
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

/** Heard of only when it was over: every member's fire came late (R5). */
function isLate(eb: ExpressionBuilder<Schema, 'incident'>) {
  const members = itsOccurrences()
  return eb.and([
    eb.exists(members.where('o.late', '=', 1)),
    eb.not(eb.exists(members.where('o.late', '=', 0))),
  ])
}

/** A member was taken to have ended because nothing was heard of it. */
function isStale(eb: ExpressionBuilder<Schema, 'incident'>) {
  return eb.exists(itsOccurrences().where('o.closed_by', '=', 'stale'))
}

function hasInferredTime(eb: ExpressionBuilder<Schema, 'incident'>) {
  return eb.exists(
    itsOccurrences().where((of) =>
      of.or([of('o.fired_time_inferred', '=', 1), of('o.recovered_time_inferred', '=', 1)]),
    ),
  )
}

function rounded(mean: number | null): number | null {
  return mean === null ? null : Math.round(mean)
}
