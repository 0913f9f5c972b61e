import { expect, test } from 'vitest'
import { cloudevents } from '../../../core/adapters/cloudevents.ts'
import type { SourceSettings } from '../../../core/types.ts'
import { hookRequest, noSettings, payload } from './payload.ts'

function parse(name: string, settings: SourceSettings = noSettings) {
  return cloudevents.parse(payload(`cloudevents/${name}`), hookRequest(), settings).events
}

test('the last word of the type says what happened to the subject', () => {
  expect(parse('opened')).toMatchObject([
    {
      kind: 'fire',
      signalKey: 'checkout-latency',
      eventTime: '2026-05-05T05:05:05.123Z',
      eventId: 'https://monitor.example.com/checks ce-0001',
      externalId: 'ce-0001',
      title: 'Checkout answers slowly',
      severity: 'critical',
      sourceStatus: 'com.example.check.opened',
      url: 'https://monitor.example.com/checks/7',
      services: ['checkout'],
      labels: { source: 'https://monitor.example.com/checks' },
    },
  ])
  expect(parse('acknowledged')).toMatchObject([{ kind: 'ack', signalKey: 'checkout-latency' }])
  expect(parse('resolved')).toMatchObject([{ kind: 'recover', signalKey: 'checkout-latency' }])
  expect(parse('base64-data')).toMatchObject([{ kind: 'fire', signalKey: 'edge-3' }])
})

test('without a subject the type without its last word is the signal', () => {
  expect(parse('without-subject')).toMatchObject([
    { kind: 'fire', signalKey: 'com.example.backup', eventTime: null },
  ])
})

test('N2 another word only informs, unless the source knows it', () => {
  expect(parse('unknown-type')).toMatchObject([{ kind: 'info', description: 'green' }])
  expect(parse('unknown-type', { ...noSettings, statusWords: { finished: 'recover' } })).toMatchObject([
    { kind: 'recover' },
  ])
})

test('a batch is as many events', () => {
  expect(parse('batch')).toMatchObject([
    { signalKey: 'search' },
    { signalKey: 'login', labels: { traceparent: '00-abc-def-01' } },
  ])
})

test('a batch of more events than are taken at once is refused before any is read', () => {
  const event = payload('cloudevents/opened')
  const read = (count: number, entry: unknown) =>
    cloudevents.parse(new Array(count).fill(entry), hookRequest(), noSettings).events
  expect(read(1_000, event)).toHaveLength(1_000)
  for (const entry of [event, {}]) {
    expect(() => read(1_001, entry)).toThrow(
      'the batch holds 1001 entries, at most 1000 are taken: send smaller batches',
    )
  }
})

test('a batch of no events is valid, and says nothing', () => {
  expect(parse('empty-batch')).toEqual([])
})

test('data in base64 is read as what its type says', () => {
  expect(parse('base64-json')).toMatchObject([
    { title: 'Probe of Küche 4 fails', severity: 'high', services: ['edge'], description: null },
  ])
  const event = payload('cloudevents/base64-json') as Record<string, unknown>
  const read = (datacontenttype: unknown, data: string, more: object = {}) => {
    const body = { ...event, datacontenttype, data_base64: Buffer.from(data).toString('base64'), ...more }
    return cloudevents.parse(body, hookRequest(), noSettings).events[0]
  }
  // JSON is what is meant where no type stands.
  expect(read(undefined, '{"title":"Slow"}')).toMatchObject({ title: 'Slow' })
  expect(read('application/vnd.example+json', '{"title":"Slow"}')).toMatchObject({ title: 'Slow' })
  expect(read('text/plain', 'It is down')).toMatchObject({ description: 'It is down' })
  // The event counts, whatever came with it.
  const bare = { kind: 'fire', title: 'com.example.probe.failed edge-4', description: null }
  expect(read('application/octet-stream', 'It is down')).toMatchObject(bare)
  expect(read('application/json', '{"title":')).toMatchObject(bare)
  expect(read('application/json', '['.repeat(100_000))).toMatchObject(bare)
  expect(read('application/json', '', { data_base64: 'not base64!' })).toMatchObject(bare)
  expect(read('application/json', '{"title":"x","__proto__":{"url":"y"}}')?.metadata).toEqual({ title: 'x' })
})

test('attributes may stand in headers, the data in the body', () => {
  const request = hookRequest({
    headers: {
      'ce-specversion': '1.0',
      'ce-id': 'ce-0009',
      'ce-source': '/checks',
      'ce-type': 'com.example.check.firing',
      'ce-subject': 'K%C3%BChlung',
      'ce-time': '2026-05-05T05:05:05Z',
      'content-type': 'application/json',
    },
    body: '{"title":"Too warm","severity":"high"}',
  })
  const [event] = cloudevents.parse(cloudevents.readBody?.(request), request, noSettings).events
  expect(event).toMatchObject({ kind: 'fire', signalKey: 'Kühlung', title: 'Too warm', severity: 'high' })
})

test('data in headers mode may be text, or nothing', () => {
  const headers = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/c', 'ce-type': 'a.opened' }
  const read = (type: Record<string, string>, body: string) => {
    const request = hookRequest({ headers: { ...headers, ...type }, body })
    return cloudevents.parse(cloudevents.readBody?.(request), request, noSettings).events[0]
  }
  expect(read({ 'content-type': 'text/plain' }, 'It is down')).toMatchObject({ description: 'It is down' })
  expect(read({}, '')).toMatchObject({ title: 'a.opened', description: null })
})

test('the type tells a structured event from headers that a proxy added', () => {
  const body = JSON.stringify(payload('cloudevents/opened'))
  const headers = { 'ce-specversion': '1.0', 'content-type': 'application/cloudevents+json' }
  expect(cloudevents.readBody?.(hookRequest({ headers, body }))).toMatchObject({ id: 'ce-0001' })
})

test.each(['id', 'source', 'type', 'specversion'])('without %s it is none', (name) => {
  const event = { ...(payload('cloudevents/opened') as Record<string, unknown>), [name]: undefined }
  expect(() => cloudevents.parse(event, hookRequest(), noSettings)).toThrow(`${name} is missing`)
})

test('of another version it is none of ours', () => {
  const event = { ...(payload('cloudevents/opened') as Record<string, unknown>), specversion: '0.3' }
  expect(() => cloudevents.parse(event, hookRequest(), noSettings)).toThrow('send CloudEvents 1.0')
})
