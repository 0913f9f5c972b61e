import { createHmac } from 'node:crypto'
import type { ApiReceived } from '@tocsin/core'
import { type Answer, type SendingSource, send } from '../support/tocsin-process.ts'

/** What a tool sends: its own headers and signature, and the bytes they cover. */
export interface Delivery {
  url: string
  headers: Record<string, string>
  body: string
}

export interface GrafanaAlert {
  name: string
  status: 'firing' | 'resolved'
  startsAt: string
  endsAt?: string
  severity: string
  value: number
}

export function deliver({ url, headers, body }: Delivery): Promise<Answer<ApiReceived>> {
  return send({ url, secret: undefined }, body, headers)
}

/** Sentry signs the body with the client secret of its integration. */
export function fromSentry(
  { url, secret }: SendingSource,
  action: 'created' | 'resolved',
  at: string,
): Delivery {
  const body = JSON.stringify({
    action,
    installation: { uuid: 'a8e5d37a-696c-4c54-adb5-b3f28d64c7de' },
    data: {
      issue: {
        id: '4711',
        shortId: 'SHOP-3F',
        title: 'ConnectionTimeout: payments.example.com',
        culprit: 'checkout.pay in charge',
        level: 'error',
        status: action === 'created' ? 'unresolved' : 'resolved',
        platform: 'python',
        count: '27',
        userCount: 9,
        firstSeen: at,
        lastSeen: at,
        web_url: 'https://example.sentry.io/issues/4711/',
        project: { id: '88', slug: 'checkout', name: 'Checkout', platform: 'python' },
      },
      ...(action === 'resolved' && { resolution_type: 'now' }),
    },
    actor: { type: 'application', id: 'sentry', name: 'Sentry' },
  })
  return {
    url,
    body,
    headers: {
      'Request-ID': 'd8a3b8b0c2aa4a5eb1a0a5a3b7bd0f7e',
      'Sentry-Hook-Resource': 'issue',
      'Sentry-Hook-Timestamp': `${Math.floor(Date.parse(at) / 1000)}`,
      'Sentry-Hook-Signature': hmac(secret!, body),
    },
  }
}

/** Grafana 12 and newer sign the body where the contact point has a secret. */
export function fromGrafana({ url, secret }: SendingSource, alerts: readonly GrafanaAlert[]): Delivery {
  const status = alerts.some((alert) => alert.status === 'firing') ? 'firing' : 'resolved'
  const body = JSON.stringify({
    receiver: 'tocsin',
    status,
    orgId: 1,
    groupKey: '{}/{team="shop"}:{grafana_folder="Checkout"}',
    groupLabels: { grafana_folder: 'Checkout' },
    commonLabels: { team: 'shop', service: 'checkout' },
    commonAnnotations: {},
    externalURL: 'https://grafana.example.com/',
    version: '1',
    truncatedAlerts: 0,
    alerts: alerts.map(({ name, status, startsAt, endsAt, severity, value }) => ({
      status,
      labels: { alertname: name, team: 'shop', service: 'checkout', severity },
      annotations: { summary: `${name} for five minutes` },
      startsAt,
      endsAt: endsAt ?? '0001-01-01T00:00:00Z',
      generatorURL: 'https://grafana.example.com/alerting/grafana/checkout/view?orgId=1',
      fingerprint: Buffer.from(name.padEnd(8).slice(0, 8)).toString('hex'),
      values: { A: value },
    })),
  })
  return { url, body, headers: { 'X-Grafana-Alerting-Signature': hmac(secret!, body) } }
}

/** Better Stack signs nothing: the address is the secret. */
export function fromBetterStack(
  { url }: SendingSource,
  event: 'started' | 'resolved',
  { startedAt, resolvedAt }: { startedAt: string; resolvedAt?: string },
): Delivery {
  const body = JSON.stringify({
    event,
    data: {
      id: '730',
      type: 'incident',
      attributes: {
        name: 'shop.example.com/checkout',
        url: 'https://shop.example.com/checkout',
        cause: 'Status 502',
        started_at: startedAt,
        acknowledged_at: null,
        resolved_at: resolvedAt ?? null,
      },
      relationships: { monitor: { data: { id: '2134', type: 'monitor' } } },
    },
  })
  return { url, body, headers: {} }
}

function hmac(secret: string, body: string): string {
  return createHmac('sha256', secret).update(body).digest('hex')
}
