import { z } from 'zod'
import type { AlertEvent, EventKind, Severity } from '../types.ts'
import type { Adapter } from './adapter.ts'
import { cleanId, cleanText, cleanUrl, isObject, LIMITS, sha256 } from './clean.ts'
import { deliveryOf } from './delivery.ts'
import {
  anything,
  listOf,
  someId,
  someList,
  someName,
  someObject,
  someTime,
  someTitle,
  someWord,
} from './fields.ts'
import { newEvent } from './new-event.ts'
import { readTime } from './read-time.ts'
import { readSeverity } from './severity.ts'
import { hasHmacSha256, header, hmacSha256 } from './signatures.ts'
import { kindOfWord, type StatusWords } from './status-words.ts'

/** More messages than PagerDuty ever put into one body of version 2. */
const MOST_MESSAGES = 100

/** https://developer.pagerduty.com/docs/webhooks-overview */
const EventV3 = z.object({
  id: someId,
  event_type: z.string().min(1),
  occurred_at: someTime,
  data: someObject,
})

/** Generic webhooks, version 2: https://developer.pagerduty.com/docs/v2-webhook-payload */
const MessageV2 = z.object({
  id: someId,
  event: z.string().min(1),
  created_on: someTime,
  incident: someObject,
})

const BodyV3 = z.object({ event: EventV3 })

const BodyV2 = z.object({
  messages: listOf(MessageV2, {
    name: 'messages',
    most: MOST_MESSAGES,
    remedy: 'send them in several bodies',
  }),
})

const Incident = z.object({
  id: someId,
  incident_key: someName,
  title: someTitle,
  summary: someTitle,
  html_url: anything,
  created_at: someTime,
  urgency: someWord,
  priority: someObject,
  service: someObject,
  teams: someList,
})

/** Event types of both versions; every other one only informs, `unacknowledged` included (matching.md A). */
const KINDS = new Map<string, EventKind>([
  ['incident.triggered', 'fire'],
  ['incident.trigger', 'fire'],
  ['incident.reopened', 'fire'],
  ['incident.acknowledged', 'ack'],
  ['incident.acknowledge', 'ack'],
  ['incident.resolved', 'recover'],
  ['incident.resolve', 'recover'],
])

/** PagerDuty's webhooks: one event of an incident per request. */
export const pagerduty: Adapter = {
  slug: 'pagerduty',
  name: 'PagerDuty',
  defaults: { address: 'project', grouping: 'signal', reopenWindowMinutes: 5 },
  informs: ['incident.*', 'service.*', 'pagey.*'],
  repeats: true,
  marks: ['event', 'messages'],

  credentialHeaders: () => ['x-pagerduty-signature'],

  verify: (request, secret) =>
    // One signature per secret while PagerDuty rotates them.
    (header(request, 'x-pagerduty-signature') ?? '')
      .split(',')
      .map((signature) => signature.trim())
      .some(
        (signature) =>
          signature.startsWith('v1=') && hasHmacSha256(request.rawBody, signature.slice(3), secret),
      ),

  parse(body, request, { statusWords }) {
    const events = read(body, request.rawBody, statusWords)
    // The id in the header is gone where a proxy drops what it does not know.
    const ids = events.map(({ externalId }) => externalId)
    const key = cleanId(header(request, 'x-webhook-id')) ?? (ids.includes(null) ? null : ids.join(' '))
    return { events, delivery: deliveryOf(key), group: null, filtered: null }
  },

  testRequest(kind, { id, at, secret }) {
    const occurredAt = kind === 'fire' ? at : new Date(Date.parse(at) + 1000).toISOString()
    const body = JSON.stringify({
      event: {
        id: `${id}-${kind}`,
        event_type: kind === 'fire' ? 'incident.triggered' : 'incident.resolved',
        resource_type: 'incident',
        occurred_at: occurredAt,
        agent: null,
        client: null,
        data: {
          id,
          type: 'incident',
          status: kind === 'fire' ? 'triggered' : 'resolved',
          title: 'Tocsin test',
          created_at: at,
          urgency: 'low',
          priority: null,
          service: { id: `service-${id}`, summary: 'Tocsin test', type: 'service_reference' },
        },
      },
    })
    return {
      headers: {
        'content-type': 'application/json',
        'x-pagerduty-signature': `v1=${hmacSha256(body, secret)}`,
      },
      body,
    }
  },

  says: {
    credential:
      '`X-PagerDuty-Signature` (HMAC-SHA256 of the body); for version 2 bodies the token in the address',
    opens: '`incident.triggered`, `incident.reopened`',
    acknowledges: '`incident.acknowledged`',
    resolves: '`incident.resolved`',
    identity: 'The id of the PagerDuty incident; all its events meet.',
    retries: 'Time-outs, 429 and 5xx for up to 48 hours with the same `X-Webhook-Id`; other refusals never.',
  },

  setup: [
    'In PagerDuty, open Integrations > Generic Webhooks (v3) and click New Webhook.',
    'Paste {url} as the Webhook URL and choose the scope: account, team or service.',
    'Tick at least incident.triggered, incident.acknowledged, incident.resolved and incident.reopened, and save.',
    'PagerDuty shows the signing secret once: rotate the secret of this source and give it that one.',
  ],
}

function read(body: unknown, rawBody: Buffer, words: StatusWords): AlertEvent[] {
  const envelope = z.record(z.string(), z.unknown()).parse(body)
  if (Array.isArray(envelope.messages) && !isObject(envelope.event)) {
    const { messages } = BodyV2.parse(envelope)
    return messages.map(({ id, event, created_on, incident }) =>
      toEvent({ id, type: event, at: created_on, data: { ...incident, type: 'incident' } }, rawBody, words),
    )
  }
  const { event } = BodyV3.parse(envelope)
  const said = { id: event.id, type: event.event_type, at: event.occurred_at, data: event.data }
  return [toEvent(said, rawBody, words)]
}

function toEvent(
  said: { id: string | null; type: string; at: string | null; data: Record<string, unknown> },
  rawBody: Buffer,
  words: StatusWords,
): AlertEvent {
  const type = cleanText(said.type, LIMITS.word) ?? ''
  const isIncident = said.data.type === 'incident'
  const other = isObject(said.data.incident) ? said.data.incident : null
  const incident = Incident.parse(isIncident ? said.data : (other ?? {}))
  // What belongs to no incident can only inform.
  const own = incident.id === null ? undefined : kindOfWord(type, words)
  const kind = own ?? ((isIncident && KINDS.get(type)) || 'info')
  if (kind !== 'info' && incident.id === null) throw missingId()

  const eventTime = readTime(said.at)
  const priority = cleanText(incident.priority.summary ?? incident.priority.name, LIMITS.word)
  return newEvent({
    kind,
    ...(type === 'pagey.ping' && { test: true }),
    ...(type === 'incident.reopened' && { reopen: true }),
    signalKey: incident.id,
    episode: incident.id,
    episodeStart: readTime(incident.created_at),
    eventTime,
    sourceTime: said.at,
    timeFrom: eventTime === null ? null : 'body',
    eventId: said.id ?? sha256(rawBody),
    externalId: said.id,
    title: titleOf(incident, said.data, type),
    ...severityOf(priority, incident.urgency),
    sourceStatus: type,
    url: cleanUrl(incident.html_url ?? said.data.html_url),
    ...serviceOf(incident.service),
    labels: labelsOf(incident),
  })
}

function titleOf(incident: z.infer<typeof Incident>, data: Record<string, unknown>, type: string): string {
  const other = cleanText(data.summary, LIMITS.title) ?? (type === '' ? null : `PagerDuty: ${type}`)
  return incident.title ?? incident.summary ?? other ?? 'PagerDuty notification'
}

/** The priority where the account uses them, else the urgency. */
function severityOf(
  priority: string | null,
  urgency: string | null,
): { severity: Severity | null; sourceSeverity: string | null } {
  return { severity: readSeverity(priority) ?? readSeverity(urgency), sourceSeverity: priority ?? urgency }
}

function serviceOf(service: Record<string, unknown>): Pick<AlertEvent, 'monitor' | 'services'> {
  const id = cleanId(service.id)
  const name = cleanText(service.summary ?? service.name, LIMITS.name)
  return {
    monitor: id === null && name === null ? null : { id, name, url: cleanUrl(service.html_url) },
    services: name === null ? [] : [name],
  }
}

function labelsOf({ incident_key, teams }: z.infer<typeof Incident>): AlertEvent['labels'] {
  const names = teams.flatMap((team) =>
    isObject(team) ? (cleanText(team.summary ?? team.name, LIMITS.name) ?? []) : [],
  )
  const team = cleanText(names.join(', '), LIMITS.labelValue)
  return { ...(team !== null && { team }), ...(incident_key !== null && { incident_key }) }
}

function missingId(): z.ZodError {
  const message = 'event.data.id is missing: send the id of the incident'
  return new z.ZodError([{ code: 'custom', path: ['event', 'data', 'id'], message, input: undefined }])
}
