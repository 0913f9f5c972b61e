import { z } from 'zod'
import type { AlertEvent, HookRequest, MappedField, SourceSettings } from '../types.ts'
import type { Adapter } from './adapter.ts'
import {
  cleanId,
  cleanMetadata,
  cleanServices,
  cleanText,
  cleanUrl,
  firstText,
  isObject,
  LIMITS,
  titleKey,
  wholeId,
} from './clean.ts'
import { deliveryOf } from './delivery.ts'
import { anything } from './fields.ts'
import { newEvent } from './new-event.ts'
import { readFlag, readParameter, remarkOn } from './parameters.ts'
import { readUntypedBody } from './read-body.ts'
import { readLabels } from './read-labels.ts'
import { readTime } from './read-time.ts'
import { readOwnSeverity } from './severity.ts'
import {
  hasBasic,
  hasBearer,
  hasSecretHeader,
  hasStandardSignature,
  header,
  STANDARD_HEADERS,
} from './signatures.ts'
import { readStatus } from './status-words.ts'

/**
 * The members we read; everything else becomes metadata. The names are postmortem.so's and our own.
 * https://postmortem.so/docs/webhooks
 */
const FIELDS = z.looseObject({
  title: anything,
  alert_title: anything,
  name: anything,
  description: anything,
  message: anything,
  id: anything,
  event_id: anything,
  action: anything,
  status: anything,
  severity: anything,
  priority: anything,
  time: anything,
  url: anything,
  service: anything,
  services: anything,
  affected_services: anything,
  customer_impact: anything,
  labels: anything,
  monitor: anything,
  group: anything,
  drill: anything,
  metadata: anything,
})

type Fields = z.infer<typeof FIELDS>

/** Any tool that can post JSON, and people's own scripts. */
export const generic: Adapter = {
  slug: 'generic',
  name: 'Generic webhook',
  // What is sent by hand means what it says: a new firing is a new incident.
  defaults: { address: 'project', grouping: 'project', reopenWindowMinutes: 0 },
  // The examples of postmortem.so name no type.
  bodies: ['untyped'],
  ownSettings: ['mapping'],
  marks: null,

  credentialHeaders: () => ['x-webhook-secret', 'authorization', ...STANDARD_HEADERS],

  verify: (request, secret) =>
    // A wrong signature is not made good by a right password.
    request.headers.has('webhook-signature')
      ? hasStandardSignature(request, secret)
      : hasSecretHeader(request, secret) || hasBearer(request, secret) || hasBasic(request, secret),

  readBody: readUntypedBody,

  parse(body, request, settings) {
    const fields = withParameters(FIELDS.parse(body), request, settings)
    const remark = remarkOn(request)
    return {
      events: [toEvent(fields, settings)],
      delivery: deliveryOf(
        cleanId(header(request, 'idempotency-key')) ?? cleanId(header(request, 'webhook-id')),
      ),
      group: null,
      filtered: null,
      ...(remark !== undefined && { remark }),
    }
  },

  testRequest: (kind, { id, secret }) => ({
    headers: { 'content-type': 'application/json', 'x-webhook-secret': secret },
    body: JSON.stringify({
      title: 'Tocsin test',
      description: 'A test sent from Tocsin. Nothing is wrong.',
      id,
      severity: 'low',
      action: kind === 'fire' ? 'trigger' : 'resolve',
    }),
  }),

  says: {
    credential:
      '`X-Webhook-Secret`, bearer, basic, Standard Webhooks signature, or an API key with `events:write`',
    opens: 'any other action',
    acknowledges: '`acknowledge`',
    resolves: '`resolve`',
    identity:
      '`id` names what is wrong, the same from the trigger to the resolve; without one the title does.',
    retries: 'As your script does; `Idempotency-Key` or `webhook-id` makes a repeat safe for 72 hours.',
  },

  setup: [
    'Send a POST with the header `Content-Type: application/json` to {url}.',
    'Put the secret of this source into the header `X-Webhook-Secret` (or send it as a bearer token).',
    'Give at least a `title`; add an `id` that stays the same while the same thing is wrong.',
    'When it is over, send the same `id` with `"action": "resolve"`.',
  ],
}

/** What the address and the mapping say stands above the body's own members. */
function withParameters(fields: Fields, request: HookRequest, settings: SourceSettings): Fields {
  if (request.query.size === 0 && settings.mapping === null) return fields

  const parameter = (name: MappedField) => readParameter(name, fields, request, settings)
  return {
    ...fields,
    title: parameter('title') ?? fields.title,
    description: parameter('description') ?? fields.description,
    id: parameter('id') ?? fields.id,
    action: parameter('action') ?? fields.action,
    severity: parameter('severity') ?? fields.severity,
    service: parameter('service') ?? fields.service,
    labels: parameter('labels') ?? fields.labels,
    drill: parameter('drill') ?? fields.drill,
  }
}

function toEvent(fields: Fields, settings: SourceSettings): AlertEvent {
  const status = readStatus(firstText(LIMITS.word, fields.action, fields.status), settings.statusWords)
  const id = cleanId(fields.id) ?? cleanId(fields.event_id)
  const title = readTitle(fields) ?? titleOfKnownAlert(status.kind, id)
  const severityWord = firstText(LIMITS.word, fields.severity, fields.priority)
  const sourceTime = cleanText(fields.time, LIMITS.word)
  const eventTime = readTime(sourceTime)

  return newEvent({
    kind: status.kind,
    signalKey: id ?? titleKey(title),
    ...(id === null && { anonymous: true }),
    ...(status.reopen && { reopen: true }),
    eventTime,
    sourceTime,
    timeFrom: eventTime === null ? null : 'body',
    // The id names the thing that is wrong, not this message: kind and stretch complete the identity.
    eventId: id,
    externalId: wholeId(fields.id) ?? wholeId(fields.event_id),
    title,
    description: firstText(LIMITS.description, fields.description, fields.message),
    severity: readOwnSeverity(severityWord) ?? status.severity,
    sourceSeverity: severityWord,
    sourceStatus: status.sourceStatus,
    url: cleanUrl(fields.url),
    monitor: readMonitor(fields.monitor),
    services: cleanServices(
      Array.isArray(fields.service) ? fields.service : [fields.service],
      fields.services,
      fields.affected_services,
    ),
    customerImpact: readFlag(fields.customer_impact),
    labels: allLabels(fields),
    metadata: readMetadata(fields),
    drill: readFlag(fields.drill),
  })
}

function readTitle(fields: Fields): string | null {
  return firstText(LIMITS.title, fields.title, fields.alert_title, fields.name)
}

/** A resolve or an acknowledgement that names its alert needs no title. */
function titleOfKnownAlert(kind: AlertEvent['kind'], id: string | null): string {
  if (id !== null && (kind === 'recover' || kind === 'ack')) return id
  throw new z.ZodError([
    {
      code: 'custom',
      path: ['title'],
      message: 'title is missing: send it as text (alert_title and name are read too)',
      input: undefined,
    },
  ])
}

function readMonitor(value: unknown): AlertEvent['monitor'] {
  if (!isObject(value)) {
    const name = cleanText(value, LIMITS.name)
    return name === null ? null : { id: null, name, url: null }
  }
  return { id: cleanId(value.id), name: cleanText(value.name, LIMITS.name), url: cleanUrl(value.url) }
}

/** A group is a label, so that a project can group by it. */
function allLabels(fields: Fields): AlertEvent['labels'] {
  const group = cleanText(fields.group, LIMITS.labelValue)
  const labels = readLabels(fields.labels)
  return group === null ? labels : { group, ...labels }
}

function readMetadata(fields: Fields): Record<string, unknown> {
  const rest = Object.entries(fields).filter(([name]) => !Object.hasOwn(FIELDS.shape, name))
  return cleanMetadata({ ...Object.fromEntries(rest), ...(isObject(fields.metadata) ? fields.metadata : {}) })
}
