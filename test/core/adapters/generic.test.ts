import { describe, expect, test } from 'vitest'
import { generic } from '../../../core/adapters/generic.ts'
import { hookRequest, noSettings, payload } from './payload.ts'

function parse(name: string, request = hookRequest(), settings = noSettings) {
  return generic.parse(payload(`generic/${name}`), request, settings).events[0]
}

function parseBody(body: unknown, request = hookRequest(), settings = noSettings) {
  return generic.parse(body, request, settings).events[0]
}

test('trigger and resolve with one id are one signal', () => {
  expect(parse('trigger')).toMatchObject({
    kind: 'fire',
    signalKey: 'shop-17',
    episode: null,
    eventTime: null,
    eventId: 'shop-17',
    externalId: 'shop-17',
    title: 'Checkout errors above 5 %',
    description: 'Three minutes in a row.',
    severity: 'critical',
    sourceStatus: 'trigger',
  })
  expect(parse('trigger')?.anonymous).toBeUndefined()
  expect(parse('resolve')).toMatchObject({ kind: 'recover', signalKey: 'shop-17' })
})

test('R3 a resolve or an acknowledgement needs no title when it has an id', () => {
  expect(parse('resolve')?.title).toBe('shop-17')
  expect(parse('acknowledge')).toMatchObject({ kind: 'ack', signalKey: 'shop-17' })
  expect(() => parseBody({ action: 'resolve' })).toThrow(/title/)
  expect(() => parseBody({ id: 'shop-17' })).toThrow(/title/)
})

test('a bare title is a signal of its own name in any case', () => {
  const event = parse('title-only')
  expect(event).toMatchObject({ kind: 'fire', anonymous: true, eventId: null, externalId: null })
  expect(parseBody({ title: 'DISK of DB-1 is full' })?.signalKey).toBe(event?.signalKey)
  expect(parseBody({ title: 'Disk of db-2 is full' })?.signalKey).not.toBe(event?.signalKey)
})

test('every field has its place', () => {
  expect(parse('everything')).toEqual({
    kind: 'fire',
    signalKey: '90071992547409931',
    episode: null,
    episodeStart: null,
    eventTime: '2026-01-01T00:00:00.000Z',
    sourceTime: '1767225600',
    timeFrom: 'body',
    eventId: '90071992547409931',
    externalId: '90071992547409931',
    title: 'Imports are late',
    description: 'The last import is 6 h old.',
    severity: 'critical',
    sourceSeverity: 'P1',
    sourceStatus: 'down',
    url: 'https://status.example.com/imports',
    monitor: { id: '7', name: 'Import age', url: 'https://imports.example.com' },
    services: ['imports', 'exports', 'billing'],
    customerImpact: true,
    labels: { group: 'batch', env: 'prod', tier: '1', nightly: 'true' },
    metadata: { region: 'eu-1', queue: { length: 12 } },
    drill: true,
    evidence: null,
  })
})

test('the first name of a field wins', () => {
  const body = {
    title: 'a',
    alert_title: 'b',
    name: 'c',
    description: 'd',
    message: 'e',
    id: 'f',
    event_id: 'g',
  }
  expect(parseBody(body)).toMatchObject({ title: 'a', description: 'd', signalKey: 'f' })
  expect(parseBody({ ...body, title: ' ', id: '' })).toMatchObject({ title: 'b', signalKey: 'g' })
})

test('a warning is a fire of severity medium, unless it names another', () => {
  expect(parse('warn')).toMatchObject({ kind: 'fire', severity: 'medium', sourceSeverity: null })
  expect(parseBody({ title: 'x', status: 'warn', severity: 'low' })?.severity).toBe('low')
})

test('our own severities mean themselves, an unknown one means none', () => {
  expect(parseBody({ title: 'x', severity: 'info' })?.severity).toBe('info')
  expect(parseBody({ title: 'x', severity: 'spicy' })).toMatchObject({
    severity: null,
    sourceSeverity: 'spicy',
  })
})

test('an unknown action only informs, unless the source knows it', () => {
  expect(parse('unknown-word')).toMatchObject({ kind: 'info', sourceStatus: 'rolling out' })
  const settings = { ...noSettings, statusWords: { ROLLING_OUT: 'fire' as const } }
  expect(parse('unknown-word', hookRequest(), settings)?.kind).toBe('fire')
})

test('what is wrong in an optional field is left out', () => {
  const body = {
    title: 'x',
    url: 'javascript:1',
    monitor: [],
    labels: 3,
    services: {},
    time: 'soon',
    metadata: 'm',
  }
  expect(parseBody(body)).toMatchObject({
    url: null,
    monitor: null,
    labels: {},
    services: [],
    eventTime: null,
    timeFrom: null,
    sourceTime: 'soon',
    metadata: {},
    customerImpact: false,
  })
})

test('Idempotency-Key names the delivery for 72 hours', () => {
  const request = hookRequest({ headers: { 'Idempotency-Key': 'run-12' } })
  expect(generic.parse({ title: 'x' }, request, noSettings).delivery).toEqual({
    key: 'run-12',
    windowMs: 259_200_000,
  })
  expect(generic.parse({ title: 'x' }, hookRequest(), noSettings).delivery).toBeNull()
})

describe('the address may say where a field is', () => {
  const query =
    'title=json(alert.summary)&id=json(alert.key)&action=json(alert.state)&severity=json(checks.0.level)&labels=json(alert.tags)&service=queue&drill=true'

  test('with json(path), or say the value itself', () => {
    expect(parse('templated', hookRequest({ query }))).toMatchObject({
      kind: 'recover',
      title: 'Queue is long',
      signalKey: 'q-7',
      severity: 'high',
      labels: { team: 'ops' },
      services: ['queue'],
      drill: true,
    })
  })

  test('and so may the mapping of the source', () => {
    const settings = { ...noSettings, mapping: { title: 'json(alert.summary)', id: 'json(alert.key)' } }
    expect(parse('templated', hookRequest(), settings)).toMatchObject({
      title: 'Queue is long',
      signalKey: 'q-7',
    })
  })

  test('and where it finds nothing, the body speaks', () => {
    const request = hookRequest({ query: 'title=json(no.such.path)&severity=json(constructor.name)' })
    expect(parse('trigger', request)).toMatchObject({
      title: 'Checkout errors above 5 %',
      severity: 'critical',
    })
  })
})
