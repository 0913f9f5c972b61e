import { z } from 'zod'
import type { AlertEvent, EventKind, Labels } from '../types.ts'
import type { Adapter } from './adapter.ts'
import { cleanId, cleanLabels, cleanText, cleanUrl, isObject, LIMITS, sha256 } from './clean.ts'
import { anything, someDescription, someId, someList, someName, someTime } from './fields.ts'
import { newEvent } from './new-event.ts'
import { readJsonBody } from './read-body.ts'
import { readTime } from './read-time.ts'
import { hasBasic, hasBearer, hasSecretHeader } from './signatures.ts'
import { kindOfWord, type StatusWords } from './status-words.ts'

/** https://github.com/louislam/uptime-kuma/blob/master/server/notification-providers/webhook.js */
const Body = z.object({ heartbeat: anything, monitor: anything, msg: someDescription })

const Heartbeat = z.object({
  monitorID: someId,
  status: anything,
  time: someTime,
  msg: someDescription,
  ping: anything,
})

const Monitor = z.object({
  id: someId,
  name: someName,
  url: anything,
  hostname: someName,
  type: someName,
  tags: someList,
})

/** https://github.com/louislam/uptime-kuma/blob/master/src/util.ts; pending and maintenance are never notified. */
const STATUS = new Map<string, { kind: EventKind; word: string }>([
  ['0', { kind: 'fire', word: 'DOWN' }],
  ['1', { kind: 'recover', word: 'UP' }],
  ['2', { kind: 'info', word: 'PENDING' }],
  ['3', { kind: 'info', word: 'MAINTENANCE' }],
])

/** Uptime Kuma: JSON, a form with JSON in its field `data`, or a GET. It signs nothing and tries once. */
export const uptimeKuma: Adapter = {
  slug: 'uptime-kuma',
  name: 'Uptime Kuma',
  defaults: { address: 'token', grouping: 'project', reopenWindowMinutes: 5 },
  informs: ['pending', 'maintenance'],
  methods: ['GET'],
  bodies: ['form', 'multipart', 'text'],
  marks: ['heartbeat', 'monitor', 'msg'],

  credentialHeaders: () => ['authorization', 'x-webhook-secret'],

  verify: (request, secret) =>
    hasSecretHeader(request, secret) || hasBearer(request, secret) || hasBasic(request, secret),

  parse(body, request, { statusWords }) {
    const fields = Body.parse(body)
    const heartbeat = member(fields.heartbeat)
    const monitor = member(fields.monitor)
    const event =
      heartbeat === null
        ? noticeOf(fields.msg, request.rawBody)
        : beatOf(heartbeat, monitor ?? {}, fields.msg, statusWords)
    return { events: [event], delivery: null, group: null, filtered: null }
  },

  testRequest: (kind, { id, at, secret }) => ({
    headers: { 'content-type': 'application/json', 'x-webhook-secret': secret },
    body: JSON.stringify({
      heartbeat: {
        monitorID: id,
        status: kind === 'fire' ? 0 : 1,
        time: new Date(Date.parse(at) + (kind === 'fire' ? 0 : 1000))
          .toISOString()
          .replace('T', ' ')
          .slice(0, -1),
        msg: 'A test sent from Tocsin. Nothing is wrong.',
        important: true,
      },
      monitor: { id, name: 'Tocsin test', url: 'https://', type: 'http', tags: [] },
      msg: '[Tocsin test] A test sent from Tocsin. Nothing is wrong.',
    }),
  }),

  says: {
    credential: 'token in the address; or `X-Webhook-Secret`, bearer, basic',
    opens: 'DOWN (status 0)',
    acknowledges: null,
    resolves: 'UP (status 1)',
    identity: 'The id of the monitor; make one source per Uptime Kuma, since ids are its own.',
    retries: 'Never: what is missed is missed. "Resend Notification if Down" repeats an outage that lasts.',
  },

  setup: [
    'In Uptime Kuma, open Settings > Notifications > Setup Notification and choose the type Webhook.',
    'Paste {url} as the Post URL and leave the request body at application/json.',
    'Set "Resend Notification if Down" in your monitors, since Uptime Kuma never tries a lost notification again.',
    'Tick "Apply on all existing monitors", click Test, and save.',
  ],
}

/** A member that is an object, or its JSON as a query or a template sends it. */
function member(value: unknown): Record<string, unknown> | null {
  if (isObject(value)) return value
  if (typeof value !== 'string' || !value.trimStart().startsWith('{')) return null
  const parsed = readJsonBody(Buffer.from(value))
  return isObject(parsed) ? parsed : null
}

function beatOf(
  heartbeatBody: Record<string, unknown>,
  monitorBody: Record<string, unknown>,
  msg: string | null,
  words: StatusWords,
): AlertEvent {
  const heartbeat = Heartbeat.parse(heartbeatBody)
  const monitor = Monitor.parse(monitorBody)
  const id = monitor.id ?? heartbeat.monitorID
  const signalKey = id ?? monitor.name
  if (signalKey === null) throw missingMonitor()

  const sent = cleanText(heartbeat.status, LIMITS.word)
  const status = STATUS.get(sent ?? '')
  const eventTime = readTime(heartbeat.time)
  return newEvent({
    kind: kindOfWord(status?.word ?? sent, words) ?? status?.kind ?? 'info',
    signalKey,
    eventTime,
    sourceTime: heartbeat.time,
    timeFrom: eventTime === null ? null : 'body',
    eventId: `${signalKey} ${heartbeat.time ?? ''} ${sent ?? ''}`,
    externalId: id,
    title: monitor.name ?? cleanText(msg, LIMITS.title) ?? `Monitor ${signalKey}`,
    description: heartbeat.msg ?? msg,
    sourceStatus: status?.word ?? sent,
    monitor: { id, name: monitor.name, url: cleanUrl(monitor.url) },
    labels: labelsOf(monitor.tags),
    metadata: {
      ...(monitor.hostname !== null && { hostname: monitor.hostname }),
      ...(monitor.type !== null && { monitorType: monitor.type }),
    },
    evidence: typeof heartbeat.ping === 'number' ? { values: { ping: heartbeat.ping } } : null,
  })
}

/** No heartbeat: the test button, or a certificate that runs out. */
function noticeOf(msg: string | null, rawBody: Buffer): AlertEvent {
  const isCertificate = msg !== null && /certificate/i.test(msg) && /expire/i.test(msg)
  return newEvent({
    kind: 'info',
    ...(!isCertificate && { test: true }),
    eventId: sha256(rawBody),
    title: cleanText(msg, LIMITS.title) ?? 'Uptime Kuma notification',
  })
}

function labelsOf(tags: unknown[]): Labels {
  const pairs = tags.flatMap((tag): [string, unknown][] => {
    const name = isObject(tag) ? cleanId(tag.name) : null
    return name === null || name === '__proto__' ? [] : [[name, (tag as { value?: unknown }).value ?? '']]
  })
  return cleanLabels(Object.fromEntries(pairs))
}

function missingMonitor(): z.ZodError {
  const message = 'monitor.id is missing, and monitor.name is, too: send one of them'
  return new z.ZodError([{ code: 'custom', path: ['monitor', 'id'], message, input: undefined }])
}
