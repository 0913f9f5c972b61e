import { isIP } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import type { Selectable } from 'kysely'
import type { Adapter, OwnSetting, TestRequest } from '../adapters/adapter.ts'
import { isBrokenPath } from '../adapters/parameters.ts'
import { adapterBySlug, adapters } from '../adapters/registry.ts'
import type {
  ApiCredential,
  ApiIngestion,
  ApiMapping,
  ApiPage,
  ApiReceived,
  ApiReveal,
  ApiRotateInput,
  ApiSource,
  ApiSourceInput,
  ApiSourcePatch,
  ApiSourceSettingsInput,
} from '../api-types.ts'
import { TocsinError } from '../errors.ts'
import { changeSettings, effectivePolicy, NO_SETTINGS, readPolicy, readSettings } from '../policy.ts'
import type { SecretRevealTable, SourceCredentialTable, SourceTable } from '../store/schema.ts'
import { hashDropIn, hashToken, newSecret, openSecret, type Random, sealSecret } from '../store/secrets.ts'
import { all, insertRows, run, statement, updateRows, type Work } from '../store/statement.ts'
import type { Caller, ReceiveAddress } from '../tocsin.ts'
import type { AddressKind, HookRequest, SourceSettings } from '../types.ts'
import { allow, type Core, can, change, cutPage, readPage } from './core.ts'
import { resolveIncident } from './incidents.ts'
import { configChanged, projectRow } from './projects.ts'
import { healthOf } from './source-health.ts'

const MASKED = '********'
const LEAST_SECRET = 8
/** How long the old credential of a header or signature stays valid after a rotation; a token's dies at once. */
const OVERLAP_MINUTES = 1440
const REVEAL_MINUTES = 10

type SourceRow = Selectable<SourceTable>
type CredentialRow = Selectable<SourceCredentialTable>

export async function createSource(
  core: Core,
  caller: Caller,
  projectId: string,
  input: ApiSourceInput,
): Promise<{ source: ApiSource; secret?: string; reveal?: ApiReveal }> {
  allow(caller, 'sources:write', projectId)
  const adapter = adapterOf(input.adapter)
  await projectRow(core, projectId)
  const fresh = newSource(core, { ...input, projectId, adapter })
  const { source, secret, reveal } = await change(core, function* () {
    // First: whoever makes one at the same moment waits here, and then sees this one.
    yield* configChanged(projectId)
    if (input.unique) yield* refuseSameName(fresh.source)
    yield* refuseTakenToken(fresh.source, fresh.credential)
    yield* insertRows('source', [fresh.source])
    yield* insertRows('source_credential', [fresh.credential])
    const reveal = input.reveal ? newReveal(core, fresh.credential) : undefined
    if (reveal) yield* keepReveal(core, reveal)
    return { source: fresh.source, secret: fresh.secret, reveal }
  })
  core.directory.forget(projectId)
  return showNewCredential(core, source, secret, reveal)
}

const namesakes = statement<{ projectId: string; adapter: string; name: string }, { id: string }>((db, p) =>
  db
    .selectFrom('source')
    .select('id')
    .where('project_id', '=', p('projectId'))
    .where('adapter', '=', p('adapter'))
    .where('name', '=', p('name'))
    .where('deleted_at', 'is', null),
)

function* refuseSameName({ project_id: projectId, adapter, name }: SourceRow): Work<void> {
  const [first] = yield* all(namesakes, { projectId, adapter, name })
  if (!first) return
  throw new TocsinError(
    'conflict',
    `name: source ${first.id} of this project has it. Change that one, or give another name.`,
  )
}

/** The source with its new credential, or with leave to see it once. */
async function showNewCredential(
  core: Core,
  row: SourceRow,
  secret: string,
  reveal: SecretRevealTable | undefined,
): Promise<{ source: ApiSource; secret?: string; reveal?: ApiReveal }> {
  const source = (await show(core, row.project_id, [row], reveal === undefined))[0]!
  if (reveal) return { source, reveal: { id: reveal.id, expiresAt: reveal.expires_at } }
  return row.address === 'token' ? { source } : { source, secret }
}

function newReveal(core: Core, credential: CredentialRow): SecretRevealTable {
  return {
    // Not of time, as other ids: who is to guess it has nothing to go by. No dash, which a command would read as an option.
    id: core.random(16).toString('hex'),
    project_id: credential.project_id,
    source_id: credential.source_id,
    credential_id: credential.id,
    expires_at: new Date(core.now().getTime() + REVEAL_MINUTES * 60_000).toISOString(),
  }
}

const dropOldReveals = statement<{ projectId: string; now: string }, unknown>((db, p) =>
  db.deleteFrom('secret_reveal').where('project_id', '=', p('projectId')).where('expires_at', '<=', p('now')),
)

function* keepReveal(core: Core, reveal: SecretRevealTable): Work<void> {
  yield* run(dropOldReveals, { projectId: reveal.project_id, now: core.now().toISOString() })
  yield* insertRows('secret_reveal', [reveal])
}

const credentialToReveal = statement<
  { projectId: string; id: string; now: string },
  { source_id: string; credential_id: string; sealed: string }
>((db, p) =>
  db
    .selectFrom('secret_reveal as r')
    .innerJoin('source_credential as c', 'c.id', 'r.credential_id')
    .select(['r.source_id', 'r.credential_id', 'c.sealed'])
    .where('r.project_id', '=', p('projectId'))
    .where('r.id', '=', p('id'))
    .where('r.expires_at', '>', p('now'))
    // One that a rotation has ended is kept sealed for a while, but opens nothing any more.
    .where(({ or, eb }) => or([eb('c.expires_at', 'is', null), eb('c.expires_at', '>', p('now'))])),
)

const dropReveal = statement<{ id: string }, unknown>((db, p) =>
  db.deleteFrom('secret_reveal').where('id', '=', p('id')),
)

/** Who asks first sees it; nobody afterwards. */
export async function revealSecret(
  core: Core,
  caller: Caller,
  projectId: string,
  id: string,
): Promise<{ credential: ApiCredential }> {
  allow(caller, 'secrets:read', projectId)
  const { source, secret } = await change(core, function* (context) {
    const [found] = yield* all(credentialToReveal, { projectId, id, now: context.now })
    if (!found || (yield* run(dropReveal, { id })) === 0) {
      throw new TocsinError(
        'not_found',
        'reveal: not there. It shows once, within ten minutes; rotate the source for a new secret.',
      )
    }
    const source = (yield* all(sourceById, { projectId, id: found.source_id }))[0] ?? noSource()
    return { source, secret: openSecret(core.secretKey, found.sealed, aad(found.credential_id)) }
  })
  return {
    credential: {
      sourceId: source.id,
      adapter: source.adapter,
      name: source.name,
      url: urlOf(core, projectId, source.adapter, source.address as AddressKind, secret),
      secret: source.address === 'token' ? null : secret,
    },
  }
}

/** Whether the project receives webhooks, and the address of every tool. */
export async function getIngestion(
  core: Core,
  caller: Caller,
  projectId: string,
): Promise<{ ingestion: ApiIngestion }> {
  allow(caller, 'sources:read', projectId)
  const project = await projectRow(core, projectId)
  const inPlan = project.plan !== 'free'
  return {
    ingestion: {
      projectId,
      projectName: project.name,
      plan: project.plan,
      inPlan,
      enabled: inPlan && project.ingestion_enabled === 1,
      publicUrl: core.publicUrl,
      addresses: adapters.map(({ slug, name, defaults: { address } }) => ({
        adapter: slug,
        name,
        address,
        url: urlOf(core, projectId, slug, address, '{token}'),
      })),
    },
  }
}

/** The rows of a new source, and its secret in the clear. */
export function newSource(
  core: Pick<Core, 'newId' | 'now' | 'secretKey' | 'random'>,
  input: Omit<ApiSourceInput, 'adapter'> & { projectId: string; adapter: Adapter },
): { source: SourceRow; credential: CredentialRow; secret: string } {
  const address = input.address ?? input.adapter.defaults.address
  checkMapping(input.settings?.mapping, 'settings.mapping')
  checkOwnSettings(input.adapter, NO_SETTINGS, input.settings ?? {}, 'settings.')
  const settings = checkedSettings(changeSettings(NO_SETTINGS, input.settings ?? {}))
  const createdAt = core.now().toISOString()
  const source: SourceRow = {
    id: core.newId(),
    project_id: input.projectId,
    adapter: input.adapter.slug,
    name: input.name ?? input.adapter.name,
    address,
    enabled: 1,
    settings: JSON.stringify(settings),
    created_at: createdAt,
    deleted_at: null,
  }
  const secret =
    checkedSecret(input.secret, address, input.adapter) ?? newSecretFor(input.adapter, core.random)
  return { source, credential: newCredential(core, source, secret), secret }
}

export async function listSources(
  core: Core,
  caller: Caller,
  projectId: string,
  page: ApiPage,
): Promise<{ sources: ApiSource[]; nextCursor: string | null }> {
  allow(caller, 'sources:read', projectId)
  await projectRow(core, projectId)
  const { limit, after } = readPage(page)
  let query = core.database.read
    .selectFrom('source')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('deleted_at', 'is', null)
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (after !== undefined) query = query.where('id', '<', after)
  const { page: rows, nextCursor } = cutPage(await query.execute(), limit)
  return { sources: await show(core, projectId, rows, can(caller, 'secrets:read')), nextCursor }
}

export async function getSource(
  core: Core,
  caller: Caller,
  projectId: string,
  sourceId: string,
): Promise<{ source: ApiSource }> {
  allow(caller, 'sources:read', projectId)
  const row = await sourceRow(core, projectId, sourceId)
  return { source: (await show(core, projectId, [row], can(caller, 'secrets:read')))[0]! }
}

const sourceById = statement<{ projectId: string; id: string }, SourceRow>((db, p) =>
  db
    .selectFrom('source')
    .selectAll()
    .where('project_id', '=', p('projectId'))
    .where('id', '=', p('id'))
    .where('deleted_at', 'is', null),
)

export async function updateSource(
  core: Core,
  caller: Caller,
  projectId: string,
  sourceId: string,
  patch: ApiSourcePatch,
): Promise<{ source: ApiSource }> {
  allow(caller, 'sources:write', projectId)
  checkMapping(patch.settings?.mapping, 'settings.mapping')
  const row = await change(core, function* () {
    yield* configChanged(projectId)
    const before = (yield* all(sourceById, { projectId, id: sourceId }))[0] ?? noSource()
    const known = readSettings(before.settings)
    checkOwnSettings(adapterOf(before.adapter), known, patch.settings ?? {}, 'settings.')
    const settings = checkedSettings(changeSettings(known, patch.settings ?? {}))
    const after: SourceRow = {
      ...before,
      name: patch.name ?? before.name,
      enabled: patch.enabled === undefined ? before.enabled : Number(patch.enabled),
      settings: JSON.stringify(settings),
    }
    yield* updateRows('source', [after])
    return after
  })
  core.directory.forget(projectId)
  return { source: (await show(core, projectId, [row], can(caller, 'secrets:read')))[0]! }
}

const dropCredentials = statement<{ sourceId: string }, unknown>((db, p) =>
  db.deleteFrom('source_credential').where('source_id', '=', p('sourceId')),
)

/** The source is gone and its credentials with it; incidents go on naming it. */
export async function deleteSource(
  core: Core,
  caller: Caller,
  projectId: string,
  sourceId: string,
): Promise<void> {
  allow(caller, 'sources:write', projectId)
  await change(core, function* () {
    yield* configChanged(projectId)
    const row = (yield* all(sourceById, { projectId, id: sourceId }))[0] ?? noSource()
    yield* updateRows('source', [{ ...row, deleted_at: core.now().toISOString() }])
    yield* run(dropCredentials, { sourceId })
  })
  core.directory.forget(projectId)
}

const credentialsOf = statement<{ sourceId: string }, CredentialRow>((db, p) =>
  db.selectFrom('source_credential').selectAll().where('source_id', '=', p('sourceId')),
)

const dropCredential = statement<{ id: string }, unknown>((db, p) =>
  db.deleteFrom('source_credential').where('id', '=', p('id')),
)

/** A new credential; the old ones stay valid for the overlap. */
export async function rotateSource(
  core: Core,
  caller: Caller,
  projectId: string,
  sourceId: string,
  input: ApiRotateInput,
): Promise<{ source: ApiSource; secret?: string; reveal?: ApiReveal }> {
  allow(caller, 'sources:write', projectId)
  const { row, secret, reveal } = await change(core, function* () {
    yield* configChanged(projectId)
    const source = (yield* all(sourceById, { projectId, id: sourceId }))[0] ?? noSource()
    const address = source.address as AddressKind
    const adapter = adapterOf(source.adapter)
    const fresh = checkedSecret(input.secret, address, adapter) ?? newSecretFor(adapter, core.random)
    const overlap = input.overlapMinutes ?? (address === 'token' ? 0 : OVERLAP_MINUTES)
    const now = core.now().toISOString()
    const end = new Date(core.now().getTime() + overlap * 60_000).toISOString()
    for (const old of yield* all(credentialsOf, { sourceId })) {
      // One that is over already goes; one that is over from now on stays, so that a sender left behind is told apart
      // from a stranger. It was never valid then, whatever the clocks of other processes say.
      if (old.expires_at !== null && old.expires_at <= now) yield* run(dropCredential, { id: old.id })
      else {
        const earlier = old.expires_at !== null && old.expires_at < end ? old.expires_at : end
        const expires = earlier > now ? earlier : old.created_at
        yield* updateRows('source_credential', [{ ...old, expires_at: expires }])
      }
    }
    const credential = newCredential(core, source, fresh)
    yield* refuseTakenToken(source, credential)
    yield* insertRows('source_credential', [credential])
    const reveal = input.reveal ? newReveal(core, credential) : undefined
    if (reveal) yield* keepReveal(core, reveal)
    return { row: source, secret: fresh, reveal }
  })
  core.directory.forget(projectId)
  return showNewCredential(core, row, secret, reveal)
}

/**
 * Sends a request as the tool would, through the real path, as a drill that opens and recovers (N3). Where the tool never
 * says that it is over, the drill is resolved as by a person.
 */
export async function testSource(
  core: Core,
  caller: Caller,
  projectId: string,
  sourceId: string,
): Promise<{
  success: boolean
  reference: string | null
  incidentId: string | null
  answers: ApiReceived[]
}> {
  allow(caller, 'sources:write', projectId)
  const row = await sourceRow(core, projectId, sourceId)
  const adapter = adapterOf(row.adapter)
  const secret = await currentSecret(core, row.id)
  const id = `tocsin-test-${core.newId()}`
  const settings = readSettings(row.settings)
  const answers: ApiReceived[] = []
  const at = core.now().toISOString()
  for (const kind of ['fire', 'recover'] as const) {
    const test = adapter.testRequest(kind, { id, at, secret, projectId, settings })
    if (!test) continue
    const { request, address } = hookRequestOf(row, secret, test, core.now().toISOString())
    const { echo: _, ...answer } = await core.receive(request, address, undefined, { drill: true })
    answers.push(answer)
  }
  const incident = answers[0]?.incident ?? null
  if (incident && adapter.says.resolves === null) {
    const person: Caller = { ...caller, scopes: ['incidents:write'] }
    // Each test is an incident of its own, also under an Idempotency-Key.
    await resolveIncident({ ...core, once: null }, person, projectId, incident.id, {
      note: 'The test is over.',
    })
  }
  return {
    success: incident !== null,
    reference: incident?.reference ?? null,
    incidentId: incident?.id ?? null,
    answers,
  }
}

function hookRequestOf(
  row: SourceRow,
  secret: string,
  test: TestRequest,
  receivedAt: string,
): { request: HookRequest; address: ReceiveAddress } {
  const byToken = row.address === 'token'
  const headers = new Map(Object.entries(test.headers).map(([name, value]) => [name.toLowerCase(), [value]]))
  return {
    request: {
      method: 'POST',
      path: byToken
        ? `/api/webhooks/${row.adapter}/${secret}`
        : `/api/v1/webhooks/${row.project_id}/${row.adapter}`,
      query: new URLSearchParams(test.query),
      headers,
      rawBody: Buffer.from(test.body),
      receivedAt,
      ip: null,
    },
    address: byToken
      ? { kind: 'token', token: secret, adapter: row.adapter }
      : { kind: 'project', projectId: row.project_id, adapter: row.adapter, sourceId: row.id },
  }
}

// ---- shown to people ----

async function show(
  core: Core,
  projectId: string,
  rows: SourceRow[],
  withSecrets: boolean,
): Promise<ApiSource[]> {
  if (rows.length === 0) return []
  const project = await projectRow(core, projectId)
  const policy = readPolicy(project.policy)
  const health = await healthOf(
    core,
    rows.map((row) => row.id),
  )
  return Promise.all(
    rows.map(async (row): Promise<ApiSource> => {
      const adapter = adapterOf(row.adapter)
      const settings = readSettings(row.settings)
      const { grouping, groupBy, reopenWindowMinutes, resolveScope, strictExternalId } = effectivePolicy(
        policy,
        settings,
        adapter,
      )
      const secret = withSecrets ? await currentSecret(core, row.id) : MASKED
      const url = urlOf(core, projectId, row.adapter, row.address as AddressKind, secret)
      return {
        id: row.id,
        adapter: row.adapter,
        name: row.name,
        enabled: row.enabled === 1,
        address: row.address as AddressKind,
        url,
        ...(row.address !== 'token' && { secret }),
        settings,
        effective: { grouping, groupBy, reopenWindowMinutes, resolveScope, strictExternalId },
        health: health.get(row.id)!,
        setup: adapter.setup.map((step) => ({ step: step.replaceAll('{url}', url) })),
        createdAt: row.created_at,
      }
    }),
  )
}

/** The address to paste into the tool. */
function urlOf(
  { publicUrl }: Pick<Core, 'publicUrl'>,
  projectId: string,
  adapter: string,
  address: AddressKind,
  token: string,
): string {
  const { path, dropIn } = adapterOf(adapter)
  if (path && address === (dropIn ? 'project' : 'token')) return publicUrl + path.replace('{token}', token)
  return address === 'token'
    ? `${publicUrl}/api/webhooks/${adapter}/${token}`
    : `${publicUrl}/api/v1/webhooks/${projectId}/${adapter}`
}

// ---- helpers ----

async function sourceRow(core: Core, projectId: string, sourceId: string): Promise<SourceRow> {
  return (await core.database.query(sourceById, { projectId, id: sourceId }))[0] ?? noSource()
}

async function currentSecret(core: Core, sourceId: string): Promise<string> {
  const row = (await core.database.query(credentialsOf, { sourceId })).find((c) => c.expires_at === null)
  if (!row) throw new Error(`source ${sourceId} has no current credential`)
  return openSecret(core.secretKey, row.sealed, aad(row.id))
}

function newCredential(
  core: Pick<Core, 'newId' | 'now' | 'secretKey' | 'random'>,
  source: SourceRow,
  secret: string,
): CredentialRow {
  const id = core.newId()
  return {
    id,
    source_id: source.id,
    project_id: source.project_id,
    lookup_hash: lookUpHash(source, secret),
    sealed: sealSecret(core.secretKey, secret, aad(id), core.random),
    created_at: core.now().toISOString(),
    expires_at: null,
  }
}

/** What its address alone finds a source by; null where the address names the project. */
function lookUpHash(source: SourceRow, secret: string): string | null {
  if (source.address === 'token') return hashToken(secret)
  return adapterOf(source.adapter).dropIn ? hashDropIn(source.adapter, secret) : null
}

const sourcesWithHash = statement<{ hash: string }, { source_id: string; project_id: string }>((db, p) =>
  db.selectFrom('source_credential').select(['source_id', 'project_id']).where('lookup_hash', '=', p('hash')),
)

/**
 * What alone says which source cannot be shared: a token by two sources, a drop-in credential by two projects. Answers as
 * to one of the wrong form, not that somebody else has it.
 */
function* refuseTakenToken(source: SourceRow, { lookup_hash }: CredentialRow): Work<void> {
  if (lookup_hash === null || !isAlone(adapterOf(source.adapter), source.address as AddressKind)) return
  const taken = yield* all(sourcesWithHash, { hash: lookup_hash })
  const isOwn = (other: (typeof taken)[number]) =>
    other.source_id === source.id || (source.address !== 'token' && other.project_id === source.project_id)
  if (taken.every(isOwn)) return
  throw unfitSecret()
}

function aad(credentialId: string): string {
  return `source_credential/${credentialId}/sealed`
}

export function adapterOf(slug: string): Adapter {
  const adapter = adapterBySlug(slug)
  if (adapter) return adapter
  const known = adapters.map((a) => a.slug).join(', ')
  throw new TocsinError(
    'invalid_request',
    `adapter: unknown. Known are ${known}; use generic for any other JSON.`,
  )
}

/** Whether the credential alone tells the source: no project stands in the address or in the body. */
function isAlone(adapter: Adapter, address: AddressKind): boolean {
  return address === 'token' || (adapter.dropIn !== undefined && adapter.dropIn.projectId === undefined)
}

function newSecretFor(adapter: Adapter, random: Random): string {
  return adapter.secretForm === 'hex32' ? random(16).toString('hex') : newSecret(random)
}

/** What alone tells the source is also all that guards it; other secrets may be any text the sender made. */
function checkedSecret(
  secret: string | undefined,
  address: AddressKind,
  adapter: Adapter,
): string | undefined {
  if (secret === undefined) return undefined
  if (isAlone(adapter, address) && !/^[A-Za-z0-9_-]{20,200}$/.test(secret)) {
    throw unfitSecret()
  }
  if (secret.length < LEAST_SECRET || secret !== secret.trim()) {
    throw new TocsinError(
      'invalid_request',
      `secret: needs at least ${LEAST_SECRET} characters and no space at its ends. Leave it out to get one.`,
    )
  }
  return secret
}

function unfitSecret(): TocsinError {
  return new TocsinError(
    'invalid_request',
    'secret: what alone tells the source must be random, its own, and 20 to 200 letters, digits, - or _. Leave it out to get one.',
  )
}

function checkedSettings(settings: SourceSettings): SourceSettings {
  for (const cidr of settings.cidrs) {
    const [network, bits, ...more] = cidr.split('/')
    const family = isIP(network ?? '')
    const most = family === 6 ? 128 : 32
    const validBits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most)
    if (family === 0 || more.length > 0 || !validBits) {
      throw new TocsinError(
        'invalid_request',
        'settings.cidrs: not an address range. Write 192.0.2.0/24 or 2001:db8::/32.',
      )
    }
  }
  if (settings.staleAfterMinutes !== null) {
    throw new TocsinError(
      'invalid_request',
      'settings.staleAfterMinutes: not available in this version; leave it out.',
    )
  }
  return settings
}

const OWN_SETTINGS = ['mapping', 'sentryProject'] satisfies OwnSetting[]

/**
 * Throws `invalid_request` on a setting that the adapter would not read. One that a source has already may stay.
 * `place` is what stands before its name.
 */
export function checkOwnSettings(
  adapter: Adapter,
  before: SourceSettings,
  input: Pick<ApiSourceSettingsInput, OwnSetting>,
  place: string,
): void {
  for (const name of OWN_SETTINGS) {
    const value = input[name] ?? null
    if (value === null || adapter.ownSettings?.includes(name)) continue
    if (isDeepStrictEqual(value, before[name])) continue
    const readers = adapters.filter(({ ownSettings }) => ownSettings?.includes(name)).map(({ slug }) => slug)
    throw new TocsinError(
      'invalid_request',
      `${place}${name}: not read by ${adapter.slug}, only by ${readers.join(' and ')}. Leave it out.`,
    )
  }
}

/** Throws `invalid_request` on what is meant as a path into the body and is none. `place` is what the caller calls it. */
export function checkMapping(mapping: ApiMapping | null | undefined, place: string): void {
  for (const [field, text] of Object.entries(mapping ?? {})) {
    if (text === undefined || !isBrokenPath(text)) continue
    throw new TocsinError(
      'invalid_request',
      `${place}.${field}: begins like a path into the body but is none. Write json(a.b), closed and with nothing around it.`,
    )
  }
}

function noSource(): never {
  throw new TocsinError('not_found', 'source: no such source in this project.')
}
