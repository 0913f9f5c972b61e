import { describe, expect, test } from 'vitest'
import type { ZodError } from 'zod'
import { alertmanager } from '../../../core/adapters/alertmanager.ts'
import { LIMITS } from '../../../core/adapters/clean.ts'
import { grafana } from '../../../core/adapters/grafana.ts'
import { explain } from '../../../core/explain.ts'
import { hookRequest, noSettings, payload } from './payload.ts'

function parse(name: string) {
  return alertmanager.parse(payload(`alertmanager/${name}`), hookRequest(), noSettings)
}

test('each alert becomes one event with its own signal, start and text', () => {
  const { events } = parse('firing')
  expect(events).toHaveLength(2)
  expect(events[0]).toMatchObject({
    kind: 'fire',
    signalKey: '5ac1f0e29b7d4406',
    episode: '2026-03-04T10:00:00.123Z',
    episodeStart: '2026-03-04T10:00:00.123Z',
    eventTime: '2026-03-04T10:00:00.123Z',
    sourceTime: '2026-03-04T10:00:00.123456789Z',
    timeFrom: 'body',
    externalId: '5ac1f0e29b7d4406',
    title: 'CheckoutLatencyHigh',
    description: 'Checkout on a.example.com:9090 answers slowly',
    severity: 'critical',
    sourceSeverity: 'critical',
    sourceStatus: 'firing',
    url: 'https://prometheus.example.com/graph?g0.expr=latency',
    monitor: { id: null, name: 'CheckoutLatencyHigh', url: null },
    services: ['checkout'],
  })
  expect(events[0]?.labels.instance).toBe('a.example.com:9090')
  // Prometheus links to the graph of the rule.
  expect(events[0]?.evidence?.expression).toBe('latency')
  expect(events[0]?.evidence?.links).toEqual([
    { text: 'Source', href: 'https://prometheus.example.com/graph?g0.expr=latency' },
    { text: 'Runbook', href: 'https://runbooks.example.com/checkout' },
  ])
})

test('alerts go by their own status, not by that of the group', () => {
  const { events, group } = parse('mixed')
  expect(events.map(({ kind, eventTime }) => [kind, eventTime])).toEqual([
    ['recover', '2026-03-04T10:20:00.750Z'],
    ['fire', '2026-03-04T10:01:30.500Z'],
  ])
  expect(group).toMatchObject({ status: 'firing', greatestEndsAt: '2026-03-04T10:20:00.750Z' })
})

test('a recovery keeps the signal and the episode of its firing', () => {
  const [fire] = parse('firing').events
  const [recover] = parse('resolved').events
  expect(recover).toMatchObject({ kind: 'recover', signalKey: fire?.signalKey, episode: fire?.episode })
  expect(recover?.eventId).not.toBe(fire?.eventId)
})

test('a resolved alert without an end has no time of its own', () => {
  const { events, group } = parse('resolved-without-end')
  expect(events[0]).toMatchObject({
    kind: 'recover',
    eventTime: null,
    timeFrom: null,
    sourceTime: '0001-01-01T00:00:00Z',
    episode: '2026-03-04T10:00:00.123Z',
  })
  expect(group).toMatchObject({ status: 'resolved', truncated: 3, greatestEndsAt: null })
})

test('D4 a repeated notification has the same group fingerprint, whatever its order and texts', () => {
  const [first, repeated, mixed] = ['firing', 'firing-repeated', 'mixed'].map((name) => parse(name).group)
  expect(first?.key).toBe('{}/{team="shop"}:{alertname="CheckoutLatencyHigh"}')
  expect(repeated?.fingerprint).toBe(first?.fingerprint)
  expect(mixed?.fingerprint).not.toBe(first?.fingerprint)
})

test('old bodies have no fingerprint and a group key beyond every number', () => {
  const { events, group } = parse('old-number-group-key')
  expect(events[0]?.signalKey).toMatch(/^labels:[0-9a-f]{64}$/)
  expect(events[0]).toMatchObject({ externalId: null, eventTime: '2026-03-04T10:00:00.000Z' })
  expect(group).toMatchObject({ key: '12345678901234567890', truncated: 0 })
})

test('the hash of the labels does not depend on their order', () => {
  const key = (labels: object) =>
    alertmanager.parse({ alerts: [{ labels }] }, hookRequest(), noSettings).events[0]?.signalKey
  expect(key({ a: '1', b: '2' })).toBe(key({ b: '2', a: '1' }))
  expect(key({ a: '1', b: '2' })).not.toBe(key({ a: '1', b: '3' }))
})

test('nothing but the list of alerts is required', () => {
  const { events, group } = parse('only-alerts')
  expect(group).toBeNull()
  expect(events[0]).toMatchObject({
    kind: 'fire',
    title: 'DiskFull',
    episode: null,
    eventTime: null,
    labels: { alertname: 'DiskFull', attempt: '3', paused: 'false', where: '{"rack":7}' },
  })
  expect(() => parseBody({ alerts: [] })).toThrow(/alerts/)
  expect(() => parseBody({ alerts: 'none' })).toThrow(/alerts/)
  expect(() => parseBody({ alerts: [3] })).toThrow(/alerts/)
  expect(() => parseBody({})).toThrow(/alerts/)
})

test('more alerts than the process can take at once are refused before any is read, with what to set', () => {
  const alert = { labels: { alertname: 'DiskFull' } }
  const body = (count: number, entry: unknown = alert) => ({ alerts: new Array(count).fill(entry) })
  expect(parseBody(body(LIMITS.alerts)).events).toHaveLength(2_000)
  for (const entry of [alert, 0]) {
    expect(refusal(body(2_001, entry))).toBe(
      'alerts holds 2001 entries, at most 2000 are taken: group by more labels, ' +
        'or set max_alerts in the webhook_config (Grafana: Max Alerts).',
    )
  }
})

test('R2 a count of left-out alerts that cannot be read is not taken for none', () => {
  const group = (truncatedAlerts: unknown) =>
    parseBody({ groupKey: 'g', truncatedAlerts, alerts: [{}] }).group?.truncated
  expect([null, 0, '2', -1, 'many', 1.5].map(group)).toEqual([0, 0, 2, 0, 1, 1])
})

test("somebody's rule may be called TestAlert, Grafana's test button may not open anything", () => {
  const alert = { labels: { alertname: 'TestAlert' } }
  expect(parseBody({ alerts: [alert] }).events[0]?.test).toBeUndefined()
  expect(parseBody({ orgId: 1, alerts: [alert] }).events[0]?.test).toBe(true)
})

test("Grafana's bodies are read too", () => {
  const body = payload('grafana/firing')
  expect(alertmanager.parse(body, hookRequest(), noSettings)).toEqual(
    grafana.parse(body, hookRequest(), noSettings),
  )
})

describe('a credential', () => {
  const secret = 'a secret'
  test.each([
    ['bearer', { authorization: `Bearer ${secret}` }],
    ['basic', { authorization: `Basic ${btoa(`alertmanager:${secret}`)}` }],
    ['X-Webhook-Secret', { 'x-webhook-secret': secret }],
  ])('may come as %s', (_name, headers) => {
    expect(alertmanager.verify(hookRequest({ headers }), secret, noSettings)).toBe(true)
    expect(alertmanager.verify(hookRequest({ headers }), 'another', noSettings)).toBe(false)
  })
})

function refusal(body: unknown): string {
  try {
    parseBody(body)
  } catch (error) {
    return explain(error as ZodError)
  }
  return 'none'
}

function parseBody(body: unknown) {
  return alertmanager.parse(body, hookRequest(), noSettings)
}
