import { ZodError } from 'zod'
import { readerOf } from '../adapters/reader.ts'
import type { ApiPreview, ApiPreviewEvent, ApiPreviewInput } from '../api-types.ts'
import { decideAlone } from '../commands.ts'
import type { KnownProject, KnownSource } from '../directory.ts'
import { TocsinError } from '../errors.ts'
import { explain } from '../explain.ts'
import { withoutSecrets } from '../hide-secrets.ts'
import { RULES } from '../matcher/rules.ts'
import type { MatchEvent } from '../matcher/state.ts'
import { normalise } from '../normalise.ts'
import { effectivePolicy, matchPolicy, NO_SETTINGS } from '../policy.ts'
import { contentOf, secretsOf } from '../receive.ts'
import type { Caller } from '../tocsin.ts'
import type { HookRequest, ParsedRequest } from '../types.ts'
import { allow, type Core } from './core.ts'
import { adapterOf, checkMapping, checkOwnSettings } from './sources.ts'

/** Reads a sample as an adapter would and decides it as of now; nothing is stored. */
export async function previewSource(
  core: Core,
  caller: Caller,
  projectId: string,
  { adapter, mapping, sample, path }: ApiPreviewInput,
): Promise<ApiPreview> {
  allow(caller, 'sources:read', projectId)
  checkMapping(mapping, 'mapping')
  checkOwnSettings(adapterOf(adapter), NO_SETTINGS, { mapping: mapping ?? null }, '')
  const project = await core.directory.fresh(projectId)
  if (!project) throw new TocsinError('not_found', 'project: no such project.')
  const source = sourceFor(project, adapter, core.newId(), mapping)
  const sent = requestOf(sample, path ?? '', source.adapter.path ?? '/', core.now().toISOString())
  // As when it is received: what stands for an id may be made of the whole body.
  const request = withoutSecrets(sent, secretsOf([source]))
  const parsed = read(sample, request, source)
  const events = normalise(parsed, source, {
    projectId,
    requestId: core.newId(),
    receivedAt: request.receivedAt,
    content: () => contentOf(request),
    drill: false,
  })

  const { decision, known } = await core.database.transaction(
    () =>
      decideAlone(
        {
          projectId,
          sourceId: source.id,
          sourceName: source.name,
          requestId: core.newId(),
          receivedAt: request.receivedAt,
          delivery: null,
          group: parsed.group && { ...parsed.group, key: events[0]?.senderGroup ?? parsed.group.key },
          filtered: parsed.filtered,
          events,
          hourlyLimit: null,
          freeOfLimit: true,
        },
        core.context(),
      ),
    { rollback: true },
  )
  return {
    events: events.map(toApi),
    decisions: decision.events.map(({ outcome, rule, incidentId }) => ({
      outcome,
      rule,
      text: outcome === 'unmatched' ? whyUnmatched(decision.hint) : (RULES[rule] ?? ''),
      incidentId: incidentId !== null && known.has(incidentId) ? incidentId : null,
    })),
  }
}

/** The rule of a recovery that fits nothing says how it was looked for, not what came of it. */
function whyUnmatched(hint: string | null): string {
  return ['A recovery that fits nothing that fires: no incident changes.', hint ?? ''].join(' ').trim()
}

/** The project's own source of that tool, so that the decision is the one it would get; else one nobody has touched. */
function sourceFor(
  project: KnownProject,
  slug: string,
  id: string,
  mapping: ApiPreviewInput['mapping'],
): KnownSource {
  const own = project.sources.find((source) => source.adapter.slug === slug)
  const adapter = own?.adapter ?? adapterOf(slug)
  const settings = { ...(own?.settings ?? NO_SETTINGS), ...(mapping !== undefined && { mapping }) }
  const effective = effectivePolicy(project.policy, settings, adapter)
  const rest = own ?? {
    id,
    name: adapter.name,
    address: adapter.defaults.address,
    enabled: true,
    credentials: [],
  }
  return { ...rest, adapter, settings, effective, policy: matchPolicy(effective) }
}

function requestOf(sample: unknown, address: string, usual: string, receivedAt: string): HookRequest {
  const [path = '', ...query] = address.split('?')
  return {
    method: 'POST',
    path: path || usual,
    query: new URLSearchParams(query.join('?')),
    headers: new Map([['content-type', ['application/json']]]),
    rawBody: Buffer.from(JSON.stringify(sample)),
    receivedAt,
    ip: null,
  }
}

function read(sample: unknown, request: HookRequest, source: KnownSource): ParsedRequest {
  try {
    return readerOf(source.adapter, sample, request, source.settings).parse(
      sample,
      request,
      source.settings,
      source.name,
    )
  } catch (error) {
    if (error instanceof ZodError)
      throw new TocsinError('invalid_request', `sample: ${explain(error)}`, { cause: error })
    if (error instanceof TocsinError) throw new TocsinError('invalid_request', `sample: ${error.message}`)
    throw error
  }
}

function toApi(event: MatchEvent): ApiPreviewEvent {
  const { kind, test, signalKey, episode, externalId, title, description, severity, sourceSeverity } = event
  const { sourceStatus, sourceTime, url, monitor, services, customerImpact, labels, metadata, drill } = event
  return {
    kind,
    test,
    signalKey,
    episode,
    externalId,
    title,
    description,
    severity,
    sourceSeverity,
    sourceStatus,
    eventTime: event.at,
    sourceTime,
    url,
    monitor,
    services,
    customerImpact,
    labels,
    metadata,
    drill,
  }
}
