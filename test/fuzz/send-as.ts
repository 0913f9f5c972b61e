import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import type { Random } from '../support/random.ts'

/** One request of a tool. */
export interface Outgoing {
  method: string
  /** Path and query. */
  target: string
  headers: Record<string, string>
  body: Buffer
}

const JSON_TYPE = { 'content-type': 'application/json' }
const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded' }

/** The bodies we have of a tool, naming the project and the key where the tool does. */
export function bodiesOf(adapter: string, projectId: string, secret: string | undefined): Buffer[] {
  const folder = new URL(`../payloads/${adapter}/`, import.meta.url)
  return readdirSync(folder).map((file) =>
    Buffer.from(
      readFileSync(new URL(file, folder), 'utf8')
        .replaceAll('22222222-2222-4222-8222-222222222222', projectId)
        .replaceAll('0123456789abcdef0123456789abcdef', secret ?? ''),
    ),
  )
}

/** A body as the tool sends it, signed after it was spoiled, since an unsigned one would end at the door. */
export function sendAs(
  adapter: string,
  source: { url: string; secret: string | undefined },
  body: Buffer,
  random: Random,
): Outgoing {
  const { pathname } = new URL(source.url)
  const secret = source.secret ?? ''
  const hmac = createHmac('sha256', secret).update(body).digest('hex')
  const post = (headers: Record<string, string>, more: Partial<Outgoing> = {}): Outgoing => ({
    method: 'POST',
    target: pathname,
    headers: { ...JSON_TYPE, ...headers },
    body,
    ...more,
  })

  switch (adapter) {
    case 'sentry':
      return post({ 'sentry-hook-signature': hmac, ...sentryHeaders(random) })
    case 'pagerduty':
      return post({ 'x-pagerduty-signature': `v1=${hmac}`, 'x-webhook-id': `d-${random.below(1e9)}` })
    case 'uptimera':
      return post({ 'x-uptimera-signature': hmac })
    case 'gitpulse':
      return post({ 'x-api-key': secret })
    case 'grafana-irm':
      return post({ authorization: `Bearer ${secret}` }, { target: `${pathname}?${irmQuery(random)}` })
    case 'cloudevents':
      return post({ authorization: `Bearer ${secret}`, ...random.pick(CLOUD_EVENT_HEADERS) })
    case 'datadog':
      return post(random.pick([JSON_TYPE, FORM_TYPE]))
    case 'uptime-kuma':
      return kuma(post, body, random)
    case 'generic':
      return post(
        { 'x-webhook-secret': secret, ...random.pick([JSON_TYPE, FORM_TYPE]) },
        { target: `${pathname}${random.pick(GENERIC_QUERIES)}` },
      )
    case 'grafana':
      return post(
        random.below(2) === 0 ? { 'x-webhook-secret': secret } : { 'x-grafana-alerting-signature': hmac },
        { method: random.pick(['POST', 'PUT']) },
      )
    case 'pagerduty-events':
      return post(
        {},
        { target: random.pick([pathname, pathname.replace('/v2/enqueue', '/v2/change/enqueue')]) },
      )
    case 'betterstack':
    case 'runframe':
      return post({})
    default:
      return post({ 'x-webhook-secret': secret })
  }
}

function sentryHeaders(random: Random): Record<string, string> {
  const resource = random.pick([
    'issue',
    'event_alert',
    'metric_alert',
    'error',
    'comment',
    'installation',
    'seer',
    '',
  ])
  return resource === '' ? {} : { 'sentry-hook-resource': resource, 'sentry-hook-timestamp': '1777957505' }
}

function irmQuery(random: Random): string {
  const value = () =>
    random.pick([
      'json(report.title)',
      'json(a.b.c)',
      'json()',
      'json(',
      'x'.repeat(1500),
      'true',
      'a,b:c,d=e',
      '%00',
    ])
  const names = [
    'title',
    'severity',
    'labels',
    'drill',
    'roomprefix',
    'id',
    'action',
    'service',
    'description',
  ]
  const parts = Array.from({ length: random.below(5) }, () => `${random.pick(names)}=${value()}`)
  return parts.join('&')
}

const GENERIC_QUERIES = [
  '',
  '',
  '?id=json(id)&title=json(title)',
  '?action=json(status)&labels=json(labels)',
  '?drill=true',
]

const CLOUD_EVENT_HEADERS: Record<string, string>[] = [
  { 'content-type': 'application/cloudevents+json' },
  { 'content-type': 'application/cloudevents-batch+json' },
  {
    'ce-specversion': '1.0',
    'ce-id': '1',
    'ce-source': '/c',
    'ce-type': 'check.opened',
    'ce-subject': '%E0%A4',
  },
]

function kuma(
  post: (headers: Record<string, string>, more?: Partial<Outgoing>) => Outgoing,
  body: Buffer,
  random: Random,
): Outgoing {
  const how = random.below(4)
  if (how === 0) {
    const query = new URLSearchParams({
      msg: 'm',
      heartbeat: body.toString('utf8').slice(0, 4000),
      monitor: '{"id":1}',
    })
    const plain = post({}, { method: 'GET', body: Buffer.alloc(0) })
    return { ...plain, target: `${plain.target}?${query}`, headers: {} }
  }
  if (how === 1) {
    const parts = [
      Buffer.from('--b\r\nContent-Disposition: form-data; name="data"\r\n\r\n'),
      body,
      Buffer.from('\r\n--b--\r\n'),
    ]
    return post({ 'content-type': 'multipart/form-data; boundary=b' }, { body: Buffer.concat(parts) })
  }
  return post(how === 2 ? FORM_TYPE : {})
}
