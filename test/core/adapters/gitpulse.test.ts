import { describe, expect, test } from 'vitest'
import { gitpulse } from '../../../core/adapters/gitpulse.ts'
import type { SourceSettings } from '../../../core/types.ts'
import { hookRequest, noSettings, payload } from './payload.ts'

function parse(name: string, changes: Record<string, unknown> = {}, settings: SourceSettings = noSettings) {
  const body = { ...(payload(`gitpulse/${name}`) as object), ...changes }
  return gitpulse.parse(body, hookRequest({ body: JSON.stringify(body) }), settings).events[0]!
}

test('an incident_id is a signal, told apart by its time as sent', () => {
  expect(parse('alert')).toMatchObject({
    kind: 'fire',
    upsert: true,
    signalKey: 'shop-db-001',
    eventTime: '2026-05-05T05:05:05.000Z',
    eventId: 'shop-db-001 2026-05-05T05:05:05Z fire',
    externalId: 'shop-db-001',
    title: 'Shop database',
    description: 'Connection refused after 30 seconds',
    sourceStatus: 'DOWN',
    monitor: { id: 'db-001', name: 'Shop database' },
    labels: { repo_uuid: '33333333-3333-4333-8333-333333333333' },
  })
  expect(parse('recovery')).toMatchObject({ kind: 'recover', signalKey: 'shop-db-001' })
})

test('what the templates of its page leave empty is absent', () => {
  expect(parse('grafana-firing')).toMatchObject({
    kind: 'fire',
    eventTime: '2026-05-05T05:05:05.123Z',
    title: 'HighErrorRate',
    description: null,
    monitor: { id: null, name: 'HighErrorRate' },
    labels: {},
  })
  expect(parse('kuma-down')).toMatchObject({
    kind: 'fire',
    eventTime: '2026-05-05T05:05:05.005Z',
    metadata: { localTime: '2026-05-05 07:05:05', timezone: 'Europe/Berlin' },
  })
})

test("N3 Uptime Kuma's test through the template of its page is a test", () => {
  expect(parse('kuma-test')).toMatchObject({ kind: 'info', test: true, title: 'Tocsin Testing' })
})

describe('N1 the words of its tables', () => {
  test.each([
    [
      'ALERT',
      'DOWN FIRING ALERT WARN ACTIVATED TRIGGER OPEN PROBLEM_OPEN PROBLEM CRITICAL CREATE ACTIVE FAILURE TRIGGERED',
    ],
    ['RECOVERY', 'UP RESOLVED RECOVERY CLOSED RESOLVE OK PROBLEM_CLOSE CLOSE SUCCESS'],
  ])('%s', (table, words) => {
    for (const status of words.split(' ')) {
      const kind = table === 'ALERT' ? 'fire' : 'recover'
      expect(parse('alert', { status }).kind, status).toBe(kind)
      expect(parse('alert', { status: ` ${status.toLowerCase().replace('_', ' ')} ` }).kind, status).toBe(
        kind,
      )
    }
  })

  test('pending and maintenance, which its page maps in prose', () => {
    expect(parse('alert', { status: 'pending' }).kind).toBe('fire')
    expect(parse('alert', { status: 'maintenance' }).kind).toBe('recover')
  })

  test('UPDATE refreshes, an unknown one is kept and informs, unless the source knows it', () => {
    expect(parse('update').kind).toBe('refresh')
    expect(parse('unknown-status')).toMatchObject({ kind: 'info', sourceStatus: 'DEGRADED' })
    const settings: SourceSettings = { ...noSettings, statusWords: { degraded: 'fire' } }
    expect(parse('unknown-status', {}, settings)).toMatchObject({ kind: 'fire', sourceStatus: 'DEGRADED' })
  })
})

describe('its required fields', () => {
  test.each(['incident_id', 'project_uuid', 'status', 'incident_time'])('%s', (field) => {
    for (const value of [undefined, null, '', ' ', '<no value>', {}]) {
      expect(() => parse('alert', { [field]: value })).toThrow(`${field} is missing: send it as text`)
    }
  })

  test.each(['yesterday', '2025-13-01T00:00:00Z', '15/01/2025 10:30'])(
    'a time such as %s is none',
    (time) => {
      expect(() => parse('alert', { incident_time: time })).toThrow('incident_time is no time: send ISO 8601')
    },
  )

  test('N4 a time that says "not set" is one, and replaced by the arrival', () => {
    expect(parse('alert', { incident_time: '0001-01-01 00:00:00 +0000 UTC' }).eventTime).toBeNull()
  })
})

test.each([
  ['2026-11-27', '2026-11-27T00:00:00.000Z'],
  ['20261127T101500Z', '2026-11-27T10:15:00.000Z'],
  ['2026-11-27T24:00:00Z', '2026-11-28T00:00:00.000Z'],
  ['2026-11-27T11:15:00+01:00', '2026-11-27T10:15:00.000Z'],
])('its time may have any form of ISO 8601, such as %s', (time, expected) => {
  expect(parse('alert', { incident_time: time }).eventTime).toBe(expected)
})

test('its own id is answered and shown as it was sent, however long', () => {
  const echoOf = (incident_id: string) => {
    const body = { ...(payload('gitpulse/alert') as object), incident_id }
    return gitpulse.parse(body, hookRequest(), noSettings).echo
  }
  for (const id of ['x'.repeat(501), ` spaced ${'é'.repeat(3000)}`]) {
    expect(echoOf(id)).toBe(id)
    expect(parse('alert', { incident_id: id }).externalId).toBe(id)
    expect(parse('alert', { incident_id: id }).signalKey).not.toBe(
      parse('alert', { incident_id: `${id}y` }).signalKey,
    )
  }
  const endless = 'x'.repeat(20_000)
  expect(echoOf(endless)).toBe(endless)
  expect(parse('alert', { incident_id: endless }).externalId).toMatch(/^sha256:/)
  expect(parse('alert', { incident_id: endless, monitor_name: null, message: null }).title).toHaveLength(500)
})

test('another repository is refused only where the source lists some', () => {
  const settings = (repositories: string[]) => ({ ...noSettings, repositories })
  expect(parse('alert', {}, settings(['33333333-3333-4333-8333-333333333333'])).kind).toBe('fire')
  expect(parse('alert', { repo_uuid: '' }, settings(['other'])).kind).toBe('fire')
  expect(() => parse('alert', {}, settings(['other']))).toThrow(
    "Repository with UUID '33333333-3333-4333-8333-333333333333' not found",
  )
})
