import { z } from 'zod'
import type { AlertEvent, EventKind, ParsedRequest, Severity } from '../types.ts'
import type { Adapter } from './adapter.ts'
import { cleanMetadata, cleanText, cleanUrl, firstText, LIMITS, titleKey } from './clean.ts'
import { deliveryOf } from './delivery.ts'
import { anything, someDescription, someId, someName, someTime, someTitle, someWord } from './fields.ts'
import { newEvent } from './new-event.ts'
import { readLabels } from './read-labels.ts'
import { readTime } from './read-time.ts'
import { readSeverity } from './severity.ts'
import { hasBasic, hasBearer, hasSecretHeader } from './signatures.ts'
import { kindOfWord, type StatusWords } from './status-words.ts'

/**
 * The payload to paste: Datadog's own default names neither the monitor nor the transition.
 * The variables: https://docs.datadoghq.com/integrations/webhooks/#variables
 */
export const DATADOG_PAYLOAD =
  '{"id":"$ID","alert_id":"$ALERT_ID","cycle_key":"$ALERT_CYCLE_KEY","aggreg_key":"$AGGREG_KEY","transition":"$ALERT_TRANSITION","alert_type":"$ALERT_TYPE","priority":"$ALERT_PRIORITY","scope":"$ALERT_SCOPE","status":"$ALERT_STATUS","title":"$EVENT_TITLE","body":"$TEXT_ONLY_MSG","metric":"$ALERT_METRIC","host":"$HOSTNAME","tags":"$TAGS","link":"$LINK","date":"$DATE","org_id":"$ORG_ID","event_type":"$EVENT_TYPE"}'

/** The members of that payload, and what other templates call them. */
const Fields = z.object({
  id: someId,
  alert_id: someId,
  monitor_id: someId,
  cycle_key: someId,
  aggreg_key: someId,
  transition: anything,
  alert_transition: anything,
  alert_type: someWord,
  priority: someWord,
  severity: someWord,
  scope: someName,
  scopes: someName,
  status: someName,
  title: someTitle,
  body: someDescription,
  metric: someName,
  host: someName,
  tags: anything,
  link: anything,
  url: anything,
  date: someTime,
  last_updated: someTime,
  event_type: someWord,
})

type Fields = z.infer<typeof Fields>

/** `$ALERT_TRANSITION`, upper-case; a repeated one begins with `RE-`. */
const TRANSITIONS = new Map<string, EventKind>([
  ['TRIGGERED', 'fire'],
  ['WARN', 'fire'],
  ['NO DATA', 'fire'],
  ['RECOVERED', 'recover'],
  ['RENOTIFY', 'refresh'],
])

/** `$ALERT_TYPE`, where a body says no transition. */
const TYPES = new Map<string, EventKind>([
  ['success', 'recover'],
  ['error', 'fire'],
  ['warning', 'fire'],
  ['info', 'info'],
])

/** Monitors of Datadog, through its webhooks integration. It signs nothing, so the address itself is the secret. */
export const datadog: Adapter = {
  slug: 'datadog',
  name: 'Datadog',
  defaults: { address: 'token', grouping: 'project', reopenWindowMinutes: 5 },
  bodies: ['form'],
  repeats: true,
  marks: [
    ...['alert_id', 'monitor_id', 'cycle_key', 'aggreg_key', 'transition', 'alert_transition'],
    ...['alert_type', 'event_type', 'last_updated'],
  ],

  credentialHeaders: () => ['authorization', 'x-webhook-secret'],

  verify: (request, secret) =>
    hasBasic(request, secret) || hasBearer(request, secret) || hasSecretHeader(request, secret),

  parse(body, _request, { statusWords }) {
    const fields = Fields.parse(body)
    const event = toEvent(fields, statusWords)
    return { events: [event], delivery: readDelivery(fields, event), group: null, filtered: null }
  },

  testRequest: (kind, { id, at, secret }) => ({
    headers: { 'content-type': 'application/json', 'x-webhook-secret': secret },
    body: JSON.stringify({
      id: `${id}-${kind}`,
      alert_id: id,
      cycle_key: id,
      transition: kind === 'fire' ? 'Triggered' : 'Recovered',
      alert_type: kind === 'fire' ? 'error' : 'success',
      priority: 'P4',
      scope: '',
      title: `[${kind === 'fire' ? 'Triggered' : 'Recovered'}] Tocsin test`,
      body: 'A test sent from Tocsin. Nothing is wrong.',
      date: String(Date.parse(at) + (kind === 'fire' ? 0 : 1000)),
    }),
  }),

  says: {
    credential: 'token in the address; or basic, bearer, `X-Webhook-Secret`',
    opens: 'Triggered, Warn, No Data and their repeats',
    acknowledges: null,
    resolves: 'Recovered',
    identity: 'The monitor and its scope; an outage is the alert cycle.',
    retries: '5xx and internal errors; lost connections five times; other refusals never.',
  },

  setup: [
    'In Datadog, open Integrations > Webhooks and add a webhook.',
    'Paste {url} as the URL.',
    `Replace the payload by this one, since the default says neither which monitor nor whether it recovered: \`${DATADOG_PAYLOAD}\``,
    'Mention `@webhook-<name>` in the message of each monitor, outside of `{{#is_alert}}`, so that recoveries are sent too.',
  ],
}

function toEvent(fields: Fields, words: StatusWords): AlertEvent {
  const { word, title } = splitTitle(fields.title)
  const transition = firstText(LIMITS.word, fields.transition, fields.alert_transition, word)
  const kind = kindOfWord(transition, words) ?? kindOf(transition, fields)
  const scope = fields.scope ?? fields.scopes
  const monitorId = fields.alert_id ?? fields.monitor_id
  const signalKey =
    monitorId !== null ? `${monitorId} ${scope ?? ''}`.trim() : (fields.aggreg_key ?? titleKeyOf(title))
  const sourceTime = fields.date ?? fields.last_updated
  const eventTime = readTime(sourceTime)
  const labels = readLabels(fields.tags)

  return newEvent({
    kind,
    signalKey,
    ...(monitorId === null && fields.aggreg_key === null && { anonymous: true }),
    episode: fields.cycle_key,
    eventTime,
    sourceTime,
    timeFrom: eventTime === null ? null : 'body',
    eventId: fields.id ?? ([fields.cycle_key, transition, sourceTime].filter(Boolean).join(' ') || null),
    externalId: fields.id,
    title: title ?? `Datadog monitor ${monitorId ?? signalKey}`,
    description: withoutFences(fields.body),
    ...severityOf(transition, fields),
    sourceStatus: transition,
    url: cleanUrl(fields.link) ?? cleanUrl(fields.url),
    monitor: monitorId === null ? null : { id: monitorId, name: title, url: null },
    services: labels.service ? [labels.service] : [],
    labels: { ...labels, ...(fields.host !== null && { host: fields.host }) },
    metadata: cleanMetadata({
      ...(scope !== null && { scope }),
      ...(fields.metric !== null && { metric: fields.metric }),
      ...(fields.status !== null && { status: fields.status }),
    }),
  })
}

/** The id is new for each notification; but a template may put any id there, so only one of this cycle is a repeat. */
function readDelivery(
  { id, cycle_key }: Fields,
  { sourceStatus, sourceTime }: AlertEvent,
): ParsedRequest['delivery'] {
  return deliveryOf(
    id === null || cycle_key === null
      ? null
      : [id, cycle_key, sourceStatus ?? '', sourceTime ?? ''].join(' '),
  )
}

function kindOf(transition: string | null, fields: Fields): EventKind {
  const known = transition === null ? undefined : TRANSITIONS.get(withoutRepeat(transition))
  if (known) return known
  // An unknown transition is told, and does nothing.
  if (transition !== null) return 'info'
  const byType = TYPES.get(fields.alert_type?.toLowerCase() ?? '')
  if (byType) return byType
  // A variable that came out empty says that no monitor changed; without one, what is sent is an alert (N1).
  return fields.transition === undefined && fields.alert_transition === undefined ? 'fire' : 'info'
}

/** A warning is of severity medium, or of the monitor's own where that is lower. */
function severityOf(
  transition: string | null,
  { priority, severity, alert_type }: Fields,
): { severity: Severity | null; sourceSeverity: string | null } {
  const sourceSeverity = priority ?? severity
  const ofMonitor = readSeverity(sourceSeverity)
  const isWarning =
    transition === null ? alert_type?.toLowerCase() === 'warning' : /^(re-)?warn$/i.test(transition)
  const isLow = ofMonitor === 'low' || ofMonitor === 'info'
  return { severity: isWarning && !isLow ? 'medium' : ofMonitor, sourceSeverity }
}

/** `[P2] [Warn] Checkout is slow`: what Datadog put in front in brackets, and the title of the monitor. */
function splitTitle(text: string | null): { word: string | null; title: string | null } {
  let rest = text ?? ''
  let word: string | null = null
  for (let prefix = PREFIX.exec(rest); prefix; prefix = PREFIX.exec(rest)) {
    const first = prefix[1]!.split(' on ', 1)[0]!.trim()
    const isTransition = TRANSITIONS.has(withoutRepeat(first))
    if (!isTransition && !/^P[1-5]$/i.test(first)) break
    if (isTransition) word ??= first
    rest = rest.slice(prefix[0].length)
  }
  return { word, title: cleanText(rest, LIMITS.title) ?? text }
}

const PREFIX = /^\s*\[([^\]]*)\]/

function withoutRepeat(transition: string): string {
  return transition.toUpperCase().replace(/^RE-/, '')
}

function titleKeyOf(title: string | null): string {
  if (title !== null) return titleKey(title)
  const message = 'alert_id is missing: paste the payload the set-up steps of this source show'
  throw new z.ZodError([{ code: 'custom', path: ['alert_id'], message, input: undefined }])
}

/** Datadog wraps markdown in `%%%`. */
function withoutFences(text: string | null): string | null {
  if (!text?.startsWith('%%%')) return text
  return cleanText(text.slice(3, text.endsWith('%%%') ? -3 : undefined), LIMITS.description)
}
