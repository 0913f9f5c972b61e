import { type Selectable, sql } from 'kysely'
import { entriesOf } from './incident-chunk.ts'
import type { PostmortemProseTable, PostmortemTable } from './schema.ts'
import { all, insertRows, isAnyOf, statement, type Work } from './statement.ts'

export const latestPostmortem = statement<{ incidentId: string }, Selectable<PostmortemTable>>((db, p) =>
  db
    .selectFrom('postmortem')
    .selectAll()
    .where('incident_id', '=', p('incidentId'))
    .orderBy('revision', 'desc')
    .limit(sql.lit(1)),
)

export const postmortemRevision = statement<
  { incidentId: string; revision: number },
  Selectable<PostmortemTable>
>((db, p) =>
  db
    .selectFrom('postmortem')
    .selectAll()
    .where('incident_id', '=', p('incidentId'))
    .where('revision', '=', p('revision')),
)

/** Adds the next revision. The caller holds the project's lock, so that no number is taken twice. */
export function* insertPostmortem(row: Omit<Selectable<PostmortemTable>, 'revision'>): Work<number> {
  const [latest] = yield* all(latestPostmortem, { incidentId: row.incident_id })
  const revision = (latest?.revision ?? 0) + 1
  yield* insertRows('postmortem', [{ ...row, revision }])
  return revision
}

type ProseKey = Pick<PostmortemProseTable, 'incident_id' | 'template' | 'audience'>

export const postmortemProse = statement<ProseKey, Selectable<PostmortemProseTable>>((db, p) =>
  db
    .selectFrom('postmortem_prose')
    .selectAll()
    .where('incident_id', '=', p('incident_id'))
    .where('template', '=', p('template'))
    .where('audience', '=', p('audience')),
)

/** Keeps what was written in the place of what was written before. */
export function* savePostmortemProse(row: PostmortemProseTable): Work<void> {
  yield* insertRows('postmortem_prose', [row], {
    onConflict: { do: 'replace', columns: ['incident_id', 'template', 'audience'] },
  })
}

/** Which of these ids are events, timeline entries or requests of the incident. */
export const idsOfIncident = statement<
  { projectId: string; incidentId: string; ids: string[] },
  { id: string }
>((db, p) =>
  db
    .selectFrom('event')
    .select('id')
    .where('incident_id', '=', p('incidentId'))
    .where(isAnyOf('event.id', p.list('ids')))
    .union(
      entriesOf(db)
        .select('t.id')
        .where('c.incident_id', '=', p('incidentId'))
        .where(isAnyOf('t.id', p.list('ids'))),
    )
    .union(
      db
        .selectFrom('hook_request')
        .select('id')
        .where('project_id', '=', p('projectId'))
        .where('incident_id', '=', p('incidentId'))
        .where(isAnyOf('hook_request.id', p.list('ids'))),
    ),
)
