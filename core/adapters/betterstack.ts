import { z } from 'zod'
import type { AlertEvent, EventKind, ParsedRequest, SourceSettings } from '../types.ts'
import type { Adapter } from './adapter.ts'
import { cleanId, cleanText, cleanUrl, firstText, isObject, LIMITS, sha256 } from './clean.ts'
import { deliveryOf } from './delivery.ts'
import { anything, someDescription, someId, someName, someTime, someTitle, someWord } from './fields.ts'
import { newEvent } from './new-event.ts'
import { readTime } from './read-time.ts'
import { hasBasic, hasBearer, hasSecretHeader } from './signatures.ts'
import { readStatus, type StatusWords } from './status-words.ts'

/**
 * https://betterstack.com/docs/uptime/webhooks/
 * The members of an incident: https://betterstack.com/docs/uptime/api/incidents-api-response-params/
 */
const Resource = z.object({
  id: someId,
  type: someWord,
  monitorId: someId,
  heartbeatId: someId,
  name: someTitle,
  pronounceable_name: someTitle,
  url: anything,
  cause: someDescription,
  status: someWord,
  started_at: someTime,
  acknowledged_at: someTime,
  resolved_at: someTime,
  team_name: someName,
  response_content: someDescription,
  response_url: anything,
  screenshot_url: anything,
  origin_url: anything,
})

type Resource = z.infer<typeof Resource>

const EVENT_WORDS: StatusWords = { STARTED: 'fire', REOPENED: 'fire', COMMENT: 'info' }

/** The event word of a change, also where the body says it by its times or status alone. */
const CHANGES: Partial<Record<EventKind, string>> = {
  fire: 'started',
  ack: 'acknowledged',
  recover: 'resolved',
}

/** Better Stack Uptime. It signs nothing, so by default the address itself is the secret. */
export const betterstack: Adapter = {
  slug: 'betterstack',
  name: 'Better Stack',
  defaults: { address: 'token', grouping: 'project', reopenWindowMinutes: 5 },
  marks: ['data', 'attributes', 'started_at'],
  informs: ['*'],

  credentialHeaders: () => ['authorization', 'x-webhook-secret'],

  verify: (request, secret) =>
    hasBearer(request, secret) || hasBasic(request, secret) || hasSecretHeader(request, secret),

  parse(body, request, settings) {
    const { word, comment, resource } = unwrap(body)
    const events =
      resource.type === null || resource.type === 'incident'
        ? incidentEvents(word, comment, resource, settings)
        : [resourceEvent(word, resource, sha256(request.rawBody))]
    return { events, delivery: readDelivery(word, resource), group: null, filtered: null }
  },

  testRequest(kind, { id, at, secret }) {
    const resolvedAt = kind === 'fire' ? null : new Date(Date.parse(at) + 1000).toISOString()
    return {
      headers: { 'content-type': 'application/json', 'x-webhook-secret': secret },
      body: JSON.stringify({
        event: kind === 'fire' ? 'started' : 'resolved',
        data: {
          id,
          type: 'incident',
          attributes: {
            name: 'Tocsin test',
            url: null,
            cause: 'A test sent from Tocsin. Nothing is wrong.',
            started_at: at,
            acknowledged_at: null,
            resolved_at: resolvedAt,
          },
          relationships: { monitor: { data: { id: `monitor-${id}`, type: 'monitor' } } },
        },
      }),
    }
  },

  says: {
    credential: 'token in the address; or bearer, basic, `X-Webhook-Secret`',
    opens: 'started, reopened',
    acknowledges: 'acknowledged',
    resolves: 'resolved',
    identity: 'A monitor is its id, an outage the id of its incident.',
    retries: 'Not documented.',
  },

  setup: [
    'In Better Stack, open Integrations > Exporting data and click Configure at Outgoing webhooks.',
    'Choose the type Incident and tick started, acknowledged, resolved and reopened.',
    'Paste {url} as the URL and leave the body as it is.',
    'Keep the address private: who knows it can send.',
  ],
}

/** The envelope (`event`, `data`) and the resource object (`attributes`) may each be missing. */
function unwrap(body: unknown): { word: string | null; comment: unknown; resource: Resource } {
  const envelope = z.record(z.string(), z.unknown()).parse(body)
  const data = isObject(envelope.data) ? envelope.data : envelope
  const attributes = isObject(data.attributes) ? data.attributes : data
  const resource = Resource.parse({
    ...attributes,
    id: data.id ?? attributes.id,
    type: data.type ?? attributes.type,
    monitorId: relatedId(data, 'monitor') ?? attributes.monitor_id,
    heartbeatId: relatedId(data, 'heartbeat') ?? attributes.heartbeat_id,
  })
  return { word: cleanText(envelope.event, LIMITS.word), comment: envelope.comment, resource }
}

/** What is told once in an incident. It can be reopened many times, by bodies that are the same. */
function readDelivery(word: string | null, { id, ...times }: Resource): ParsedRequest['delivery'] {
  if (id === null || !/^(started|acknowledged|resolved)$/i.test(word ?? '')) return null
  return deliveryOf([id, word, times.started_at, times.acknowledged_at, times.resolved_at].join(' '))
}

function relatedId(data: Record<string, unknown>, name: string): string | null {
  const relation = isObject(data.relationships) ? data.relationships[name] : null
  const target = isObject(relation) ? relation.data : null
  return isObject(target) ? cleanId(target.id) : null
}

function incidentEvents(
  word: string | null,
  comment: unknown,
  resource: Resource,
  settings: SourceSettings,
): AlertEvent[] {
  const status = readStatus(word ?? resource.status, settings.statusWords, EVENT_WORDS)
  const event = (kind: EventKind, change = CHANGES[kind]) =>
    incidentEvent(kind, change ?? status.sourceStatus ?? '', status.sourceStatus, resource)

  if (status.reopen) return [{ ...event('fire', 'reopened'), reopen: true, eventTime: null, timeFrom: null }]
  if (word?.toLowerCase() === 'comment')
    return [event('info', `comment ${sha256(JSON.stringify(comment ?? null))}`)]
  if (resource.resolved_at !== null) {
    // A short outage can be over before its start is sent. Both are told, so that neither is lost.
    return word !== null && status.kind === 'fire' ? [event('fire'), event('recover')] : [event('recover')]
  }
  if (status.sourceStatus === null && resource.acknowledged_at !== null) return [event('ack')]
  return [event(status.kind)]
}

function incidentEvent(
  kind: EventKind,
  change: string,
  sourceStatus: string | null,
  resource: Resource,
): AlertEvent {
  const url = cleanUrl(resource.url)
  const heartbeat = resource.heartbeatId === null ? null : `heartbeat:${resource.heartbeatId}`
  const signalKey = resource.monitorId ?? heartbeat ?? url ?? resource.name ?? resource.id
  if (signalKey === null) throw missingName()

  const sourceTime = timeOf(kind, resource)
  const eventTime = readTime(sourceTime)
  return newEvent({
    kind,
    signalKey,
    episode: resource.id,
    episodeStart: readTime(resource.started_at),
    eventTime,
    sourceTime,
    timeFrom: eventTime === null ? null : 'body',
    eventId: resource.id === null ? null : `${resource.id} ${change}`,
    externalId: resource.id,
    title: resource.name ?? url ?? cleanText(resource.cause, LIMITS.title) ?? `Incident ${signalKey}`,
    description: resource.cause,
    sourceStatus,
    url: cleanUrl(resource.origin_url),
    monitor: { id: resource.monitorId ?? resource.heartbeatId, name: resource.name, url },
    labels: resource.team_name === null ? {} : { team: resource.team_name },
    metadata: resource.response_content === null ? {} : { responseContent: resource.response_content },
    evidence: evidence(resource),
  })
}

function timeOf(kind: EventKind, resource: Resource): string | null {
  if (kind === 'fire') return resource.started_at
  if (kind === 'ack') return resource.acknowledged_at
  return kind === 'recover' ? resource.resolved_at : null
}

function evidence(resource: Resource): AlertEvent['evidence'] {
  const links = [
    { text: 'Response', href: cleanUrl(resource.response_url) },
    { text: 'Screenshot', href: cleanUrl(resource.screenshot_url) },
  ].filter((link): link is { text: string; href: string } => link.href !== null)
  return links.length > 0 ? { links } : null
}

/** A monitor that was edited, a change of who is on call: worth knowing, no outage. */
function resourceEvent(word: string | null, resource: Resource, bodyHash: string): AlertEvent {
  const isMonitor = resource.type === 'monitor'
  const url = cleanUrl(resource.url)
  const name = firstText(LIMITS.name, resource.pronounceable_name, resource.name, url, resource.type)
  return newEvent({
    kind: 'info',
    signalKey: isMonitor ? resource.id : null,
    eventId: bodyHash,
    externalId: resource.id,
    title: name ?? 'Better Stack notification',
    sourceStatus: word,
    monitor: isMonitor ? { id: resource.id, name, url } : null,
  })
}

function missingName(): z.ZodError {
  const message = 'data.attributes holds no monitor, url or name, and data no id: send one of them'
  return new z.ZodError([{ code: 'custom', path: ['data', 'attributes'], message, input: undefined }])
}
