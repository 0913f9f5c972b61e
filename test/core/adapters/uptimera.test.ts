import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { uptimera } from '../../../core/adapters/uptimera.ts'
import { hookRequest, noSettings, payload, rawPayload } from './payload.ts'

function parse(name: string) {
  const request = hookRequest({ body: rawPayload(`uptimera/${name}`) })
  return uptimera.parse(payload(`uptimera/${name}`), request, noSettings).events[0]!
}

test('a monitor is a signal, an incident its episode', () => {
  expect(parse('opened')).toMatchObject({
    kind: 'fire',
    signalKey: 'mon_31',
    episode: 'inc_801',
    episodeStart: '2026-05-05T05:05:05.000Z',
    eventId: 'inc_801 incident.opened',
    title: 'Shop homepage',
    severity: 'critical',
    monitor: { id: 'mon_31', name: 'Shop homepage', url: 'https://shop.example.com' },
    metadata: {
      regions: [
        { name: 'eu-central', status: 'down', message: 'Status 503' },
        { name: 'us-east', status: 'up' },
      ],
    },
  })
  expect(parse('acknowledged')).toMatchObject({ kind: 'ack', eventTime: '2026-05-05T05:08:59.000Z' })
  expect(parse('resolved')).toMatchObject({ kind: 'recover', eventTime: '2026-05-05T05:25:00.000Z' })
})

test('the usual names are found flat and inside of data', () => {
  expect(parse('flat')).toMatchObject({
    kind: 'fire',
    signalKey: 'mon_32',
    episode: 'inc_802',
    title: 'Search',
  })
  expect(parse('in-data')).toMatchObject({
    kind: 'fire',
    signalKey: 'mon_33',
    episode: 'inc_803',
    episodeStart: '2026-05-05T06:29:59.000Z',
    severity: 'high',
  })
})

test('N2 another type only informs; N3 a test is one', () => {
  expect(parse('unknown-type')).toMatchObject({ kind: 'info', signalKey: 'mon_31' })
  expect(parse('test')).toMatchObject({ kind: 'info', test: true })
})

test('hex, hex with a prefix and base64 are signatures', () => {
  const body = rawPayload('uptimera/opened')
  const verify = (signature: string, secret = 'whsec_abc') =>
    uptimera.verify(hookRequest({ headers: { 'X-Uptimera-Signature': signature }, body }), secret, noSettings)
  const digest = createHmac('sha256', 'whsec_abc').update(body)
  const bytes = digest.digest()
  for (const signature of [
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    `sha256=${bytes.toString('hex')}`,
    bytes.toString('base64'),
  ]) {
    expect(verify(signature), signature).toBe(true)
    expect(verify(signature, 'other')).toBe(false)
  }
  expect(verify(bytes.toString('hex').slice(1))).toBe(false)
  expect(verify('sha256=')).toBe(false)
})

test('says that no real request has been seen', () => {
  expect(uptimera.experimental).toBe(true)
})

test('the type may stand in a header alone; without any it only informs', () => {
  const body = { incident_id: 'i-1', monitor_id: 'm-1', monitor_name: 'Shop' }
  const kindOf = (headers: Record<string, string>) =>
    uptimera.parse(body, hookRequest({ headers, body: JSON.stringify(body) }), noSettings).events[0]!.kind
  expect(kindOf({ 'X-Uptimera-Event': 'incident.resolved' })).toBe('recover')
  expect(kindOf({ 'X-Uptimera-Event-Type': 'incident.opened' })).toBe('fire')
  expect(kindOf({})).toBe('info')
})
