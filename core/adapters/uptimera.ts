import { createHmac } from 'node:crypto'
import { z } from 'zod'
import type { AlertEvent, HookRequest } from '../types.ts'
import type { Adapter } from './adapter.ts'
import { cleanId, cleanMetadata, cleanText, cleanUrl, firstText, isObject, LIMITS, sha256 } from './clean.ts'
import { deliveryOf } from './delivery.ts'
import { newEvent } from './new-event.ts'
import { readTime } from './read-time.ts'
import { readSeverity } from './severity.ts'
import { header, hmacSha256, sameText } from './signatures.ts'
import { lastWord, readType } from './status-words.ts'

const SIGNATURE_HEADER = 'x-uptimera-signature'

/** Its page does not tell whether the type stands in the body or in a header, nor in which. */
const TYPE_HEADERS = ['x-uptimera-event', 'x-uptimera-event-type', 'x-uptimera-type']

const TOLD_ONCE = /^(incident\.)?(opened|acknowledged|resolved)$/i

/**
 * Uptimera, after its public page alone, which names no field: so the usual names are looked for at the usual places.
 * https://uptimera.com/integrations/webhooks
 */
export const uptimera: Adapter = {
  slug: 'uptimera',
  name: 'Uptimera',
  experimental: true,
  defaults: { address: 'project', grouping: 'signal', reopenWindowMinutes: 5 },
  repeats: true,
  marks: ['type', 'event', 'incident', 'incident_id', 'data', 'monitor', 'monitor_id'],

  credentialHeaders: () => [SIGNATURE_HEADER],

  verify,

  parse(body, request, settings) {
    const top = z.record(z.string(), z.unknown()).parse(body)
    const data = isObject(top.data) ? top.data : {}
    const incident = firstObject(data.incident, top.incident)
    const monitor = firstObject(data.monitor, top.monitor, incident.monitor)
    // The nearest first: what stands inside of `incident` is surely about it.
    const read = (...names: string[]) => firstOf([incident, data, top], names)

    const word = firstText(
      LIMITS.word,
      top.type,
      top.event,
      data.type,
      data.event,
      top.event_type,
      read('status', 'action'),
      ...TYPE_HEADERS.map((name) => header(request, name)),
    )
    // Without any the body may say anything, an end as well.
    const status =
      word === null ? { kind: 'info' as const, severity: null } : readType(word, settings.statusWords)
    const episode = cleanId(incident.id ?? firstOf([data, top], ['incident_id', 'incidentId']))
    const monitorId = cleanId(monitor.id ?? read('monitor_id', 'monitorId'))
    const name = firstText(
      LIMITS.title,
      monitor.name,
      read('monitor_name', 'monitorName'),
      incident.title,
      read('title', 'name'),
    )
    const url = cleanUrl(monitor.url ?? firstOf([data, top], ['monitor_url', 'monitorUrl', 'url']))
    const regions = read('regions', 'region_results', 'regionResults')
    const signalKey = monitorId ?? name ?? url ?? episode
    if (signalKey === null && status.kind !== 'info') throw missingMonitor()

    const startedAt = readTime(
      read('started_at', 'startedAt', 'opened_at', 'openedAt', 'created_at', 'createdAt'),
    )
    const sourceTime = firstText(
      LIMITS.word,
      timeOf(status.kind, read),
      top.timestamp,
      read('timestamp', 'time', 'occurred_at'),
    )
    const eventTime = readTime(sourceTime)
    const severityWord = firstText(LIMITS.word, read('severity', 'priority'))
    return {
      events: [
        newEvent({
          kind: status.kind,
          ...(lastWord(word ?? '').toLowerCase() === 'test' && { test: true }),
          signalKey,
          episode,
          episodeStart: startedAt,
          eventTime,
          sourceTime,
          timeFrom: eventTime === null ? null : 'body',
          eventId: episode === null ? sha256(request.rawBody) : `${episode} ${word ?? ''}`,
          externalId: episode,
          title: name ?? url ?? `Uptimera incident ${episode ?? ''}`.trim(),
          description: firstText(LIMITS.description, read('message', 'description', 'cause', 'error')),
          severity: readSeverity(severityWord) ?? status.severity,
          sourceSeverity: severityWord,
          sourceStatus: word,
          url: cleanUrl(incident.url ?? read('incident_url', 'link')),
          monitor: { id: monitorId, name: cleanText(name, LIMITS.name), url },
          metadata: cleanMetadata(regions === undefined ? {} : { regions }),
        }),
      ],
      // Each of the three is told once in an incident, and again for up to 30 minutes where it was not taken.
      delivery: deliveryOf(episode !== null && TOLD_ONCE.test(word ?? '') ? `${episode} ${word}` : null),
      group: null,
      filtered: null,
    }
  },

  testRequest(kind, { id, at, secret }) {
    const resolvedAt = new Date(Date.parse(at) + 1000).toISOString()
    const body = JSON.stringify({
      type: kind === 'fire' ? 'incident.opened' : 'incident.resolved',
      timestamp: kind === 'fire' ? at : resolvedAt,
      incident: { id, started_at: at, ...(kind === 'recover' && { resolved_at: resolvedAt }) },
      monitor: { id, name: 'Tocsin test', url: 'https://example.com' },
      regions: [],
    })
    return {
      headers: { 'content-type': 'application/json', [SIGNATURE_HEADER]: hmacSha256(body, secret) },
      body,
    }
  },

  says: {
    credential: '`X-Uptimera-Signature` (HMAC-SHA256 of the body: hex, `sha256=` and hex, or base64)',
    opens: '`incident.opened`',
    acknowledges: '`incident.acknowledged`',
    resolves: '`incident.resolved`',
    identity: 'The id of the monitor; an outage is the id of its incident.',
    retries: 'Anything but a 2xx, for up to 30 minutes.',
  },

  setup: [
    'In Uptimera, open Settings > Alert Channels and click Add Webhook.',
    'Paste {url} as the endpoint.',
    'Copy the signing secret Uptimera shows, rotate the secret of this source and give it that one.',
  ],
}

function verify(request: HookRequest, secret: string): boolean {
  const signature = header(request, SIGNATURE_HEADER)
    ?.trim()
    .replace(/^sha256=/i, '')
  if (!signature || secret === '') return false
  const expected = createHmac('sha256', secret).update(request.rawBody).digest()
  const isHex = /^[0-9a-f]{64}$/i.test(signature)
  return isHex
    ? sameText(signature.toLowerCase(), expected.toString('hex'))
    : sameText(signature, expected.toString('base64'))
}

function timeOf(kind: AlertEvent['kind'], read: (...names: string[]) => unknown): unknown {
  if (kind === 'recover') return read('resolved_at', 'resolvedAt')
  if (kind === 'ack') return read('acknowledged_at', 'acknowledgedAt')
  return kind === 'fire' ? read('started_at', 'startedAt', 'opened_at', 'openedAt') : undefined
}

/** `incident.opened` is `opened`. */
function firstOf(places: Record<string, unknown>[], names: string[]): unknown {
  for (const place of places) {
    for (const name of names) if (Object.hasOwn(place, name) && place[name] !== null) return place[name]
  }
  return undefined
}

function firstObject(...values: unknown[]): Record<string, unknown> {
  return values.find(isObject) ?? {}
}

function missingMonitor(): z.ZodError {
  const message = 'monitor.id is missing, and so are its name and the id of the incident: send one of them'
  return new z.ZodError([{ code: 'custom', path: ['monitor', 'id'], message, input: undefined }])
}
