import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { grafana } from '../../../core/adapters/grafana.ts'
import { hookRequest, noSettings, payload, rawPayload } from './payload.ts'

function parse(name: string, settings = noSettings) {
  return grafana.parse(payload(`grafana/${name}`), hookRequest(), settings)
}

test('an alert is read with its rule, service, values and links', () => {
  const { events, group } = parse('firing')
  expect(events).toHaveLength(1)
  expect(events[0]).toMatchObject({
    kind: 'fire',
    signalKey: 'c0ffee1234567890',
    episode: '2026-04-01T06:15:00.000Z',
    eventTime: '2026-04-01T06:15:00.000Z',
    sourceTime: '2026-04-01T08:15:00+02:00',
    title: 'Queue too long',
    description: 'More than 500 orders wait',
    severity: 'high',
    sourceSeverity: 'P2',
    url: 'https://grafana.example.com/alerting/grafana/be7q2m4xk1c0ya/view?orgId=1',
    monitor: { id: 'be7q2m4xk1c0ya', name: 'Queue too long', url: null },
    services: ['orders'],
  })
  expect(events[0]?.evidence).toEqual({
    values: { A: 731.5, C: 1, valueString: "[ var='A' labels={queue=orders} value=731.5 ]" },
    thresholds: { threshold: '500' },
    links: [
      { text: 'Source', href: 'https://grafana.example.com/alerting/grafana/be7q2m4xk1c0ya/view?orgId=1' },
      { text: 'Dashboard', href: 'https://grafana.example.com/d/ord1' },
      { text: 'Panel', href: 'https://grafana.example.com/d/ord1?viewPanel=4' },
      { text: 'Runbook', href: 'https://runbooks.example.com/orders' },
      { text: 'Silence', href: 'https://grafana.example.com/alerting/silence/new?alertmanager=grafana' },
    ],
  })
  expect(group).toMatchObject({ status: 'firing', truncated: 0, greatestEndsAt: null })
})

test('a repeat with new values is the same notification', () => {
  expect(parse('firing-repeated').group).toEqual(parse('firing').group)
  expect(parse('firing-repeated').events[0]?.eventId).toBe(parse('firing').events[0]?.eventId)
})

test('a recovery ends the episode of its firing', () => {
  expect(parse('resolved').events[0]).toMatchObject({
    kind: 'recover',
    signalKey: 'c0ffee1234567890',
    episode: '2026-04-01T06:15:00.000Z',
    eventTime: '2026-04-01T06:45:10.250Z',
  })
})

test('N3 the test button of a contact point opens nothing', () => {
  const { events } = parse('test-alert')
  expect(events[0]).toMatchObject({ test: true, kind: 'fire', url: 'https://grafana.example.com/?orgId=1' })
  const minimal = grafana.parse(
    { alerts: [{ labels: { alertname: 'TestAlert' } }] },
    hookRequest(),
    noSettings,
  )
  expect(minimal.events[0]?.test).toBe(true)
})

test('values that stand in the text only are read from it', () => {
  const valuesOf = (valueString: string) =>
    grafana.parse({ alerts: [{ values: null, valueString }] }, hookRequest(), noSettings).events[0]!.evidence
      ?.values
  const text = "[ var='A' labels={queue=orders} value=94.2 ], [ var='C' labels={queue=orders} value=1 ]"
  expect(valuesOf(text)).toEqual({ A: 94.2, C: 1, valueString: text })
  expect(valuesOf("[ var='B0' metric='Value' labels={} value=1.5e+06 ]")).toMatchObject({ B0: 1_500_000 })
  expect(valuesOf("[ metric='orders waiting' labels={queue=orders} value=10 ]")).toMatchObject({
    'orders waiting': 10,
  })
  expect(valuesOf("[ var='A' labels={queue=orders} value=null ]")).not.toHaveProperty('A')
})

test('an alert about missing data names its rule, and no link it must not', () => {
  const [event] = parse('no-data').events
  expect(event).toMatchObject({
    title: 'DatasourceNoData: Queue too long',
    monitor: { id: 'be7q2m4xk1c0ya' },
    url: 'https://grafana.example.com/d/ord1?viewPanel=4',
  })
  expect(JSON.stringify(event)).not.toContain('javascript:')
})

test('a rule of old dashboard alerting fires and recovers as one signal', () => {
  const { events, group, delivery } = parse('legacy-alerting')
  expect([group, delivery]).toEqual([null, null])
  expect(events[0]).toMatchObject({
    kind: 'fire',
    signalKey: '3:41',
    episode: null,
    eventTime: null,
    eventId: null,
    externalId: '41',
    title: 'CPU of web',
    description: 'The CPU is busy.',
    severity: 'high',
    sourceStatus: 'alerting',
    services: ['web'],
    evidence: {
      values: { 'cpu of web-1': 97.5 },
      links: [{ text: 'Image', href: 'https://images.example.com/panel.png' }],
    },
  })
  expect(parse('legacy-ok').events[0]).toMatchObject({
    kind: 'recover',
    signalKey: '3:41',
    title: 'CPU of web',
  })
})

test('other states of old dashboard alerting only inform, unless the source says otherwise', () => {
  expect(parse('legacy-no-data').events[0]).toMatchObject({ kind: 'info', sourceStatus: 'no_data' })
  const settings = { ...noSettings, statusWords: { no_data: 'fire' as const } }
  expect(parse('legacy-no-data', settings).events[0]?.kind).toBe('fire')
})

test('a body that is neither is refused by the name of what is missing', () => {
  expect(() => grafana.parse({ title: 'x' }, hookRequest(), noSettings)).toThrow(/alerts/)
  expect(() => grafana.parse({ ruleId: null }, hookRequest(), noSettings)).toThrow(/ruleId/)
})

describe('HMAC', () => {
  const secret = 'a secret'
  const body = rawPayload('grafana/firing')
  const receivedAt = '2026-04-01T06:15:30.000Z'
  const seconds = String(Date.parse(receivedAt) / 1000)
  const hmac = (prefix = '') => createHmac('sha256', secret).update(prefix).update(body).digest('hex')
  const verify = (headers: Record<string, string>, settings = noSettings) =>
    grafana.verify(hookRequest({ headers, body, receivedAt }), secret, settings)

  test('covers the raw body, in the default header or a renamed one', () => {
    expect(verify({ 'X-Grafana-Alerting-Signature': hmac() })).toBe(true)
    const settings = { ...noSettings, signatureHeader: 'X-Shop-Signature' }
    expect(verify({ 'x-shop-signature': hmac() }, settings)).toBe(true)
    expect(verify({ 'X-Grafana-Alerting-Signature': hmac() }, settings)).toBe(false)
  })

  test('that is wrong is not made good by a right secret beside it', () => {
    const wrong = { 'x-grafana-alerting-signature': hmac('x'), 'x-webhook-secret': secret }
    expect(verify(wrong)).toBe(false)
    expect(verify({ ...wrong, 'x-grafana-alerting-signature': '' })).toBe(false)
  })

  test('with a timestamp header covers the time, which must be within 5 minutes', () => {
    const settings = { ...noSettings, timestampHeader: 'X-Grafana-Alerting-Timestamp' }
    const at = (time: string) => ({
      'x-grafana-alerting-signature': hmac(`${time}:`),
      'x-grafana-alerting-timestamp': time,
    })
    expect(verify(at(seconds), settings)).toBe(true)
    expect(verify(at(String(Number(seconds) - 300)), settings)).toBe(true)
    expect(verify(at(String(Number(seconds) + 300)), settings)).toBe(true)
    expect(verify(at(String(Number(seconds) - 301)), settings)).toBe(false)
    expect(verify(at(String(Number(seconds) + 301)), settings)).toBe(false)
    expect(verify(at('now'), settings)).toBe(false)
    expect(verify({ 'x-grafana-alerting-signature': hmac() }, settings)).toBe(false)
    expect(
      verify({ ...at(seconds), 'x-grafana-alerting-timestamp': String(Number(seconds) + 1) }, settings),
    ).toBe(false)
  })

  test('of the test request verifies with every combination of headers', () => {
    for (const signatureHeader of [null, 'X-Shop-Signature']) {
      for (const timestampHeader of [null, 'X-Shop-Time']) {
        const settings = { ...noSettings, signatureHeader, timestampHeader }
        const request = grafana.testRequest('fire', {
          id: 'x',
          at: receivedAt,
          secret,
          projectId: 'p',
          settings,
        })
        expect(grafana.verify(hookRequest({ ...request, receivedAt }), secret, settings)).toBe(true)
      }
    }
  })

  test('is optional: older versions send a header, a bearer token or a password', () => {
    expect(verify({ 'x-webhook-secret': secret })).toBe(true)
    expect(verify({ authorization: `Bearer ${secret}` })).toBe(true)
    expect(verify({ authorization: `Basic ${btoa(`grafana:${secret}`)}` })).toBe(true)
    expect(verify({})).toBe(false)
  })
})
