import { z } from 'zod'
import { TocsinError } from '../errors.ts'
import type { AlertEvent, HookRequest, SourceSettings } from '../types.ts'
import type { Adapter } from './adapter.ts'
import {
  cleanId,
  cleanLabels,
  cleanMetadata,
  cleanServices,
  cleanText,
  cleanUrl,
  firstText,
  isObject,
  LIMITS,
  wholeId,
} from './clean.ts'
import { anything, listOf, someTime } from './fields.ts'
import { newEvent } from './new-event.ts'
import { readBody, readJsonBody } from './read-body.ts'
import { readTime } from './read-time.ts'
import { readOwnSeverity } from './severity.ts'
import { hasBasic, hasBearer, hasSecretHeader } from './signatures.ts'
import { readType } from './status-words.ts'

const MOST_EVENTS = 1_000

const attribute = (name: string) =>
  z.string(`${name} is missing: send the attribute as text`).min(1, `${name} is empty: send some text`)

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#required-attributes */
const CloudEvent = z.looseObject({
  specversion: attribute('specversion').startsWith('1.', 'specversion is not 1.0: send CloudEvents 1.0'),
  id: attribute('id'),
  source: attribute('source'),
  type: attribute('type'),
  subject: anything,
  time: someTime,
  datacontenttype: anything,
  dataschema: anything,
  data: anything,
  data_base64: anything,
})

const Batch = listOf(CloudEvent, {
  name: 'the batch',
  most: MOST_EVENTS,
  least: 0,
  remedy: 'send smaller batches',
})

type CloudEvent = z.infer<typeof CloudEvent>

/** Anything that speaks CloudEvents 1.0 over HTTP: one per request, in headers or in JSON, or a batch. */
export const cloudevents: Adapter = {
  slug: 'cloudevents',
  name: 'CloudEvents',
  defaults: { address: 'project', grouping: 'signal', reopenWindowMinutes: 5 },
  methods: ['OPTIONS'],
  bodies: ['text', 'none'],
  marks: ['specversion'],

  credentialHeaders: () => ['authorization', 'x-webhook-secret'],

  verify: (request, secret) =>
    hasBearer(request, secret) || hasSecretHeader(request, secret) || hasBasic(request, secret),

  readBody(request) {
    const isStructured = /^application\/cloudevents/i.test(typeOf(request))
    return request.headers.has('ce-specversion') && !isStructured ? binary(request) : readBody(request)
  },

  parse(body, _request, settings) {
    // A batch of none is valid: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md#4-json-batch-format
    const events = Array.isArray(body) ? Batch.parse(body) : [CloudEvent.parse(body)]
    return {
      events: events.map((event) => toEvent(event, settings)),
      delivery: null,
      group: null,
      filtered: null,
    }
  },

  testRequest: (kind, { id, at, secret }) => ({
    headers: { 'content-type': 'application/cloudevents+json', authorization: `Bearer ${secret}` },
    body: JSON.stringify({
      specversion: '1.0',
      id: `${id}-${kind}`,
      source: '/tocsin',
      type: kind === 'fire' ? 'tocsin.test.opened' : 'tocsin.test.resolved',
      subject: id,
      time: kind === 'fire' ? at : new Date(Date.parse(at) + 1000).toISOString(),
      data: { title: 'Tocsin test', severity: 'low' },
    }),
  }),

  says: {
    credential: 'bearer, basic, `X-Webhook-Secret`',
    opens: 'types that end in `.opened`, `.triggered`, `.firing` …',
    acknowledges: 'types that end in `.acknowledged`',
    resolves: 'types that end in `.resolved`, `.closed`, `.recovered` …',
    identity: '`subject`, else the type without its last word; `source` and `id` make a repeat a duplicate.',
    retries: 'As the sender does; the `OPTIONS` handshake of the webhook profile is answered.',
  },

  setup: [
    'Give {url} to the sender as its HTTP sink, binary, structured or batched.',
    'Set the header `Authorization: Bearer <secret of this source>`.',
    'Where the sender can only put a token into the address, make the source with `"address": "token"`: `access_token` is not read.',
    'Let the type end in a status word (`com.example.check.opened`, `….resolved`); other words, or whole types, can be added in the settings of this source (`statusWords`).',
  ],
}

/** Attributes in headers, data in the body: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md */
function binary(request: HookRequest): unknown {
  const attributes = [...request.headers]
    .filter(([name]) => name.startsWith('ce-'))
    .map(([name, values]) => [name.slice('ce-'.length), decoded(values[0] ?? '')])
  return { ...Object.fromEntries(attributes), data: dataOf(request) }
}

function dataOf(request: HookRequest): unknown {
  if (request.rawBody.length === 0) return undefined
  return /^text\//i.test(typeOf(request)) ? request.rawBody.toString('utf8') : readJsonBody(request.rawBody)
}

function typeOf(request: HookRequest): string {
  return request.headers.get('content-type')?.[0] ?? ''
}

/**
 * The data of an event in JSON, also where it stands there as bytes in base64: JSON, or text by its type. No more comes
 * out than the body holds. What cannot be read is left out, since the event says enough without.
 */
function dataIn({ data, data_base64: encoded, datacontenttype }: CloudEvent): unknown {
  if (data !== undefined || typeof encoded !== 'string' || !BASE64.test(encoded)) return data
  const type = cleanText(datacontenttype, LIMITS.word) ?? 'application/json'
  const bytes = Buffer.from(encoded, 'base64')
  if (/^text\//i.test(type)) return bytes.toString('utf8')
  if (!/^[^;]*[/+]json *(;|$)/i.test(type)) return undefined
  try {
    return readJsonBody(bytes)
  } catch (error) {
    if (error instanceof TocsinError) return undefined
    throw error
  }
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

/** Header values are percent-encoded where they are not plain ASCII. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function toEvent(event: CloudEvent, settings: SourceSettings): AlertEvent {
  const dot = event.type.lastIndexOf('.')
  const status = readType(event.type, settings.statusWords)
  const subject = cleanId(event.subject)
  const kindOfThing = cleanId(dot > 0 ? event.type.slice(0, dot) : event.type)
  const eventTime = readTime(event.time)
  const content = dataIn(event)
  const data = isObject(content) ? content : {}
  const severityWord = firstText(LIMITS.word, data.severity, data.priority, event.severity)
  const title = firstText(LIMITS.title, data.title, data.name, data.summary)
  return newEvent({
    kind: status.kind,
    ...(status.reopen && { reopen: true }),
    signalKey: subject ?? kindOfThing,
    eventTime,
    sourceTime: event.time,
    timeFrom: eventTime === null ? null : 'body',
    // Source and id are of one event only, so they tell it without a time, too.
    ...(eventTime === null && { moment: 'once' }),
    eventId: `${event.source} ${event.id}`,
    externalId: wholeId(event.id),
    title:
      title ??
      cleanText(subject === null ? event.type : `${event.type} ${subject}`, LIMITS.title) ??
      'CloudEvent',
    description: firstText(LIMITS.description, data.description, data.message, content),
    severity: readOwnSeverity(severityWord) ?? status.severity,
    sourceSeverity: severityWord,
    sourceStatus: cleanText(event.type, LIMITS.word),
    url: cleanUrl(data.url),
    services: cleanServices([data.service].flat(), data.services),
    labels: cleanLabels({ source: event.source, ...extensions(event) }),
    metadata: cleanMetadata(data),
  })
}

/** Attributes beyond the standard's. */
function extensions(event: CloudEvent): Record<string, unknown> {
  return Object.fromEntries(Object.entries(event).filter(([name]) => !Object.hasOwn(CloudEvent.shape, name)))
}
