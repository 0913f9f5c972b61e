import { type Insertable, sql } from 'kysely'
import type {
  ApiEndpoint,
  ApiEndpointInput,
  ApiEndpointPatch,
  ApiMessage,
  ApiMessageType,
  ApiPage,
  ApiRetryPolicy,
} from '../api-types.ts'
import { beginCatchUp } from '../delivery/catch-up.ts'
import { testBody } from '../delivery/message-body.ts'
import { newMessage, tellOthers } from '../delivery/results.ts'
import { CLOSED_BREAKER } from '../delivery/retry-policy.ts'
import { isSigningSecret, newSigningSecret, type SignatureOption } from '../delivery/sign.ts'
import { checkTarget, TargetRefused } from '../delivery/targets.ts'
import { secretPlace } from '../delivery/worker.ts'
import { TocsinError } from '../errors.ts'
import {
  type EndpointRow,
  type EndpointSecretRow,
  endpointById,
  endpointByUrl,
  lockEndpoints,
  removeEndpoint,
  removeSecrets,
  secretsOfEndpoints,
} from '../store/endpoint.ts'
import { insertMessages, NO_LANES } from '../store/message.ts'
import { type EndpointFilters, NO_FILTERS, readFilters } from '../store/outbox.ts'
import type { EndpointSecretTable } from '../store/schema.ts'
import { openSecret, sealSecret } from '../store/secrets.ts'
import { all, insertRows, isAnyOf, run, statement, updateRows, type Work } from '../store/statement.ts'
import type { Caller } from '../tocsin.ts'
import { allow, type Core, can, change, cutPage, readPage } from './core.ts'
import { messageToApi } from './messages.ts'
import { configChanged, keepProject, projectRow } from './projects.ts'

const MASKED = '********'
const OVERLAP_MINUTES = 1440
/** Each has a signature in a header of every message. */
const MOST_SECRETS = 10
const DEFAULT_POLICY: ApiRetryPolicy = 'standard-3d'
const PRESETS = {
  uptimera: {
    signature: { header: 'X-Uptimera-Signature', format: 'hex' },
    policy: 'uptimera-30m',
  },
} satisfies Record<string, { signature: SignatureOption; policy: ApiRetryPolicy }>

/** Headers a second signature may not take the place of. */
const TAKEN_HEADERS =
  /^(webhook-.*|content-.*|accept.*|date|transfer-encoding|connection|keep-alive|host|user-agent|expect|upgrade|te|trailer|proxy-.*|via|forwarded|cookie|authorization|tocsin-.*|__proto__)$/i
/** RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** Idempotent by URL: the one that is there is answered, unchanged; one that is kept comes back, and what waited goes out. */
export async function createEndpoint(
  core: Core,
  caller: Caller,
  projectId: string,
  input: ApiEndpointInput,
): Promise<{ endpoint: ApiEndpoint; secret: string | null }> {
  allow(caller, 'endpoints:write', projectId)
  const project = await projectRow(core, projectId)
  checkPlan(project.plan)
  const url = await checkedUrl(core, input.url)
  const preset = input.preset && PRESETS[input.preset]
  const enabled = input.enabled ?? true
  const policy = input.policy ?? preset?.policy
  const signature = input.signature === undefined ? preset?.signature : input.signature
  const asked = {
    description: input.description ?? null,
    enabled: Number(enabled),
    disabled_reason: enabled ? null : 'by_hand',
    filters: JSON.stringify(changeFilters(NO_FILTERS, input)),
    ...FRESH,
    kept_until: null,
  }
  const fresh = checkedSecret(input.secret) ?? newSigningSecret(core.random)
  const { row, secret } = await change(core, function* (context) {
    yield* configChanged(projectId)
    const known = yield* all(endpointByUrl, { projectId, url })
    const [before] = yield* lockEndpoints(known.map(({ id }) => id))
    if (before && before.kept_until === null) return { row: before, secret: null }
    yield* checkSources(projectId, input.sources)
    if (before && before.kept_until! > context.now) {
      const row = {
        ...before,
        ...asked,
        policy: policy ?? before.policy,
        signature: signature === undefined ? before.signature : signatureText(signature),
      }
      yield* removeSecrets(row.id)
      yield* insertRows('endpoint_secret', [newSecretRow(core, row, fresh)])
      yield* updateRows('endpoint', [row])
      if (enabled || row.policy !== before.policy) yield* beginCatchUp(row, context.now, enabled)
      core.onMessages()
      return { row, secret: fresh }
    }
    if (before) yield* removeEndpoint(before.id)
    const row: EndpointRow = {
      id: core.newId(),
      project_id: projectId,
      url,
      ...asked,
      policy: policy ?? DEFAULT_POLICY,
      signature: signatureText(signature ?? null),
      created_at: core.now().toISOString(),
      last_success_at: null,
      last_failure_at: null,
      delivered: 0,
      failed: 0,
      attempts: 0,
    }
    yield* insertRows('endpoint', [row])
    yield* insertRows('endpoint_secret', [newSecretRow(core, row, fresh)])
    return { row, secret: fresh }
  })
  core.directory.forget(projectId)
  const [endpoint] = await show(core, caller, [row])
  return { endpoint: endpoint!, secret }
}

export async function listEndpoints(
  core: Core,
  caller: Caller,
  projectId: string,
  page: ApiPage,
): Promise<{ endpoints: ApiEndpoint[]; nextCursor: string | null }> {
  allow(caller, 'endpoints:read', projectId)
  await projectRow(core, projectId)
  const { limit, after } = readPage(page)
  let query = core.database.read
    .selectFrom('endpoint')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('kept_until', 'is', null)
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (after !== undefined) query = query.where('id', '<', after)
  const { page: rows, nextCursor } = cutPage(await query.execute(), limit)
  return { endpoints: await show(core, caller, rows), nextCursor }
}

export async function getEndpoint(
  core: Core,
  caller: Caller,
  projectId: string,
  endpointId: string,
): Promise<{ endpoint: ApiEndpoint }> {
  allow(caller, 'endpoints:read', projectId)
  const [endpoint] = await show(core, caller, [await endpointRow(core, projectId, endpointId)])
  return { endpoint: endpoint! }
}

/** Switching on, also what is on already, ends breaker and pause, and what waited goes out. */
export async function updateEndpoint(
  core: Core,
  caller: Caller,
  projectId: string,
  endpointId: string,
  patch: ApiEndpointPatch,
): Promise<{ endpoint: ApiEndpoint; secret?: string }> {
  allow(caller, 'endpoints:write', projectId)
  const project = await projectRow(core, projectId)
  if (patch.enabled) checkPlan(project.plan)
  const url = patch.url === undefined ? undefined : await checkedUrl(core, patch.url)
  const preset = patch.preset && PRESETS[patch.preset]
  const fresh = newSigningSecret(core.random)
  const { row, secret } = await change(core, function* (context) {
    yield* configChanged(projectId)
    const known = url === undefined ? [] : yield* all(endpointByUrl, { projectId, url })
    const locked = yield* lockEndpoints([endpointId, ...known.map(({ id }) => id)])
    const before =
      locked.find(
        (row) => row.id === endpointId && row.project_id === projectId && row.kept_until === null,
      ) ?? noEndpoint()
    if (url !== undefined && url !== before.url) {
      const [other] = known
      if (other && other.kept_until !== null) yield* removeEndpoint(other.id)
      else if (other)
        throw new TocsinError('conflict', 'url: another endpoint of this project has it. Change that one.')
    }
    yield* checkSources(projectId, patch.sources)
    const signature = patch.signature === undefined ? preset?.signature : patch.signature
    const after: EndpointRow = {
      ...before,
      url: url ?? before.url,
      description: patch.description === undefined ? before.description : patch.description,
      policy: patch.policy ?? preset?.policy ?? before.policy,
      filters: JSON.stringify(changeFilters(readFilters(before.filters), patch)),
      signature: signature === undefined ? before.signature : signatureText(signature),
    }
    if (patch.enabled === true) {
      // One that is on still has to tell when it has been failing for too long.
      Object.assign(
        after,
        before.enabled === 1 ? SENT_TO_AGAIN : { ...FRESH, enabled: 1, disabled_reason: null },
      )
    }
    const switchedOff = patch.enabled === false && before.enabled === 1
    // Who switches off what Tocsin had switched off wants nothing more to be queued.
    if (patch.enabled === false && before.disabled_reason !== 'gone')
      Object.assign(after, { enabled: 0, disabled_reason: 'by_hand' })
    if (patch.enabled === true || after.policy !== before.policy) {
      yield* beginCatchUp(after, context.now, patch.enabled === true)
    }
    const movedHost = new URL(after.url).host !== new URL(before.url).host
    if (movedHost) {
      // Whoever answers at the new host must not learn what the old one was signed with.
      yield* removeSecrets(before.id)
      yield* insertRows('endpoint_secret', [newSecretRow(core, before, fresh)])
    }
    yield* updateRows('endpoint', [after])
    if (switchedOff) yield* tellOthers(after, context)
    core.onMessages()
    return { row: after, secret: movedHost ? fresh : null }
  })
  core.directory.forget(projectId)
  const [endpoint] = await show(core, caller, [row])
  return { endpoint: endpoint!, ...(secret !== null && { secret }) }
}

/**
 * With its messages and their log. Kept for a while, it is gone for everybody and is sent nothing, but what waits goes on
 * waiting, and more with it, for whoever creates an endpoint with its URL.
 */
export async function deleteEndpoint(
  core: Core,
  caller: Caller,
  projectId: string,
  endpointId: string,
  { keepMinutes = 0 }: { keepMinutes?: number } = {},
): Promise<void> {
  allow(caller, 'endpoints:write', projectId)
  await change(core, function* (context) {
    yield* configChanged(projectId)
    if ((yield* all(endpointById, { projectId, id: endpointId })).length === 0) noEndpoint()
    if (keepMinutes === 0) {
      yield* removeEndpoint(endpointId)
      return
    }
    const until = new Date(Date.parse(context.now) + keepMinutes * 60_000).toISOString()
    yield* updateRows('endpoint', [{ id: endpointId, enabled: 0, kept_until: until }])
  })
  core.directory.forget(projectId)
  if (keepMinutes === 0) core.onGone()
}

const secretsOf = statement<{ endpointId: string }, EndpointSecretRow>((db, p) =>
  db
    .selectFrom('endpoint_secret')
    .selectAll()
    .where('endpoint_id', '=', p('endpointId'))
    .orderBy('id', 'desc'),
)

const dropSecret = statement<{ id: string }, unknown>((db, p) =>
  db.deleteFrom('endpoint_secret').where('id', '=', p('id')),
)

/** A new secret; both sign for the overlap. Of many in overlap the oldest end early. */
export async function rotateEndpoint(
  core: Core,
  caller: Caller,
  projectId: string,
  endpointId: string,
  input: { overlapMinutes?: number },
): Promise<{ endpoint: ApiEndpoint; secret: string }> {
  allow(caller, 'endpoints:write', projectId)
  const fresh = newSigningSecret(core.random)
  const { row, secret } = await change(core, function* (context) {
    yield* configChanged(projectId)
    const endpoint = (yield* all(endpointById, { projectId, id: endpointId }))[0] ?? noEndpoint()
    const end = new Date(
      Date.parse(context.now) + (input.overlapMinutes ?? OVERLAP_MINUTES) * 60_000,
    ).toISOString()
    for (const [index, old] of (yield* all(secretsOf, { endpointId })).entries()) {
      const expires = old.expires_at !== null && old.expires_at < end ? old.expires_at : end
      if (expires <= context.now || index >= MOST_SECRETS - 1) yield* run(dropSecret, { id: old.id })
      else yield* updateRows('endpoint_secret', [{ ...old, expires_at: expires }])
    }
    yield* insertRows('endpoint_secret', [newSecretRow(core, endpoint, fresh)])
    return { row: endpoint, secret: fresh }
  })
  const [endpoint] = await show(core, caller, [row])
  return { endpoint: endpoint!, secret }
}

/** Goes the way of every message, but is tried once. */
export async function testEndpoint(
  core: Core,
  caller: Caller,
  projectId: string,
  endpointId: string,
): Promise<{ message: ApiMessage }> {
  allow(caller, 'endpoints:write', projectId)
  const project = await projectRow(core, projectId)
  checkPlan(project.plan)
  const row = await endpointRow(core, projectId, endpointId)
  if (row.enabled === 0) {
    throw new TocsinError(
      'conflict',
      'The endpoint is switched off. Switch it on with {"enabled": true} first.',
    )
  }
  await checkedUrl(core, row.url)
  const message = await change(core, function* (context) {
    yield* keepProject(projectId)
    const { id, url } = (yield* all(endpointById, { projectId, id: endpointId }))[0] ?? noEndpoint()
    const made = newMessage({
      id: core.newId(),
      project_id: projectId,
      endpoint_id: id,
      type: 'test',
      incident_id: null,
      sequence: null,
      body: testBody(context.now, { id, url }, { id: projectId, name: project.name }),
      policy: 'once',
      now: context.now,
    })
    yield* insertMessages([made], NO_LANES)
    core.onMessages()
    return made
  })
  return {
    message: messageToApi({
      ...message,
      incident_id: null,
      sequence: null,
      reason: null,
      status: 'pending',
      due_at: message.created_at,
      gap: 0,
    }),
  }
}

// ---- shown to people ----

async function show(core: Core, caller: Caller, rows: EndpointRow[]): Promise<ApiEndpoint[]> {
  if (rows.length === 0) return []
  const ids = rows.map((row) => row.id)
  const pending = await core.database.read
    .selectFrom('message')
    .select(['endpoint_id', (eb) => eb.fn.countAll<number>().as('count')])
    .where('endpoint_id', 'in', ids)
    .where('status', '=', sql.lit('pending'))
    .groupBy('endpoint_id')
    .execute()
  const secrets = can(caller, 'secrets:read')
    ? await core.database.query(secretsOfEndpoints, { ids, now: core.now().toISOString() })
    : []
  return rows.map((row): ApiEndpoint => {
    const current = secrets.find((secret) => secret.endpoint_id === row.id && secret.expires_at === null)
    const { events, severities, services, labels, sources, drills } = readFilters(row.filters)
    return {
      id: row.id,
      url: row.url,
      description: row.description,
      enabled: row.enabled === 1,
      disabledReason: row.disabled_reason as ApiEndpoint['disabledReason'],
      events: events as ApiMessageType[],
      severities,
      services,
      labels,
      sources,
      drills,
      policy: row.policy as ApiRetryPolicy,
      signature: row.signature === null ? null : (JSON.parse(row.signature) as SignatureOption),
      secret: current ? openSecret(core.secretKey, current.sealed, secretPlace(current.id)) : MASKED,
      counters: {
        pending: Number(pending.find((one) => one.endpoint_id === row.id)?.count ?? 0),
        delivered: row.delivered,
        failed: row.failed,
        attempts: row.attempts,
        lastSuccessAt: row.last_success_at,
        lastFailureAt: row.last_failure_at,
        waitingUntil: waitingUntil(row, core.now().toISOString()),
      },
      createdAt: row.created_at,
    }
  })
}

/** Until when an endpoint that is on is left in peace, by its breaker or at its own wish. */
function waitingUntil({ enabled, open_until, paused_until }: EndpointRow, now: string): string | null {
  const times = [open_until, paused_until].filter((time) => time !== null && time > now)
  return enabled === 1 ? (times.toSorted().at(-1) ?? null) : null
}

// ---- helpers ----

/** Neither breaker nor pause. */
const SENT_TO_AGAIN = { breaker: JSON.stringify(CLOSED_BREAKER), open_until: null, paused_until: null }

/** No failure behind it. */
const FRESH = {
  ...SENT_TO_AGAIN,
  failing_since: null,
  warned_at: null,
}

export async function endpointRow(core: Core, projectId: string, endpointId: string): Promise<EndpointRow> {
  return (await core.database.query(endpointById, { projectId, id: endpointId }))[0] ?? noEndpoint()
}

async function checkedUrl(core: Core, text: string): Promise<string> {
  try {
    return (await checkTarget(text, core.targets, core.resolve)).href
  } catch (error) {
    if (!(error instanceof TargetRefused)) throw error
    throw new TocsinError('invalid_request', `url: ${error.message}`)
  }
}

const knownSources = statement<{ projectId: string; ids: string[] }, { id: string }>((db, p) =>
  db
    .selectFrom('source')
    .select('id')
    .where('project_id', '=', p('projectId'))
    .where(isAnyOf('source.id', p.list('ids'))),
)

/** A filter that names none would let nothing through, silently. */
function* checkSources(projectId: string, ids: string[] = []): Work<void> {
  if (ids.length === 0) return
  const known = (yield* all(knownSources, { projectId, ids })).map(({ id }) => id)
  const unknown = ids.find((id) => !known.includes(id))
  if (unknown === undefined) return
  throw new TocsinError(
    'invalid_request',
    `sources: ${JSON.stringify(unknown)} is no source of this project. Its sources are at /api/v1/projects/${projectId}/sources.`,
  )
}

function changeFilters(before: EndpointFilters, input: ApiEndpointPatch): EndpointFilters {
  const { events, severities, services, labels, sources, drills } = input
  return {
    events: events ? [...new Set(events)] : before.events,
    severities: severities ?? before.severities,
    services: services ?? before.services,
    labels: labels ?? before.labels,
    sources: sources ?? before.sources,
    drills: drills ?? before.drills,
  }
}

function signatureText(signature: SignatureOption | null): string | null {
  if (signature === null) return null
  if (!TOKEN.test(signature.header)) {
    throw new TocsinError(
      'invalid_request',
      'signature.header: that is no name of a header. Choose one such as X-Signature.',
    )
  }
  if (TAKEN_HEADERS.test(signature.header)) {
    throw new TocsinError(
      'invalid_request',
      'signature.header: that header has a meaning of its own. Choose one such as X-Signature.',
    )
  }
  return JSON.stringify(signature)
}

function checkedSecret(secret: string | undefined): string | undefined {
  if (secret === undefined || isSigningSecret(secret)) return secret
  throw new TocsinError(
    'invalid_request',
    'secret: must be whsec_ and 24 to 64 bytes in base64. Leave it out to get one.',
  )
}

function newSecretRow(
  core: Core,
  endpoint: Pick<EndpointRow, 'id' | 'project_id'>,
  secret: string,
): Insertable<EndpointSecretTable> {
  const id = core.newId()
  return {
    id,
    endpoint_id: endpoint.id,
    project_id: endpoint.project_id,
    sealed: sealSecret(core.secretKey, secret, secretPlace(id), core.random),
    created_at: core.now().toISOString(),
    expires_at: null,
  }
}

function checkPlan(plan: string): void {
  if (plan !== 'free') return
  throw new TocsinError(
    'plan_required',
    'Outgoing webhooks need the plan pro or team. Change the plan first.',
  )
}

function noEndpoint(): never {
  throw new TocsinError('not_found', 'endpoint: no such endpoint in this project.')
}
