import { expect, test } from 'vitest'
import { DATADOG_PAYLOAD, datadog } from '../../../core/adapters/datadog.ts'
import { hookRequest, noSettings, payload } from './payload.ts'

function parse(name: string) {
  return parseBody(payload(`datadog/${name}`))
}

function parseBody(body: unknown) {
  return datadog.parse(body, hookRequest({ body: JSON.stringify(body) }), noSettings).events[0]!
}

test('a monitor with its scope is a signal, a cycle is an episode', () => {
  expect(parse('triggered')).toMatchObject({
    kind: 'fire',
    signalKey: '134001 service:checkout,env:prod',
    episode: '9001',
    eventTime: '2026-05-05T05:05:05.000Z',
    eventId: '7001000000000000001',
    title: 'Checkout latency',
    description: 'Checkout answers slowly.\n\n@webhook-tocsin',
    severity: 'high',
    sourceSeverity: 'P2',
    sourceStatus: 'Triggered',
    url: 'https://app.datadoghq.example.com/event/event?id=7001',
    monitor: { id: '134001', name: 'Checkout latency' },
    services: ['checkout'],
    labels: { env: 'prod', monitor: 'true', service: 'checkout', host: 'shop-web-1' },
  })
  expect(parse('recovered')).toMatchObject({ kind: 'recover', episode: '9001', title: 'Checkout latency' })
  expect(parse('triggered-again').episode).toBe('9003')
})

test('other templates have other names for the same', () => {
  expect(parse('other-template')).toMatchObject({
    kind: 'fire',
    signalKey: '134009 service:login',
    episode: null,
    eventTime: '2026-05-05T05:05:05.000Z',
    externalId: '7001000000000000009',
    title: 'Refused logins on login',
    description: 'Logins are refused.\n\n@webhook-tocsin',
    severity: 'medium',
    sourceSeverity: 'P3',
    url: 'https://app.datadoghq.example.com/event/event?id=7009',
    services: ['login'],
  })
})

test('N1 a warning is of severity medium, a renotify a refresh, no data a fire', () => {
  expect(parse('warn')).toMatchObject({ kind: 'fire', severity: 'medium', episode: '9001' })
  expect(parse('renotify')).toMatchObject({ kind: 'refresh' })
  expect(parse('no-data')).toMatchObject({ kind: 'fire', signalKey: '134002', severity: null })
  expect(parseBody({ alert_id: '1', transition: 'warn', priority: 'P5' }).severity).toBe('info')
})

test.each([
  ['RE-TRIGGERED', 'fire'],
  ['Re-Warn', 'fire'],
  ['Re-No Data', 'fire'],
  ['recovered', 'recover'],
  ['Null', 'info'],
  ['Something New', 'info'],
])('the transition %s is %s', (transition, kind) => {
  expect(parseBody({ alert_id: '1', transition })).toMatchObject({ kind, sourceStatus: transition })
})

test("Datadog's default payload is read by the prefix of its title", () => {
  const fire = parse('default-payload')
  const recover = parse('default-payload-recovered')
  expect(fire).toMatchObject({ kind: 'fire', anonymous: true, title: 'Checkout latency' })
  expect(recover).toMatchObject({ kind: 'recover', signalKey: fire.signalKey })
})

test('an event of no monitor only informs; a bare one without any variable is a fire', () => {
  expect(parse('event-without-transition').kind).toBe('info')
  expect(parseBody({ title: 'Checkout is down' }).kind).toBe('fire')
  expect(parseBody({ title: 'Checkout is up', alert_type: 'success' }).kind).toBe('recover')
})

test('a name in brackets that is not Datadog stays part of the title', () => {
  expect(parseBody({ alert_id: '1', title: '[P1] [Triggered] [prod] Disk full' }).title).toBe(
    '[prod] Disk full',
  )
})

test('the payload we ship is JSON that names what is read', () => {
  expect(datadog.setup.join('\n')).toContain(DATADOG_PAYLOAD)
  const values: Record<string, string> = {
    $ALERT_TRANSITION: 'Triggered',
    $ALERT_ID: '7',
    $ALERT_SCOPE: 'host:a',
    $ALERT_CYCLE_KEY: 'c-1',
    $EVENT_TITLE: '[Triggered] Disk full',
    $DATE: '1777957505000',
    $ALERT_PRIORITY: 'P1',
    $TAGS: 'env:prod',
  }
  const rendered = DATADOG_PAYLOAD.replaceAll(/\$[A-Z_]+/g, (name) => values[name] ?? '')
  expect(parseBody(JSON.parse(rendered))).toMatchObject({
    kind: 'fire',
    signalKey: '7 host:a',
    episode: 'c-1',
    title: 'Disk full',
    severity: 'critical',
    eventId: 'c-1 Triggered 1777957505000',
    labels: { env: 'prod' },
  })
})

test('nothing to tell the monitor by is refused with the remedy', () => {
  expect(() => parseBody({ transition: 'Triggered' })).toThrow('alert_id is missing: paste the payload')
})
