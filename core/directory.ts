import { type Selectable, sql } from 'kysely'
import type { Adapter } from './adapters/adapter.ts'
import { adapterBySlug } from './adapters/registry.ts'
import type { MatchPolicy } from './matcher/state.ts'
import { type EffectivePolicy, effectivePolicy, matchPolicy, readPolicy, readSettings } from './policy.ts'
import { listeningEndpoints, outboxEndpoint } from './store/endpoint.ts'
import type { Database } from './store/open-database.ts'
import type { OutboxEndpoint } from './store/outbox.ts'
import type { ProjectTable } from './store/schema.ts'
import { openSecret } from './store/secrets.ts'
import { statement } from './store/statement.ts'
import type { AddressKind, Plan, Policy, SourceSettings } from './types.ts'

/** A source as the receiving path needs it: credential in the clear, policy worked out. */
export interface KnownSource {
  id: string
  adapter: Adapter
  name: string
  address: AddressKind
  enabled: boolean
  settings: SourceSettings
  effective: EffectivePolicy
  policy: MatchPolicy
  /** Newest first; an older one is valid until its overlap ends. */
  credentials: KnownCredential[]
}

export interface KnownCredential {
  secret: string
  createdAt: string
  expiresAt: string | null
}

export interface KnownProject {
  id: string
  plan: Plan
  policy: Policy
  ingestionEnabled: boolean
  /** The batch refuses what was authenticated with an older one (see `Directory`). */
  configVersion: number
  sources: KnownSource[]
  /** Those that are on. */
  endpoints: OutboxEndpoint[]
}

const projectById = statement<{ id: string }, Selectable<ProjectTable>>((db, p) =>
  db.selectFrom('project').selectAll().where('id', '=', p('id')),
)

const sourcesOf = statement<
  { id: string },
  {
    id: string
    adapter: string
    name: string
    address: string
    enabled: number
    settings: string
    credential_id: string
    sealed: string
    created_at: string
    expires_at: string | null
  }
>((db, p) =>
  db
    .selectFrom('source')
    .innerJoin('source_credential', 'source_credential.source_id', 'source.id')
    .select([
      'source.id',
      'source.adapter',
      'source.name',
      'source.address',
      'source.enabled',
      'source.settings',
      'source_credential.id as credential_id',
      'source_credential.sealed',
      'source_credential.created_at',
      'source_credential.expires_at',
    ])
    .where('source.project_id', '=', p('id'))
    .where('source.deleted_at', 'is', null)
    .orderBy('source.id')
    .orderBy('source_credential.id', 'desc'),
)

/** Most projects that may use one credential at a fixed address. */
const MOST_SHARING = 20

const projectsOfHash = statement<{ hash: string }, { project_id: string }>((db, p) =>
  db
    .selectFrom('source_credential')
    .select('project_id')
    .distinct()
    .where('lookup_hash', '=', p('hash'))
    .orderBy('project_id')
    .limit(sql.lit(MOST_SHARING)),
)

/** Most projects kept in memory; the one that has been there longest goes first. */
const MOST_PROJECTS = 1000

/**
 * Projects and their sources, in memory. What is remembered may be old: an acceptance is confirmed by the batch, which
 * compares `configVersion` in the transaction that stores the event, and a refusal by `fresh`. So a change, made by
 * whichever process, holds from the next request on.
 */
export class Directory {
  readonly #database: Database
  readonly #secretKey: Buffer
  readonly #projects = new Map<string, KnownProject>()
  /** Projects by the hash of a credential that names its source. */
  readonly #byHash = new Map<string, string[]>()

  constructor(database: Database, secretKey: Buffer) {
    this.#database = database
    this.#secretKey = secretKey
  }

  /** A project by id, perhaps from memory; undefined where there is none. */
  async project(id: string): Promise<KnownProject | undefined> {
    return this.#projects.get(id) ?? this.fresh(id)
  }

  /**
   * A project as the database has it now. One that has not changed is asked for nothing but its row, which is what an
   * unknown one costs: how long it takes does not tell which ones there are.
   */
  async fresh(id: string): Promise<KnownProject | undefined> {
    const [row] = await this.#database.query(projectById, { id })
    if (!row) {
      this.#projects.delete(id)
      return undefined
    }
    const known = this.#projects.get(id)
    if (known?.configVersion === row.config_version) return known
    const project = await this.#read(row)
    this.#projects.set(id, project)
    const oldest = this.#projects.keys().next()
    if (this.#projects.size > MOST_PROJECTS && !oldest.done) this.#projects.delete(oldest.value)
    return project
  }

  /** The projects that have a credential with this hash (see store/secrets.ts); perhaps from memory, unless `fresh`. */
  async projectsOf(hash: string, fresh = false): Promise<KnownProject[]> {
    let ids = fresh ? undefined : this.#byHash.get(hash)
    if (!ids) {
      ids = (await this.#database.query(projectsOfHash, { hash })).map((row) => row.project_id)
      if (this.#byHash.size >= MOST_PROJECTS) this.#byHash.clear()
      if (ids.length > 0) this.#byHash.set(hash, ids)
    }
    const projects: KnownProject[] = []
    for (const id of ids) {
      const project = await (fresh ? this.fresh(id) : this.project(id))
      if (project) projects.push(project)
    }
    return projects
  }

  forget(projectId: string): void {
    this.#projects.delete(projectId)
  }

  async #read(row: Selectable<ProjectTable>): Promise<KnownProject> {
    const policy = readPolicy(row.policy)
    const sources = new Map<string, KnownSource>()
    for (const found of await this.#database.query(sourcesOf, { id: row.id })) {
      const adapter = adapterBySlug(found.adapter)
      if (!adapter) continue
      const credential = {
        secret: openSecret(this.#secretKey, found.sealed, `source_credential/${found.credential_id}/sealed`),
        createdAt: found.created_at,
        expiresAt: found.expires_at,
      }
      const source = sources.get(found.id)
      if (source) {
        source.credentials.push(credential)
        continue
      }
      const settings = readSettings(found.settings)
      const effective = effectivePolicy(policy, settings, adapter)
      sources.set(found.id, {
        id: found.id,
        adapter,
        name: found.name,
        address: found.address as AddressKind,
        enabled: found.enabled === 1,
        settings,
        effective,
        policy: matchPolicy(effective),
        credentials: [credential],
      })
    }
    const endpoints = await this.#database.query(listeningEndpoints, { ids: [row.id] })
    return {
      id: row.id,
      plan: row.plan,
      policy,
      ingestionEnabled: row.ingestion_enabled === 1,
      configVersion: row.config_version,
      sources: [...sources.values()],
      endpoints: endpoints.map(outboxEndpoint),
    }
  }
}
