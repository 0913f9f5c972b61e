import { z } from 'zod'
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
} from './clean.ts'
import { anything, someTime } from './fields.ts'
import { newEvent } from './new-event.ts'
import { readBody, readJsonBody } from './read-body.ts'
import { readTime } from './read-time.ts'
import { readOwnSeverity } from './severity.ts'
import { hasBasic, hasBearer, hasSecretHeader } from './signatures.ts'
import { readStatus } from './status-words.ts'

const MOST_EVENTS = 1_000

const attribute = (name: string) =>
  z.string(`${name} is missing: send the attribute as text`).min(1, `${name} is empty: send some text`)

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#required-attributes */
const CloudEvent = z.looseObject({
  specversion: attribute('specversion'),
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

type CloudEvent = z.infer<typeof CloudEvent>

/** Anything that speaks CloudEvents 1.0 over HTTP: one per request, in headers or in JSON, or a batch. */
export const cloudevents: Adapter = {
  slug: 'cloudevents',
  name: 'CloudEvents',
  defaults: { address: 'project', grouping: 'signal', reopenWindowMinutes: 5 },
  methods: ['OPTIONS'],
  bodies: ['text'],
  marks: ['specversion'],

  credentialHeaders: () => ['authorization', 'x-webhook-secret'],

  verify: (request, secret) =>
    hasBearer(request, secret) || hasSecretHeader(request, secret) || hasBasic(request, secret),

  readBody: (request) => (request.headers.has('ce-specversion') ? binary(request) : readBody(request)),

  parse(body, _request, settings) {
    const events = Array.isArray(body)
      ? z.array(CloudEvent).min(1).max(MOST_EVENTS).parse(body)
      : [CloudEvent.parse(body)]
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
    'Let the type end in a status word (`com.example.check.opened`, `….resolved`); other words can be added in the settings of this source.',
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
  const type = request.headers.get('content-type')?.[0] ?? ''
  return /^text\//i.test(type) ? request.rawBody.toString('utf8') : readJsonBody(request.rawBody)
}

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
  const status = readStatus(event.type.slice(dot + 1), settings.statusWords)
  const subject = cleanId(event.subject)
  const kindOfThing = cleanId(dot > 0 ? event.type.slice(0, dot) : event.type)
  const eventTime = readTime(event.time)
  const data = isObject(event.data) ? event.data : {}
  const severityWord = firstText(LIMITS.word, data.severity, data.priority, event.severity)
  const title = firstText(LIMITS.title, data.title, data.name, data.summary)
  return newEvent({
    kind: status.kind,
    ...(status.reopen && { reopen: true }),
    signalKey: subject ?? kindOfThing,
    eventTime,
    sourceTime: event.time,
    timeFrom: eventTime === null ? null : 'body',
    // Source and id are of one event only, so without a time they alone tell it.
    ...(eventTime === null && { moment: event.id }),
    eventId: `${event.source} ${event.id}`,
    externalId: cleanId(event.id),
    title:
      title ??
      cleanText(subject === null ? event.type : `${event.type} ${subject}`, LIMITS.title) ??
      'CloudEvent',
    description: firstText(LIMITS.description, data.description, data.message, event.data),
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
