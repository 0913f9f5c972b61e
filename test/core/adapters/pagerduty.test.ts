import { describe, expect, test } from 'vitest'
import { pagerduty } from '../../../core/adapters/pagerduty.ts'
import { hmacSha256 } from '../../../core/adapters/signatures.ts'
import { hookRequest, noSettings, payload, rawPayload } from './payload.ts'

function parse(name: string, headers: Record<string, string> = {}) {
  const request = hookRequest({ headers, body: rawPayload(`pagerduty/${name}`) })
  return pagerduty.parse(payload(`pagerduty/${name}`), request, noSettings)
}

test('an incident is a signal and its own episode', () => {
  expect(parse('triggered').events).toMatchObject([
    {
      kind: 'fire',
      signalKey: 'Q7SHOP01',
      episode: 'Q7SHOP01',
      episodeStart: '2026-05-05T05:05:05.000Z',
      eventTime: '2026-05-05T05:05:05.105Z',
      eventId: '01EVENT0001',
      externalId: '01EVENT0001',
      title: 'Checkout answers slowly',
      severity: 'high',
      sourceSeverity: 'P2',
      sourceStatus: 'incident.triggered',
      url: 'https://shop.pagerduty.example.com/incidents/Q7SHOP01',
      monitor: { id: 'PSVC1', name: 'Checkout' },
      services: ['Checkout'],
      labels: { team: 'Payments', incident_key: 'checkout-latency' },
    },
  ])
})

test('acknowledged acknowledges, resolved recovers, reopened is an explicit word', () => {
  expect(parse('acknowledged').events[0]).toMatchObject({ kind: 'ack', episode: 'Q7SHOP01' })
  expect(parse('resolved').events[0]).toMatchObject({
    kind: 'recover',
    eventTime: '2026-05-05T05:45:05.000Z',
  })
  expect(parse('reopened').events[0]).toMatchObject({ kind: 'fire', reopen: true, severity: 'low' })
})

test('A unacknowledged, N2 notes and changed priorities only inform, found by the id of the incident', () => {
  for (const name of ['unacknowledged', 'note', 'priority-updated']) {
    expect(parse(name).events[0], name).toMatchObject({ kind: 'info', signalKey: 'Q7SHOP01' })
  }
  expect(parse('service-updated').events[0]).toMatchObject({
    kind: 'info',
    signalKey: null,
    title: 'Checkout',
  })
})

test("N3 PagerDuty's own test opens nothing", () => {
  expect(parse('test-ping').events[0]).toMatchObject({ kind: 'info', test: true })
})

test('without times it is ordered by arrival', () => {
  expect(parse('without-times').events[0]).toMatchObject({
    eventTime: null,
    episodeStart: null,
    severity: 'low',
  })
})

test('bodies of version 2 are read as what they say', () => {
  expect(parse('version-2').events).toMatchObject([
    { kind: 'fire', signalKey: 'Q7SHOP03', title: 'Login is down', services: ['Login'], severity: 'high' },
    { kind: 'info', signalKey: 'Q7SHOP03' },
  ])
})

test('D1 a delivery keeps its id over retries', () => {
  expect(parse('triggered', { 'X-Webhook-Id': 'd-1' }).delivery).toEqual({
    key: 'd-1',
    windowMs: 259_200_000,
  })
  expect(parse('triggered').delivery?.key).toBe('01EVENT0001')
  expect(parse('version-2').delivery?.key.split(' ')).toHaveLength(parse('version-2').events.length)
})

test('an event type from the prototype of objects is none', () => {
  const { events } = pagerduty.parse(
    { event: { event_type: 'incident.constructor', data: { id: 'Q1', type: 'incident' } } },
    hookRequest(),
    noSettings,
  )
  expect(events[0]?.kind).toBe('info')
})

describe('the signature', () => {
  const body = rawPayload('pagerduty/triggered')
  const verify = (signature: string) =>
    pagerduty.verify(
      hookRequest({ headers: { 'X-PagerDuty-Signature': signature }, body }),
      'secret',
      noSettings,
    )

  test('may be one of several while PagerDuty rotates', () => {
    const right = `v1=${hmacSha256(body, 'secret')}`
    expect(verify(right)).toBe(true)
    expect(verify(`v1=${hmacSha256(body, 'old')}, ${right}`)).toBe(true)
    expect(verify(`v1=${hmacSha256(body, 'old')},v1=${hmacSha256(body, 'older')}`)).toBe(false)
  })

  test('needs its version', () => {
    expect(verify(hmacSha256(body, 'secret'))).toBe(false)
    expect(verify(`v2=${hmacSha256(body, 'secret')}`)).toBe(false)
  })
})
