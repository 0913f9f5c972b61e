import { type Selectable, sql } from 'kysely'
import { type OutboxEndpoint, readFilters } from './outbox.ts'
import type { EndpointSecretTable, EndpointTable } from './schema.ts'
import { all, isAnyOf, statement, type Work } from './statement.ts'

export type EndpointRow = Selectable<EndpointTable>
export type EndpointSecretRow = Selectable<EndpointSecretTable>

type ListeningRow = Pick<EndpointRow, 'id' | 'project_id' | 'policy' | 'filters'>

/**
 * Endpoints that messages are made for: those that are on, and those that Tocsin switched off itself, whose messages
 * wait until somebody looks.
 */
export const listeningEndpoints = statement<{ ids: string[] }, ListeningRow>((db, p) =>
  db
    .selectFrom('endpoint')
    .select(['id', 'project_id', 'policy', 'filters'])
    .where(isAnyOf('project_id', p.list('ids')))
    .where(({ or, eb }) =>
      or([
        eb('enabled', '=', sql.lit(1)),
        eb('disabled_reason', 'in', [sql.lit('failed'), sql.lit('no_success')]),
      ]),
    )
    .orderBy('id'),
)

export function outboxEndpoint(row: ListeningRow): OutboxEndpoint {
  return { id: row.id, projectId: row.project_id, policy: row.policy, filters: readFilters(row.filters) }
}

export function* endpointsOfProjects(ids: string[]): Work<OutboxEndpoint[]> {
  return (yield* all(listeningEndpoints, { ids })).map(outboxEndpoint)
}

const lockedByIds = statement<{ ids: string[] }, EndpointRow>((db, p) =>
  db
    .selectFrom('endpoint')
    .selectAll()
    .where(isAnyOf('endpoint.id', p.list('ids')))
    .orderBy('id')
    .forUpdate(),
)

/** These endpoints, held until the transaction ends. */
export function* lockEndpoints(ids: string[]): Work<EndpointRow[]> {
  return ids.length === 0 ? [] : yield* all(lockedByIds, { ids })
}

export const endpointById = statement<{ projectId: string; id: string }, EndpointRow>((db, p) =>
  db.selectFrom('endpoint').selectAll().where('project_id', '=', p('projectId')).where('id', '=', p('id')),
)

export const endpointByUrl = statement<{ projectId: string; url: string }, EndpointRow>((db, p) =>
  db.selectFrom('endpoint').selectAll().where('project_id', '=', p('projectId')).where('url', '=', p('url')),
)

export const secretsOfEndpoints = statement<{ ids: string[]; now: string }, EndpointSecretRow>((db, p) =>
  db
    .selectFrom('endpoint_secret')
    .selectAll()
    .where(isAnyOf('endpoint_id', p.list('ids')))
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', p('now'))]))
    .orderBy('id', 'desc'),
)
