import { type Selectable, sql } from 'kysely'
import { type OutboxEndpoint, readFilters } from './outbox.ts'
import type { EndpointSecretTable, EndpointTable } from './schema.ts'
import { all, isAnyOf, run, statement, type Work } from './statement.ts'

export type EndpointRow = Selectable<EndpointTable>
export type EndpointSecretRow = Selectable<EndpointSecretTable>

type ListeningRow = Pick<EndpointRow, 'id' | 'project_id' | 'policy' | 'filters'>

/**
 * Endpoints that messages are made for: those that are on, those that Tocsin switched off itself, whose messages wait
 * until somebody looks, and those that may be had back.
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
        eb('kept_until', 'is not', null).and('disabled_reason', 'is', null),
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
export function* lockEndpoints(ids: readonly string[]): Work<EndpointRow[]> {
  return ids.length === 0 ? [] : yield* all(lockedByIds, { ids: [...new Set(ids)].sort() })
}

export const endpointById = statement<{ projectId: string; id: string }, EndpointRow>((db, p) =>
  db
    .selectFrom('endpoint')
    .selectAll()
    .where('project_id', '=', p('projectId'))
    .where('id', '=', p('id'))
    .where('kept_until', 'is', null),
)

/** Also one that is deleted and kept: it has its URL until it goes. */
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

const dropSecrets = statement<{ endpointId: string }, unknown>((db, p) =>
  db.deleteFrom('endpoint_secret').where('endpoint_id', '=', p('endpointId')),
)

const dropEndpoint = statement<{ endpointId: string }, unknown>((db, p) =>
  db.deleteFrom('endpoint').where('id', '=', p('endpointId')),
)

export function* removeSecrets(endpointId: string): Work<void> {
  yield* run(dropSecrets, { endpointId })
}

/** Its messages and their log are left to be forgotten (store/gone.ts): there may be a million. */
export function* removeEndpoint(endpointId: string): Work<void> {
  yield* lockEndpoints([endpointId])
  yield* run(dropSecrets, { endpointId })
  yield* run(dropEndpoint, { endpointId })
}

/** Deleted ones whose time is over. */
export const endpointsKeptUntil = statement<{ now: string }, { id: string; project_id: string }>((db, p) =>
  db.selectFrom('endpoint').select(['id', 'project_id']).where('kept_until', '<=', p('now')),
)
