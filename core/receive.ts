import { hash } from 'node:crypto'
import { BlockList, isIPv6 } from 'node:net'
import type { Insertable } from 'kysely'
import { ZodError } from 'zod'
import type { Adapter } from './adapters/adapter.ts'
import { findHeaderFault, readBody } from './adapters/read-body.ts'
import { isShortAddress, readerOf } from './adapters/reader.ts'
import { adapterBySlug } from './adapters/registry.ts'
import { CONFIG_CHANGED, type Command, type ReceiveCommand, type ReceiveResult } from './commands.ts'
import { diagnoseRefusal, diagnoseStranger, findApiKey, type StrangerContext } from './diagnose.ts'
import type { Directory, KnownProject, KnownSource } from './directory.ts'
import { type ErrorCode, TocsinError } from './errors.ts'
import { explain } from './explain.ts'
import { withoutSecrets } from './hide-secrets.ts'
import type { RequestDecision } from './matcher/decide-request.ts'
import { hourlyLimit } from './matcher/limit.ts'
import { RULES } from './matcher/rules.ts'
import type { MatchEvent } from './matcher/state.ts'
import { normalise } from './normalise.ts'
import { NO_SETTINGS } from './policy.ts'
import { reference } from './reference.ts'
import { bareAddress } from './sender-address.ts'
import { createEarlierBodies } from './store/earlier-body.ts'
import { hookRequestRow, type LoggedRequest } from './store/hook-request.ts'
import type { HookRequestTable } from './store/schema.ts'
import { hashDropIn, hashToken } from './store/secrets.ts'
import type { Writer } from './store/writer.ts'
import { tallyOf } from './tally.ts'
import type { Caller, Log, ReceiveAddress, Received } from './tocsin.ts'
import type { HookRequest, ParsedRequest } from './types.ts'

/** How often a request is authenticated anew because the configuration changed meanwhile. */
const MOST_TRIES = 20
/** What is verified against where there is no secret, so that it takes the time of one. */
const NO_SECRET = 'no secret of anybody, of the length of one'
/** Rejections waiting to be logged; beyond that a flood of strangers is not worth the disk. */
const MOST_STRANGERS = 100
const MOST_STRANGER_BYTES = 8 * 1024 * 1024

const STATUS: Partial<Record<ErrorCode, number>> = {
  malformed_body: 400,
  invalid_payload: 400,
  invalid_request: 400,
  unauthorized: 401,
  ingestion_disabled: 403,
  ip_not_allowed: 403,
  not_found: 404,
  method_not_allowed: 405,
  payload_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  unavailable: 503,
}

export interface ReceiveOptions {
  /** A test of ours: everything in it is a drill (N3). */
  drill?: boolean
  /** A kept request that runs again at its original place; authenticated when it first came. */
  replay?: { requestId: string; sourceId: string; wasAccepted: boolean }
  /** Decides a command without storing anything. */
  dryRun?: (command: ReceiveCommand) => Promise<ReceiveResult>
}

export type Receive = (
  request: HookRequest,
  address: ReceiveAddress,
  refusal?: TocsinError,
  options?: ReceiveOptions,
) => Promise<Received>

/** The flow of a webhook in reading order: authenticate, parse, match, commit, answer. */
export function createReceive({
  directory,
  writer,
  authenticateKey,
  newId,
  log,
  strangerDelayMs = 250,
}: {
  directory: Directory
  writer: Writer<Command, unknown>
  authenticateKey: (key: string) => Promise<Caller | undefined>
  newId: () => string
  log: Log
  /** How long rejections of strangers wait to be stored together. */
  strangerDelayMs?: number | undefined
}): Receive {
  const strangers: Parameters<typeof storeStranger>[] = []
  const earlierBodies = createEarlierBodies()

  return async function receive(...call) {
    try {
      return await receiveOnce(...call)
    } catch (error) {
      if (error instanceof TocsinError) throw error
      log('error', 'receiving failed', { err: error })
      throw new TocsinError(
        'unavailable',
        'Not taken, through a fault of ours or of the database: send it again.',
        {
          retryAfterSeconds: 5,
          cause: error,
        },
      )
    }
  }

  async function receiveOnce(
    ...[request, address, refusal, options = {}]: Parameters<Receive>
  ): ReturnType<Receive> {
    for (let attempt = 1; attempt <= MOST_TRIES; attempt++) {
      const requestId = options.replay?.requestId ?? newId()
      const { project, source } = await authenticate(request, address, requestId, refusal, options)
      const kept = withoutSecrets(request, secretsOf([source]))
      const parsed = await accept(kept, project, source, requestId, refusal, options)
      if (parsed === CONFIG_CHANGED) continue
      const result = await store(kept, project, source, requestId, parsed, options)
      if (result !== CONFIG_CHANGED) return answer(result, requestId, parsed.echo)
      directory.forget(project.id)
    }
    throw new TocsinError('unavailable', 'The configuration keeps changing; try again.', {
      retryAfterSeconds: 1,
    })
  }

  // ---- authenticate ----

  async function authenticate(
    request: HookRequest,
    address: ReceiveAddress,
    requestId: string,
    refusal: TocsinError | undefined,
    { replay }: ReceiveOptions,
  ): Promise<{ project: KnownProject; source: KnownSource }> {
    if (address.kind === 'drop-in') return authenticateAtDropIn(request, address, requestId, refusal)
    const lookUp = async (fresh: boolean) => {
      if (address.kind === 'token') return (await directory.projectsOf(hashToken(address.token), fresh))[0]
      const { projectId } = address
      if (fresh) return projectNamed(projectId)
      return isProjectId(projectId) ? directory.project(projectId.toLowerCase()) : undefined
    }

    const known = await lookUp(false)
    if (known && replay) {
      const source = known.sources.find((s) => s.id === replay.sourceId)
      if (source) return { project: known, source }
      throw new TocsinError('conflict', 'The source of this request has been deleted; it cannot be replayed.')
    }
    const remembered = vouchedFor(request, address, known)
    if (known && remembered) return { project: known, source: remembered }

    // A refusal is never made from memory: the credential may be new. From here on an unknown project costs what a known
    // one does: how long a refusal takes must not tell which ones there are.
    const project = known || address.kind === 'token' ? await lookUp(true) : undefined
    const source = vouchedFor(request, address, project)
    if (project && source) return { project, source }
    const caller = address.adapter === 'generic' ? await writingCaller(bearerOf(request)) : undefined
    if (project && caller && (caller.projectId === null || caller.projectId === project.id)) {
      return onlySource(request, address, project, requestId)
    }

    if (project) logStranger(request, address, async () => project, requestId, refusal)
    // A signature cannot be checked over a body that was cut off; what refuses it is the same for everybody.
    throw withRequestId(refusal ?? unauthorized(), requestId)
  }

  /**
   * At the one address of a drop-in adapter the credential tells the source. Where the body names a project as well, it
   * must be that source's: the credential is right then, so another one is a 404.
   */
  async function authenticateAtDropIn(
    request: HookRequest,
    address: ReceiveAddress & { kind: 'drop-in' },
    requestId: string,
    refusal: TocsinError | undefined,
  ): Promise<{ project: KnownProject; source: KnownSource }> {
    const adapter = adapterBySlug(address.adapter)
    if (!adapter?.dropIn) throw withRequestId(refusal ?? unauthorized(), requestId)
    const { dropIn } = adapter
    let given: string | undefined
    try {
      given = dropIn.credential(request) || undefined
    } catch (error) {
      if (error instanceof TocsinError) throw withRequestId(refusal ?? error, requestId)
      throw error
    }
    const named = dropIn.projectId && namedProject(dropIn.projectId, request)

    const opened: { project: KnownProject; source: KnownSource }[] = []
    let holders: KnownProject[] = []
    // A refusal is never made from memory: the credential may be new.
    for (const fresh of given === undefined ? [] : [false, true]) {
      holders = await directory.projectsOf(hashDropIn(adapter.slug, given!), fresh)
      opened.splice(0)
      for (const project of holders) {
        const source = sourcesAt(address, project).find((candidate) =>
          candidate.credentials.some((c) => isValidFor(request, c) && sameToken(c.secret, given!)),
        )
        if (source) opened.push({ project, source })
      }
      const meant =
        named === undefined ? opened[0] : opened.find(({ project }) => project.id === named.toLowerCase())
      if (meant) return meant
    }

    const [known] = opened
    if (known) {
      const error = noSuchProject(named!)
      await logRefusal(request, known.project, known.source, requestId, error, {})
      throw withRequestId(error, requestId)
    }
    const caller = dropIn.takesApiKey ? await writingCaller(given) : undefined
    if (caller) {
      const projectId = caller.projectId ?? named
      // A key of all projects, and a body that names none.
      if (projectId === undefined) throw withRequestId(refusal ?? noProjectNamed(), requestId)
      const project = await projectNamed(projectId)
      if (!project || (named !== undefined && project.id !== named.toLowerCase())) {
        throw withRequestId(noSuchProject(named ?? projectId), requestId)
      }
      return onlySource(request, address, project, requestId)
    }
    // The project that is named is looked up after the answer, whose time must not tell whether it is there.
    const owner = async () => (named === undefined ? undefined : await projectNamed(named)) ?? holders[0]
    if (named !== undefined || holders.length > 0) logStranger(request, address, owner, requestId, refusal)
    throw withRequestId(refusal ?? unauthorized(), requestId)
  }

  async function projectNamed(id: string): Promise<KnownProject | undefined> {
    return isProjectId(id) ? directory.fresh(id.toLowerCase()) : undefined
  }

  /** The first source whose credential verifies owns the request. Where none can, one is pretended. */
  function vouchedFor(
    request: HookRequest,
    address: Exclude<ReceiveAddress, { kind: 'drop-in' }>,
    project: KnownProject | undefined,
  ): KnownSource | undefined {
    const candidates = project ? sourcesAt(address, project) : []
    if (address.kind === 'token') {
      return candidates.find((source) =>
        source.credentials.some((c) => isValidFor(request, c) && sameToken(c.secret, address.token)),
      )
    }

    if (candidates.length === 0) adapterBySlug(address.adapter)?.verify(request, NO_SECRET, NO_SETTINGS)
    return candidates.find((source) => {
      const repeated = source.adapter
        .credentialHeaders(source.settings)
        .some((name) => (request.headers.get(name.toLowerCase())?.length ?? 0) > 1)
      return (
        !repeated &&
        source.credentials.some(
          (c) => isValidFor(request, c) && source.adapter.verify(request, c.secret, source.settings),
        )
      )
    })
  }

  /** Who may send with an API key. */
  async function writingCaller(key: string | undefined): Promise<Caller | undefined> {
    const caller = key === undefined ? undefined : await authenticateKey(key)
    return caller?.scopes.includes('events:write') || caller?.scopes.includes('admin') ? caller : undefined
  }

  /** The source an API key means: the only one there is, or the one the address asks for (design.md 5). */
  async function onlySource(
    request: HookRequest,
    address: ReceiveAddress,
    project: KnownProject,
    requestId: string,
  ): Promise<{ project: KnownProject; source: KnownSource }> {
    const [source, ...others] = sourcesAt(address, project)
    if (source && others.length === 0) return { project, source }
    const error = new TocsinError(
      'invalid_request',
      source
        ? `source: the project has several ${address.adapter} sources. Add ?source=<id>.`
        : `source: the project has no such ${address.adapter} source. Create one, or check ?source=.`,
    )
    await logRefusal(request, project, null, requestId, error, {})
    throw withRequestId(error, requestId)
  }

  /**
   * The owner sees that something knocked and what may be wrong with it, not what it said. Strangers are stored some
   * together and some time later: neither this answer nor the next one tells by its time that there was something to store.
   */
  function logStranger(...stranger: Parameters<typeof storeStranger>): void {
    const held = strangers.reduce((bytes, [{ rawBody }]) => bytes + rawBody.length, 0)
    if (strangers.length >= MOST_STRANGERS || held > MOST_STRANGER_BYTES) return
    strangers.push(stranger)
    if (strangers.length > 1) return
    const store = async () => {
      for (const one of strangers.splice(0)) {
        storeStranger(...one).catch((error: unknown) =>
          log('warn', 'a rejection was not logged', { error: String(error) }),
        )
        // Whoever knocks properly comes in between.
        await new Promise(setImmediate)
      }
    }
    if (strangerDelayMs === 0) setImmediate(store)
    else setTimeout(store, strangerDelayMs).unref()
  }

  async function storeStranger(
    request: HookRequest,
    address: ReceiveAddress,
    owner: () => Promise<KnownProject | undefined>,
    requestId: string,
    refusal: TocsinError | undefined,
  ): Promise<void> {
    const project = await owner()
    if (!project) return
    const { key } = findApiKey(request) ?? {}
    const caller = key === undefined ? undefined : await authenticateKey(key)
    const isOfProject = caller && (caller.projectId === null || caller.projectId === project.id)
    const diagnosis = diagnoseStranger(request, {
      ...strangerAt(address, project, refusal === undefined),
      keyScopes: isOfProject ? caller.scopes : null,
    })
    if (!diagnosis) return
    const { source, text } = diagnosis
    const row = hookRequestRow(withoutSecrets(request, secretsOf(project.sources)), {
      ...nothingLogged(requestId, project, source),
      status: refusal ? (STATUS[refusal.code] ?? 400) : 401,
      outcome: 'rejected',
      reason: 'unauthorized',
      message: refusal
        ? `${refusal.message} Whether a credential vouches for it could not be checked.`
        : 'No credential of a source at this address vouches for the request.',
      diagnosis: text,
      keep: 'nothing',
    })
    await writer.submit({ kind: 'refused', row })
  }

  // ---- accept and parse ----

  /** Everything that refuses an authenticated request leaves a line in its owner's log. */
  async function accept(
    request: HookRequest,
    project: KnownProject,
    source: KnownSource,
    requestId: string,
    refusal: TocsinError | undefined,
    options: ReceiveOptions,
  ): Promise<ParsedRequest | typeof CONFIG_CHANGED> {
    const refuse = async (error: TocsinError): Promise<typeof CONFIG_CHANGED> => {
      // A refusal is never made from memory: what was wrong may have been mended, or the credential revoked.
      const now = await directory.fresh(project.id)
      if (now?.configVersion !== project.configVersion) return CONFIG_CHANGED
      await logRefusal(request, project, source, requestId, error, options)
      throw new TocsinError(error.code, error.message, { ...error, cause: error.cause, requestId })
    }

    if (!isAllowed(request.ip, source.settings.cidrs)) {
      return refuse(
        new TocsinError('ip_not_allowed', 'The address of the sender is not in the list of the source.'),
      )
    }
    const off = whyDisabled(project, source)
    if (off) return refuse(new TocsinError('ingestion_disabled', off))
    const fault = refusal ?? (isShortAddress(request) ? findMisfit(request, source.adapter) : undefined)
    const takesAny = source.adapter.bodies?.includes('any') === true
    if (fault && !takesAny) return refuse(fault)

    try {
      const body = takesAny
        ? readIfPossible(request, source.adapter, fault)
        : await readBodyOf(request, source.adapter)
      const reader = readerOf(source.adapter, body, request, source.settings)
      return reader.parse(body, request, source.settings, source.name)
    } catch (error) {
      if (error instanceof TocsinError) return refuse(error)
      if (error instanceof ZodError) {
        return refuse(
          new TocsinError('invalid_payload', `Not a body ${source.adapter.name} sends: ${explain(error)}`, {
            cause: error,
          }),
        )
      }
      return park(request, project, source, requestId, error, options)
    }
  }

  async function logRefusal(
    request: HookRequest,
    project: KnownProject,
    source: KnownSource | null,
    requestId: string,
    error: TocsinError,
    options: ReceiveOptions,
  ): Promise<void> {
    if (options.replay || options.dryRun) return
    const row = hookRequestRow(request, {
      ...nothingLogged(requestId, project, source),
      drill: options.drill === true,
      status: STATUS[error.code] ?? 400,
      outcome: 'rejected',
      reason: error.code,
      message: error.message,
      diagnosis: source && diagnoseRefusal(error.code, request, source),
      keep: 'start',
    })
    await writer.submit({ kind: 'refused', row })
  }

  /** Our own fault: the body is kept, to be replayed once we are mended. */
  async function park(
    request: HookRequest,
    project: KnownProject,
    source: KnownSource,
    requestId: string,
    error: unknown,
    options: ReceiveOptions,
  ): Promise<never> {
    log('error', 'a webhook could not be handled', {
      requestId,
      adapter: source.adapter.slug,
      err: error,
    })
    if (!options.replay && !options.dryRun) {
      const row = hookRequestRow(request, {
        ...nothingLogged(requestId, project, source),
        drill: options.drill === true,
        status: 503,
        outcome: 'parked',
        reason: 'internal',
        message: 'Tocsin could not handle this body. It is kept and can be replayed.',
        keep: 'all',
      })
      await writer.submit({ kind: 'refused', row })
    }
    throw new TocsinError(
      'unavailable',
      'Tocsin could not handle this request; it is kept and can be replayed.',
      {
        retryAfterSeconds: 60,
        requestId,
        cause: error,
      },
    )
  }

  // ---- match and commit ----

  async function store(
    request: HookRequest,
    project: KnownProject,
    source: KnownSource,
    requestId: string,
    parsed: ParsedRequest,
    options: ReceiveOptions,
  ): Promise<ReceiveResult> {
    let stored: Insertable<HookRequestTable> | undefined
    try {
      const command = toCommand(request, project, source, requestId, parsed, options, (row) => {
        stored = row
      })
      if (options.dryRun) return await options.dryRun(command)
      const result = (await writer.submit(command)) as ReceiveResult
      // Not before it is on the disk, and not a replay, whose row is another.
      const signal = signalOf(command.input.events)
      if (signal !== undefined && stored?.body === request.rawBody && !options.replay)
        earlierBodies.remember(signal, requestId, request.rawBody)
      return result
    } catch (error) {
      if (error instanceof TocsinError) throw withRequestId(error, requestId)
      return park(request, project, source, requestId, error, options)
    }
  }

  function toCommand(
    request: HookRequest,
    project: KnownProject,
    source: KnownSource,
    requestId: string,
    parsed: ParsedRequest,
    { drill, replay, dryRun }: ReceiveOptions,
    onRow: (row: Insertable<HookRequestTable>) => void,
  ): ReceiveCommand {
    const { receivedAt } = request
    const delivery = replay?.wasAccepted
      ? { key: requestId, windowMs: Number.POSITIVE_INFINITY }
      : parsed.delivery && {
          ...parsed.delivery,
          key: hash('sha256', `${source.id}/${parsed.delivery.key}`, 'base64url').slice(0, 32),
        }
    const bodyNotRead = parsed.events.some((event) => event.bodyNotRead)
    const events = normalise(parsed, source, {
      projectId: project.id,
      requestId,
      receivedAt,
      content: () => contentOf(request),
      drill: drill === true,
    })
    const signal = signalOf(events)
    return {
      kind: 'receive',
      configVersion: project.configVersion,
      endpoints: project.endpoints,
      replayOf: replay ? (replay.wasAccepted ? 'accepted' : 'parked') : null,
      input: {
        projectId: project.id,
        sourceId: source.id,
        sourceName: source.name,
        requestId,
        receivedAt,
        delivery,
        group: parsed.group && { ...parsed.group, key: events[0]?.senderGroup ?? parsed.group.key },
        filtered: parsed.filtered,
        events,
        hourlyLimit: hourlyLimit(project.plan),
        // What is only asked for takes no slot either: how full the hour is says nothing of the decision.
        freeOfLimit: replay?.wasAccepted === true || dryRun !== undefined,
      },
      row(decision, now) {
        const refused = decision.retryAfterSeconds !== null
        const parked = decision.outcome === 'parked'
        const row = hookRequestRow(request, {
          ...nothingLogged(requestId, project, source),
          status: refused ? 429 : 200,
          outcome: decision.outcome,
          reason: refused ? 'rate_limited' : parsed.filtered !== null ? 'filtered' : null,
          message: refused
            ? LIMIT_REACHED
            : (parsed.filtered ??
              decision.hint ??
              whyDuplicate(decision) ??
              (bodyNotRead ? BODY_NOT_READ : null)),
          diagnosis: parsed.remark ?? null,
          rule: decision.events.find(({ outcome }) => outcome === decision.outcome)?.rule ?? null,
          // D7: what was not accepted leaves no mark.
          deliveryKey: parked || decision.outcome === 'filtered' ? null : (delivery?.key ?? null),
          incidentId: decision.incident?.id ?? null,
          slotAt: decision.slotKind === null ? null : now,
          slotKind: decision.slotKind,
          drill: drill === true,
          keep: bodyNotRead ? 'start' : 'all',
          earlier: signal === undefined ? null : earlierBodies.find(signal, requestId, request.rawBody),
        })
        onRow(row)
        return row
      },
      tally: (decision) => tallyOf(events, decision, source.adapter, source.settings.statusWords),
    }
  }
}

const LIMIT_REACHED = 'The hour of this plan is full.'
const BODY_NOT_READ = 'The body could not be read, so defaults stand in for it.'

// ---- answer ----

function answer(
  { decision, incident }: Exclude<ReceiveResult, typeof CONFIG_CHANGED>,
  requestId: string,
  echo: string | undefined,
): Received {
  const duplicate = decision.outcome === 'duplicate'
  if (decision.retryAfterSeconds !== null) {
    const what = duplicate ? 'This repeat is stored already.' : 'The body is kept and can be replayed.'
    throw new TocsinError('rate_limited', `${LIMIT_REACHED} ${what}`, {
      retryAfterSeconds: decision.retryAfterSeconds,
      requestId,
      details: { outcome: decision.outcome, duplicate },
    })
  }
  return {
    success: true,
    outcome: decision.outcome,
    duplicate,
    incident: incident && {
      id: incident.id,
      reference: reference(incident.number),
      title: incident.title,
      severity: incident.severity,
      status: incident.status,
      url: incident.url,
    },
    events: decision.events,
    ...optional(decision),
    requestId,
    ...(echo !== undefined && { echo }),
  }
}

/** A duplicate stores no event, so its reason stands in the request log. */
function whyDuplicate({ outcome, events }: RequestDecision): string | null {
  const rule = outcome === 'duplicate' ? events[0]?.rule : undefined
  return rule === undefined ? null : `${rule}: ${RULES[rule]}`
}

function optional(decision: RequestDecision): { stillFiring?: number; hint?: string } {
  return {
    ...(decision.stillFiring !== null && { stillFiring: decision.stillFiring }),
    ...(decision.hint !== null && { hint: decision.hint }),
  }
}

// ---- helpers ----

/** What the next body like this one speaks of, too. */
function signalOf(events: readonly MatchEvent[]): string | undefined {
  return events[0]?.signalId ?? undefined
}

/** What makes two requests without id and time the same (matching.md D5). */
export function contentOf({ query, rawBody }: HookRequest): string {
  return `${query}\n${rawBody.toString('latin1')}`
}

/** What speaks against a request once its tool is known. */
function findMisfit(request: HookRequest, adapter: Adapter): TocsinError | undefined {
  const { method } = request
  if (method !== 'POST' && !adapter.methods?.includes(method)) {
    return new TocsinError('method_not_allowed', `${adapter.name} does not send by ${method}: send a POST.`, {
      details: { allow: ['POST', ...(adapter.methods ?? [])] },
    })
  }
  return method === 'GET' ? undefined : findHeaderFault(request.headers, adapter.bodies)
}

function readBodyOf(request: HookRequest, adapter: Adapter): unknown {
  return adapter.readBody ? adapter.readBody(request) : readBody(request)
}

/** For adapters that make do without a body they can read. */
function readIfPossible(request: HookRequest, adapter: Adapter, fault: TocsinError | undefined): unknown {
  if (fault) return undefined
  try {
    return readBodyOf(request, adapter)
  } catch (error) {
    if (error instanceof TocsinError) return undefined
    throw error
  }
}

/** Where a stranger went, for its diagnosis. */
function strangerAt(
  address: ReceiveAddress,
  project: KnownProject,
  isWhole: boolean,
): Omit<StrangerContext, 'keyScopes'> {
  const { sources } = project
  const { adapter } = address
  if (address.kind === 'token') return { sources, candidates: [], adapter, token: address.token, isWhole }
  const candidates = sourcesAt(address, project)
  const others = candidates.length > 0 ? [] : sourcesAt({ ...address, sourceId: null }, project)
  return { sources, candidates, asksForUnknown: others.length > 0, adapter, token: null, isWhole }
}

function isValidFor(request: HookRequest, { expiresAt }: { expiresAt: string | null }): boolean {
  return expiresAt === null || expiresAt > request.receivedAt
}

export function secretsOf(sources: readonly KnownSource[]): string[] {
  return sources.flatMap(({ credentials }) => credentials.map(({ secret }) => secret))
}

function bearerOf(request: HookRequest): string | undefined {
  const [authorization, ...more] = request.headers.get('authorization') ?? []
  return more.length > 0 ? undefined : authorization?.match(/^bearer\s+(\S+)$/i)?.[1]
}

/** The sources of a project that an address leads to. */
function sourcesAt(address: ReceiveAddress, { sources }: KnownProject): KnownSource[] {
  if (address.kind === 'token') {
    return sources.filter(
      (source) =>
        source.address === 'token' && (address.adapter === null || address.adapter === source.adapter.slug),
    )
  }
  return sources.filter(
    (source) =>
      source.adapter.slug === address.adapter &&
      // Where a token stands in an address of its own, the fixed one is not for it.
      (address.kind === 'project' || source.address === 'project') &&
      (address.sourceId === null || source.id === address.sourceId),
  )
}

/** The project a body names; undefined also where the body cannot be read, which is said once it is known to whom. */
function namedProject(
  projectId: (body: unknown) => string | undefined,
  request: HookRequest,
): string | undefined {
  try {
    return projectId(readBody(request))
  } catch (error) {
    if (error instanceof TocsinError) return undefined
    throw error
  }
}

function unauthorized(): TocsinError {
  return new TocsinError(
    'unauthorized',
    'Missing or wrong credential, or an unknown address. Compare the URL and the secret with those of the source.',
  )
}

function noSuchProject(projectId: string): TocsinError {
  const printable = projectId.slice(0, 100).replaceAll(/[^\w.:@/-]/g, '?')
  return new TocsinError('not_found', `Project with UUID '${printable}' not found`)
}

function noProjectNamed(): TocsinError {
  return new TocsinError('invalid_payload', 'project_uuid is missing: send it as text.')
}

function nothingLogged(
  id: string,
  project: KnownProject,
  source: KnownSource | null,
): Pick<
  LoggedRequest,
  | 'id'
  | 'projectId'
  | 'sourceId'
  | 'rule'
  | 'diagnosis'
  | 'deliveryKey'
  | 'incidentId'
  | 'slotAt'
  | 'slotKind'
  | 'drill'
> {
  return {
    id,
    projectId: project.id,
    sourceId: source?.id ?? null,
    drill: false,
    rule: null,
    diagnosis: null,
    deliveryKey: null,
    incidentId: null,
    slotAt: null,
    slotKind: null,
  }
}

function whyDisabled(project: KnownProject, source: KnownSource): string | null {
  if (project.plan === 'free') return 'The plan "free" has no webhooks: change the plan of the project.'
  if (!project.ingestionEnabled)
    return 'Ingestion is switched off: set ingestionEnabled of the project to true.'
  if (!source.enabled) return 'The source is switched off: set its enabled to true.'
  return null
}

/** Whether an address may send; a request of our own has none. */
function isAllowed(ip: string | null, cidrs: readonly string[]): boolean {
  if (cidrs.length === 0 || ip === null) return true
  const allowed = new BlockList()
  for (const cidr of cidrs) {
    const [network, bits] = cidr.split('/') as [string, string | undefined]
    const family = isIPv6(network) ? 'ipv6' : 'ipv4'
    allowed.addSubnet(network, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family)
  }
  const address = bareAddress(ip)
  return allowed.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

function isProjectId(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)
}

function sameToken(a: string, b: string): boolean {
  // Both are long and random, and hashing takes the same time whatever they share.
  return hash('sha256', a) === hash('sha256', b)
}

function withRequestId(error: TocsinError, requestId: string): TocsinError {
  return new TocsinError(error.code, error.message, { ...error, cause: error.cause, requestId })
}
