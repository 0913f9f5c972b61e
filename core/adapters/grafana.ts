import { z } from 'zod'
import type { HookRequest, ParsedRequest, SourceSettings } from '../types.ts'
import type { Adapter } from './adapter.ts'
import { alertGroupBody, isAlertGroup, parseAlertGroup } from './alert-group.ts'
import { cleanServices, cleanText, cleanUrl, firstText, isObject, LIMITS } from './clean.ts'
import { anything, someDescription, someId, someLabels, someList, someTitle, someWord } from './fields.ts'
import { newEvent } from './new-event.ts'
import { readSeverity } from './severity.ts'
import {
  hasBasic,
  hasBearer,
  hasHmacSha256,
  hasSecretHeader,
  header,
  hmacSha256,
  isRecent,
} from './signatures.ts'
import { readStatus, type StatusWords } from './status-words.ts'

const DEFAULT_SIGNATURE_HEADER = 'x-grafana-alerting-signature'

/**
 * Dashboard alerting, Grafana 8 and older.
 * https://grafana.com/docs/grafana/v7.5/alerting/notifications/#webhook
 */
const LegacyBody = z.object({
  ruleId: z.union([z.string().min(1), z.number()]).transform(String),
  ruleName: someTitle,
  ruleUrl: anything,
  state: someWord,
  title: someTitle,
  message: someDescription,
  evalMatches: someList,
  imageUrl: anything,
  orgId: someId,
  tags: someLabels,
})

/** `no_data`, `paused` and `pending` tell nothing of an outage. */
const LEGACY_STATES: StatusWords = {
  ALERTING: 'fire',
  OK: 'recover',
  NO_DATA: 'info',
  PAUSED: 'info',
  PENDING: 'info',
}

/** Grafana: unified alerting, with or without HMAC (12 and newer), and the dashboard alerting before it. */
export const grafana: Adapter = {
  slug: 'grafana',
  name: 'Grafana',
  defaults: { address: 'project', grouping: 'project', reopenWindowMinutes: 5 },
  informs: ['no_data', 'paused', 'pending'],
  methods: ['PUT'],
  marks: ['alerts', 'ruleId', 'evalMatches'],

  credentialHeaders: (settings) => [
    signatureHeader(settings),
    ...(settings.timestampHeader ? [settings.timestampHeader.toLowerCase()] : []),
    'x-webhook-secret',
    'authorization',
  ],

  verify(request, secret, settings) {
    // A wrong signature is not made good by a right password.
    if (request.headers.has(signatureHeader(settings))) return hasSignature(request, secret, settings)
    return hasSecretHeader(request, secret) || hasBearer(request, secret) || hasBasic(request, secret)
  },

  parse(body, _request, settings) {
    const isLegacy = isObject(body) && Object.hasOwn(body, 'ruleId') && !isAlertGroup(body)
    return isLegacy ? parseLegacy(body, settings) : parseAlertGroup(body, settings, { fromGrafana: true })
  },

  testRequest(kind, { id, at, secret, settings }) {
    const body = alertGroupBody(
      kind,
      { id, at },
      { alert: { values: { A: kind === 'fire' ? 1 : 0 } }, group: { version: '1', orgId: 1 } },
    )
    const seconds = String(Math.floor(Date.parse(at) / 1000))
    const { timestampHeader } = settings
    return {
      headers: {
        'content-type': 'application/json',
        [signatureHeader(settings)]: hmacSha256(body, secret, timestampHeader ? `${seconds}:` : ''),
        ...(timestampHeader && { [timestampHeader.toLowerCase()]: seconds }),
      },
      body,
    }
  },

  says: {
    credential: 'HMAC (Grafana 12, also with a timestamp header), `X-Webhook-Secret`, bearer, basic',
    opens: 'alert firing; legacy `alerting`',
    acknowledges: null,
    resolves: 'alert resolved; legacy `ok`',
    identity:
      'An alert is its labels (`fingerprint`), an outage its `startsAt`; legacy alerts are organisation and rule.',
    retries: 'Not at once; an alert that still fires is sent again with the next group interval.',
  },

  setup: [
    'In Grafana, open Alerting > Contact points and add a contact point of the type Webhook.',
    'Set its URL to {url}.',
    'Grafana 12 and newer: under Optional Webhook settings, set HMAC Signature > Secret to the secret of this source.',
    'Older Grafana: set Authorization Header to scheme Bearer with the secret as credentials.',
    'Leave "Disable resolved message" off, save, and choose the contact point in your notification policy.',
  ],
}

/** https://github.com/grafana/alerting/blob/main/http/hmac.go */
function hasSignature(request: HookRequest, secret: string, settings: SourceSettings): boolean {
  const signature = header(request, signatureHeader(settings))
  if (!settings.timestampHeader) return hasHmacSha256(request.rawBody, signature, secret)

  // What is signed is the text of the header, so that text is what counts.
  const seconds = header(request, settings.timestampHeader)
  return isRecent(request, seconds) && hasHmacSha256(request.rawBody, signature, secret, `${seconds}:`)
}

function signatureHeader(settings: SourceSettings): string {
  return settings.signatureHeader?.toLowerCase() || DEFAULT_SIGNATURE_HEADER
}

function parseLegacy(body: unknown, settings: SourceSettings): ParsedRequest {
  const alert = LegacyBody.parse(body)
  const status = readStatus(alert.state, settings.statusWords, LEGACY_STATES)
  const severityWord = firstText(LIMITS.word, alert.tags.severity, alert.tags.priority)
  const image = cleanUrl(alert.imageUrl)
  const values = evalValues(alert.evalMatches)

  const event = newEvent({
    kind: status.kind,
    signalKey: `${alert.orgId ?? 0}:${alert.ruleId}`,
    externalId: alert.ruleId,
    title: alert.ruleName ?? alert.title?.replace(/^\[[^\]]*\]\s*/, '') ?? 'Unnamed alert',
    description: alert.message,
    severity: readSeverity(severityWord) ?? status.severity,
    sourceSeverity: severityWord,
    sourceStatus: status.sourceStatus,
    url: cleanUrl(alert.ruleUrl),
    monitor: { id: alert.ruleId, name: alert.ruleName, url: null },
    services: cleanServices([alert.tags.service ?? alert.tags.job]),
    labels: alert.tags,
    evidence:
      values || image
        ? { ...(values && { values }), ...(image && { links: [{ text: 'Image', href: image }] }) }
        : null,
  })
  return { events: [event], delivery: null, group: null, filtered: null }
}

function evalValues(matches: unknown[]): Record<string, number> | undefined {
  const values: Record<string, number> = {}
  for (const match of matches.slice(0, LIMITS.labelCount)) {
    if (!isObject(match)) continue
    const metric = cleanText(match.metric, LIMITS.labelName)
    if (metric !== null && typeof match.value === 'number' && Number.isFinite(match.value))
      values[metric] = match.value
  }
  return Object.keys(values).length > 0 ? values : undefined
}
