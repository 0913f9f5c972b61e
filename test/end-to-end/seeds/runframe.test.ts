import { beforeAll, describe, expect, test } from 'vitest'
import { type Reading, reading } from '../../support/reading.ts'
import { startTocsin, type TocsinProcess } from '../../support/tocsin-process.ts'
import { curl, paste, post } from './paste.ts'

/** The page "Webhooks" of Runframe: what it shows, with the host and the routing key replaced. */

let tocsin: TocsinProcess
let url: string
let read: Reading

beforeAll(async () => {
  tocsin = await startTocsin()
  url = (await tocsin.createSource({ adapter: 'runframe' })).url
  read = reading(tocsin)
  return () => tocsin.dispose()
})

test('the routing key in the address is all it takes', () => {
  expect(url).toMatch(new RegExp(`^${tocsin.address}/webhooks/[\\w-]{43}$`))
})

describe.runIf(curl)('its curl lines work as pasted', () => {
  const line = (target: string, body: string) => `curl ${target} \\
  -X POST \\
  -H "Content-Type: application/json" \\
  -d '${body}'`

  test('an incident is answered in its shape', async () => {
    const { status, body } = await paste(
      line(
        url,
        `{
    "title": "API latency spike",
    "severity": "High",
    "description": "API response times > 5s",
    "service": "api-backend"
  }`,
      ),
    )
    expect([status, body]).toEqual([
      200,
      {
        success: true,
        incident: {
          id: expect.stringMatching(/^INC-\d{3}$/),
          title: 'API latency spike',
          severity: 'High',
          status: 'investigating',
          url: null,
        },
      },
    ])
    expect(await read.incident(body.incident.id)).toMatchObject({
      severity: 'high',
      services: ['api-backend'],
    })
  })

  test('the test webhook', async () => {
    const text = `{
    "title": "Test webhook",
    "description": "Testing webhook integration"
  }`
    expect((await paste(line(url, text))).body.incident).toMatchObject({ severity: 'Medium' })
  })

  test.each([
    [
      'datadog',
      '{"title": "{{alert.name}}", "description": "{{alert.text}}", "severity": "{{alert.priority}}"}',
    ],
    [
      'sentry',
      '{"title": "{{event.title}}", "description": "{{event.culprit}}", "severity": "{{event.level}}"}',
    ],
  ])('its %s sample, at the address of a source of any tool', async (adapter, text) => {
    const own = (await tocsin.createSource({ adapter, address: 'token', settings: { grouping: 'signal' } }))
      .url
    const short = `${tocsin.address}/webhooks/${own.split('/').at(-1)}`
    for (const target of [url, short]) {
      const { status, body } = await paste(line(target, text))
      expect([status, body.success]).toEqual([200, true])
      expect(body.incident.severity).toBe('Medium')
    }
    const filled = text
      .replace(/\{\{\w+\.(priority|level)\}\}/, 'error')
      .replace(/\{\{\w+\.(name|title)\}\}/, adapter)
    expect((await paste(line(short, filled))).body.incident).toMatchObject({ severity: 'High' })
  })
})

test.each([
  [{ title: 'Server is down' }, { severity: 'medium' }],
  [
    {
      title: 'Database connection pool exhaustion',
      description: 'Database connections exhausted. API returning 500 errors.',
      severity: 'High',
      service: 'database',
      affected_services: ['api-backend', 'database'],
      customer_impact: true,
    },
    { severity: 'high', services: ['database', 'api-backend'], customerImpact: true },
  ],
  [
    {
      title: 'High error rate',
      severity: 'Medium',
      error_rate: '15%',
      region: 'us-east-1',
      environment: 'production',
    },
    { severity: 'medium', metadata: { error_rate: '15%', region: 'us-east-1', environment: 'production' } },
  ],
  [
    {
      title: 'High memory usage',
      severity: 'Medium',
      description: 'Memory usage above 90% on production servers',
    },
    { title: 'High memory usage' },
  ],
])('its example payload %j', async (payload, expected) => {
  const { body } = await post(url, payload)
  expect(await read.incident(body.incident.id)).toMatchObject(expected)
})

test.each([
  ['Critical', 'critical'],
  ['High', 'high'],
  ['Medium', 'medium'],
  ['Low', 'low'],
  ['Pre-emptive', 'info'],
])('severity %s comes back as it went', async (severity, ours) => {
  const { body } = await post(url, { title: `Severity ${severity}`, severity })
  expect(body.incident.severity).toBe(severity)
  expect((await read.incident(body.incident.id)).severity).toBe(ours)
})

test('Alertmanager with its receiver opens, and with send_resolved resolves', async () => {
  const body = (status: string, endsAt: string) => ({
    receiver: 'runframe',
    status,
    alerts: [
      {
        status,
        labels: { alertname: 'HighErrorRate', severity: 'critical' },
        annotations: {},
        startsAt: '2025-01-15T10:30:00Z',
        endsAt,
        fingerprint: 'c6eadffa33fcdf37',
      },
    ],
    version: '4',
    groupKey: '{}:{}',
    truncatedAlerts: 0,
  })
  const opened = await post(url, body('firing', '0001-01-01T00:00:00Z'))
  expect(opened.body.incident).toMatchObject({ title: 'HighErrorRate', severity: 'Critical' })
  const resolved = await post(url, body('resolved', '2025-01-15T10:40:00Z'))
  expect(resolved.body.incident).toMatchObject({ id: opened.body.incident.id, status: 'resolved' })
})

test('an address that was rotated is one that is not known', async () => {
  const source = await tocsin.createSource({ adapter: 'runframe' })
  expect((await post(source.url, { title: 'x' })).status).toBe(200)
  await tocsin.api('POST', `/projects/${tocsin.projectId}/sources/${source.id}/rotate`, {})
  expect(await post(source.url, { title: 'x' })).toMatchObject({
    status: 404,
    body: { error: { code: 'ROUTE_NOT_FOUND' } },
  })
})

test('errors come in its shape', async () => {
  expect(await post(`${tocsin.address}/webhooks/abc123def456`, { title: 'x' })).toEqual({
    status: 404,
    body: {
      success: false,
      error: { code: 'ROUTE_NOT_FOUND', message: 'Webhook routing key is invalid or expired' },
    },
  })
  expect(await post(url, { severity: 'High' })).toMatchObject({
    status: 400,
    body: { success: false, error: { code: 'INVALID_PAYLOAD', message: expect.stringContaining('title') } },
  })
  expect(await post(url, '{')).toMatchObject({ status: 400, body: { error: { code: 'MALFORMED_BODY' } } })

  const fenced = await tocsin.createSource({ adapter: 'runframe', settings: { cidrs: ['192.168.1.0/24'] } })
  expect(await post(fenced.url, { title: 'x' })).toMatchObject({
    status: 403,
    body: { success: false, error: { code: 'IP_NOT_ALLOWED' } },
  })
})
