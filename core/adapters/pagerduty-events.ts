import { z } from 'zod'
import type { AlertEvent, EventKind, Evidence, HookRequest } from '../types.ts'
import type { Adapter } from './adapter.ts'
import {
  cleanId,
  cleanLabels,
  cleanMetadata,
  cleanServices,
  cleanText,
  cleanUrl,
  isObject,
  LIMITS,
  sha256,
} from './clean.ts'
import { anything, someList, someName, someTime, someWord } from './fields.ts'
import { newEvent } from './new-event.ts'
import { readJsonBody } from './read-body.ts'
import { readTime } from './read-time.ts'
import { readSeverity } from './severity.ts'
import { sameText } from './signatures.ts'

const CHANGE_PATH = '/v2/change/enqueue'
const MOST_LINKS = 20
/** The longest dedup_key PagerDuty takes. */
const LONGEST_KEY = 255

const filled = (name: string) =>
  z.string(`${name} is missing: send it as text`).trim().min(1, `${name} is empty: send some text`)

/** https://developer.pagerduty.com/docs/send-alert-event */
const Envelope = z.object({
  event_action: z.enum(
    ['trigger', 'acknowledge', 'resolve'],
    'event_action is none of trigger, acknowledge, resolve: send one of them',
  ),
  dedup_key: z
    .string('dedup_key is no text: send text')
    .max(LONGEST_KEY, `dedup_key is too long: send at most ${LONGEST_KEY} characters`)
    .nullish(),
  payload: anything,
})

const Trigger = z.object({
  payload: z.object({
    summary: filled('payload.summary'),
    source: filled('payload.source'),
    severity: filled('payload.severity'),
  }),
})

/** What is read of any event, whatever its kind. */
const Details = z.object({
  timestamp: someTime,
  severity: someWord,
  source: someName,
  component: someName,
  group: someName,
  class: someName,
  custom_details: anything,
})

/** https://developer.pagerduty.com/docs/send-change-event */
const Change = z.object({ payload: z.object({ summary: filled('payload.summary') }) })

const KINDS: Record<'trigger' | 'acknowledge' | 'resolve', EventKind> = {
  trigger: 'fire',
  acknowledge: 'ack',
  resolve: 'recover',
}

/** What speaks PagerDuty's Events API v2: the tools that ship a PagerDuty notifier, and PagerDuty's own clients. */
export const pagerdutyEvents: Adapter = {
  slug: 'pagerduty-events',
  name: 'PagerDuty Events API v2',
  defaults: { address: 'project', grouping: 'signal', reopenWindowMinutes: 5 },
  informs: ['change'],
  marks: ['event_action', 'routing_key'],
  path: '/v2/enqueue',
  dropIn: { credential: routingKey },
  secretForm: 'hex32',

  credentialHeaders: () => [],

  verify(request, secret) {
    if (secret === '') return false
    try {
      return sameText(routingKey(request) ?? '', secret)
    } catch {
      // A body nobody can read names no key.
      return false
    }
  },

  parse(body, request) {
    const event = request.path.startsWith(CHANGE_PATH) ? changeOf(body, request) : alertOf(body, request)
    return {
      events: [event],
      delivery: null,
      group: null,
      filtered: null,
      ...(event.signalKey !== null && { echo: event.externalId ?? event.signalKey }),
    }
  },

  testRequest: (kind, { id, secret }) => ({
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      routing_key: secret,
      event_action: kind === 'fire' ? 'trigger' : 'resolve',
      dedup_key: id,
      payload: { summary: 'Tocsin test', source: 'tocsin', severity: 'info' },
    }),
  }),

  says: {
    credential: '`routing_key` in the body',
    opens: '`trigger`',
    acknowledges: '`acknowledge`',
    resolves: '`resolve`',
    identity: '`dedup_key`, the same from the trigger to the resolve; without one, one is made and answered.',
    retries: 'As the client does; most of them after 429 and 5xx.',
  },

  setup: [
    'In the tool that notifies PagerDuty, set the address of the Events API to {url} (Alertmanager: `pagerduty_config.url`, Uptime Kuma: Integration Url).',
    'Put the secret of this source in as integration key or routing key.',
    'Change events go to the same host at `/v2/change/enqueue`; they only inform.',
  ],
}

function routingKey(request: HookRequest): string | undefined {
  const body = readJsonBody(request.rawBody)
  const key = isObject(body) ? body.routing_key : undefined
  return typeof key === 'string' && key !== '' ? key : undefined
}

function alertOf(body: unknown, request: HookRequest): AlertEvent {
  const { event_action: action, payload, ...envelope } = Envelope.parse(body)
  const dedupKey = cleanId(envelope.dedup_key)
  if (action !== 'trigger' && dedupKey === null) throw missingKey()

  // A trigger without a key gets one, the same when it is sent again.
  const key = dedupKey ?? sha256(request.rawBody).slice(0, 32)
  const summary =
    action === 'trigger'
      ? Trigger.parse({ payload: payload ?? {} }).payload.summary
      : isObject(payload)
        ? payload.summary
        : null
  const details = Details.parse(isObject(payload) ? payload : {})
  return {
    ...commonOf(body, details, request),
    kind: KINDS[action],
    signalKey: key,
    externalId: key,
    title: cleanText(summary, LIMITS.title) ?? key,
    severity: readSeverity(details.severity),
    sourceSeverity: details.severity,
    sourceStatus: action,
    services: cleanServices([details.component ?? details.group]),
    monitor: details.source === null ? null : { id: null, name: details.source, url: null },
  }
}

/** A deployment or another change: worth knowing, no outage. */
function changeOf(body: unknown, request: HookRequest): AlertEvent {
  const { payload } = Change.parse(body)
  return {
    ...commonOf(body, Details.parse(payload), request),
    title: cleanText(payload.summary, LIMITS.title) ?? 'Change',
    sourceStatus: 'change',
  }
}

function commonOf(body: unknown, details: z.infer<typeof Details>, request: HookRequest): AlertEvent {
  const { client, client_url, links, images } = Links.parse(body)
  const eventTime = readTime(details.timestamp)
  const custom = details.custom_details
  const found = [...links, ...images].flatMap(readLink).slice(0, MOST_LINKS)
  return newEvent({
    kind: 'info',
    title: '',
    eventTime,
    sourceTime: details.timestamp,
    timeFrom: eventTime === null ? null : 'body',
    eventId: sha256(request.rawBody),
    url: cleanUrl(client_url) ?? found[0]?.href ?? null,
    labels: {
      ...cleanLabels(custom),
      ...cleanLabels({ component: details.component, group: details.group, class: details.class }),
    },
    metadata: cleanMetadata({
      ...(client !== null && { client }),
      ...(custom !== undefined && custom !== null && !isObject(custom) && { customDetails: custom }),
    }),
    evidence: found.length > 0 ? { links: found } : null,
  })
}

const Links = z.object({ client: someName, client_url: anything, links: someList, images: someList })

function readLink(link: unknown): NonNullable<Evidence['links']> {
  if (!isObject(link)) return []
  const href = cleanUrl(link.href) ?? cleanUrl(link.src)
  return href === null ? [] : [{ text: cleanText(link.text ?? link.alt, LIMITS.name) ?? href, href }]
}

function missingKey(): z.ZodError {
  const message = 'dedup_key is missing: send the one of the trigger'
  return new z.ZodError([{ code: 'custom', path: ['dedup_key'], message, input: undefined }])
}
