import { expect, test } from 'vitest'
import { ZodError } from 'zod'
import { pagerdutyEvents } from '../../../core/adapters/pagerduty-events.ts'
import { hookRequest, noSettings, payload } from './payload.ts'

function parse(name: string) {
  return parseBody(payload(`pagerduty-events/${name}`))
}

function parseBody(body: unknown, path = '/v2/enqueue') {
  const request = { ...hookRequest({ body: JSON.stringify(body) }), path }
  return pagerdutyEvents.parse(body, request, noSettings)
}

test('a trigger is a fire under its dedup_key, which is answered', () => {
  const { events, echo } = parse('trigger')
  expect(echo).toBe('shop-db-1')
  expect(events).toMatchObject([
    {
      kind: 'fire',
      signalKey: 'shop-db-1',
      episode: null,
      eventTime: '2026-05-05T05:05:05.058Z',
      title: 'Replication lag on shop-db-1',
      severity: 'critical',
      url: 'https://monitoring.example.com/lag',
      monitor: { name: 'shop-db-1.example.com' },
      services: ['postgres'],
      labels: { 'lag seconds': '340', component: 'postgres', group: 'shop', class: 'replication' },
      metadata: { client: 'Shop monitoring' },
      evidence: {
        links: [
          { text: 'Runbook', href: 'https://wiki.example.com/runbooks/lag' },
          { text: 'Lag', href: 'https://graphs.example.com/lag' },
        ],
      },
    },
  ])
})

test('acknowledge and resolve need no payload', () => {
  expect(parse('acknowledge').events[0]).toMatchObject({ kind: 'ack', signalKey: 'shop-db-1' })
  expect(parse('resolve').events[0]).toMatchObject({ kind: 'recover', signalKey: 'shop-db-1' })
})

test('without a key a trigger gets one, the same when it is sent again', () => {
  const first = parse('trigger-without-key')
  expect(first.echo).toMatch(/^[0-9a-f]{32}$/)
  expect(first.events[0]).toMatchObject({ signalKey: first.echo, severity: 'high' })
  expect(parse('trigger-without-key').echo).toBe(first.echo)
})

test('a severity nobody knows is kept and rejects nothing', () => {
  expect(parse('unknown-severity').events[0]).toMatchObject({
    severity: null,
    sourceSeverity: 'catastrophic',
    metadata: { customDetails: '1200 waiting' },
  })
})

test("Alertmanager's notifier is read", () => {
  expect(parse('alertmanager').events[0]).toMatchObject({
    title: '[FIRING:1] HighErrorRate (shop)',
    labels: { num_firing: '1', resolved: '' },
  })
})

test('a change event only informs', () => {
  const { events, echo } = parseBody(payload('pagerduty-events/change'), '/v2/change/enqueue')
  expect(events[0]).toMatchObject({ kind: 'info', signalKey: null, title: 'Deployed shop 42' })
  expect(echo).toBeUndefined()
  expect(parseBody(payload('pagerduty-events/change'), '/v2/change/enqueue/').events).toEqual(events)
})

test.each([
  [{ event_action: 'open' }, 'event_action'],
  [{ event_action: 'trigger' }, 'payload.summary is missing'],
  [{ event_action: 'trigger', payload: { summary: 'x', severity: 'info' } }, 'payload.source is missing'],
  [{ event_action: 'trigger', payload: { summary: 'x', source: 'y' } }, 'payload.severity is missing'],
  [
    { event_action: 'trigger', payload: { summary: '  ', source: 'y', severity: 'info' } },
    'payload.summary is empty',
  ],
  [{ event_action: 'resolve' }, 'dedup_key is missing'],
  [{ event_action: 'resolve', dedup_key: 'x'.repeat(256) }, 'dedup_key is too long'],
])('%j is refused by the name of the field', (body, text) => {
  const error = (() => {
    try {
      return parseBody(body)
    } catch (thrown) {
      return thrown
    }
  })()
  expect(error).toBeInstanceOf(ZodError)
  expect((error as ZodError).issues[0]?.message).toContain(text)
})

test('the routing key vouches, wherever the request came', () => {
  const verify = (body: string, secret: string) =>
    pagerdutyEvents.verify(hookRequest({ body }), secret, noSettings)
  const key = '0123456789abcdef0123456789abcdef'
  expect(verify(JSON.stringify({ routing_key: key }), key)).toBe(true)
  expect(verify(JSON.stringify({ routing_key: key.slice(1) }), key)).toBe(false)
  expect(verify('{"routing_key":""}', '')).toBe(false)
  expect(verify('{broken', key)).toBe(false)
})
