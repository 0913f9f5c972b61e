import { describe, expect, test } from 'vitest'
import { betterstack } from '../../../core/adapters/betterstack.ts'
import { hookRequest, noSettings, payload, rawPayload } from './payload.ts'

function parse(name: string) {
  return parseBody(payload(`betterstack/${name}`), rawPayload(`betterstack/${name}`))
}

function parseBody(body: unknown, rawBody?: Buffer) {
  return betterstack.parse(body, hookRequest({ body: rawBody ?? JSON.stringify(body) }), noSettings).events
}

test('an incident is an episode of its monitor', () => {
  const [fire] = parse('started')
  expect(fire).toMatchObject({
    kind: 'fire',
    signalKey: '31',
    episode: '700012',
    episodeStart: '2026-05-05T05:05:05.005Z',
    eventTime: '2026-05-05T05:05:05.005Z',
    eventId: '700012 started',
    externalId: '700012',
    title: 'Shop homepage',
    description: 'Status 503',
    severity: null,
    url: null,
    monitor: { id: '31', name: 'Shop homepage', url: 'https://shop.example.com' },
    evidence: { links: [{ text: 'Screenshot', href: 'https://screens.example.com/700012.png' }] },
  })
})

test('its acknowledgement and its end carry their own times', () => {
  expect(parse('acknowledged')[0]).toMatchObject({
    kind: 'ack',
    episode: '700012',
    eventTime: '2026-05-05T05:09:00.000Z',
    eventId: '700012 acknowledged',
  })
  expect(parse('resolved')[0]).toMatchObject({
    kind: 'recover',
    signalKey: '31',
    eventTime: '2026-05-05T05:25:00.000Z',
    eventId: '700012 resolved',
  })
})

test('T2 reopened is the next stretch, at the time it arrives', () => {
  expect(parse('reopened')).toHaveLength(1)
  expect(parse('reopened')[0]).toMatchObject({
    kind: 'fire',
    reopen: true,
    episode: '700012',
    eventTime: null,
    eventId: '700012 reopened',
  })
})

test('a comment only informs, and each one is its own', () => {
  const [comment] = parse('comment')
  expect(comment).toMatchObject({ kind: 'info', signalKey: '31', sourceStatus: 'comment' })
  const body = payload('betterstack/comment') as Record<string, unknown>
  const [another] = parseBody({ ...body, comment: { id: '10', content: 'Still slow.' } })
  expect(another?.eventId).not.toBe(comment?.eventId)
})

test('an outage that is over before its start is told is told whole', () => {
  const events = parse('started-already-over')
  expect(events.map(({ kind, eventTime }) => [kind, eventTime])).toEqual([
    ['fire', '2026-05-05T05:05:05.005Z'],
    ['recover', '2026-05-05T05:05:40.000Z'],
  ])
  // Its own "resolved" message, sent a moment later, is then the same event.
  expect(events[1]?.eventId).toBe(parse('resolved')[0]?.eventId)
})

test('a heartbeat is not taken for the monitor of the same number', () => {
  expect(parse('heartbeat-started')[0]).toMatchObject({
    signalKey: 'heartbeat:31',
    monitor: { id: '31', url: null },
  })
})

describe('the envelope is optional', () => {
  test('an incident is read from a flat body', () => {
    expect(parse('without-envelope')[0]).toMatchObject({
      kind: 'fire',
      signalKey: 'Nightly backup',
      episode: '700013',
      sourceStatus: 'Started',
      eventTime: '2026-05-06T01:00:00.000Z',
    })
  })

  test('a resolved_at resolves, whatever the status says', () => {
    const resource = {
      id: '1',
      type: 'incident',
      attributes: { name: 'x', resolved_at: '2026-05-06T01:00:00Z' },
    }
    for (const body of [resource, { data: resource }, { event: 'changed', data: resource }]) {
      expect(parseBody(body)[0]).toMatchObject({ kind: 'recover', eventTime: '2026-05-06T01:00:00.000Z' })
    }
    expect(parseBody({ name: 'x', status: 'Validating', resolved_at: '2026-05-06T01:00:00Z' })).toHaveLength(
      1,
    )
  })

  test('status words go through the tables where there is no event', () => {
    const kindOf = (status: unknown) => parseBody({ name: 'x', status })[0]?.kind
    expect(['Started', 'down', 'Acknowledged', 'Resolved', 'up', 'Validating', null].map(kindOf)).toEqual([
      'fire',
      'fire',
      'ack',
      'recover',
      'recover',
      'info',
      'fire',
    ])
    expect(parseBody({ name: 'x', acknowledged_at: '2026-05-06T01:00:00Z' })[0]?.kind).toBe('ack')
  })
})

test('changes of monitors and of who is on call are no outages', () => {
  expect(parse('monitor-paused')[0]).toMatchObject({
    kind: 'info',
    signalKey: '31',
    title: 'Shop homepage',
    sourceStatus: 'paused',
  })
  expect(parse('on-call-changed')[0]).toMatchObject({ kind: 'info', signalKey: null, title: 'Primary' })
})

test('an incident of nothing is refused by the name of what is missing', () => {
  for (const body of [{}, { event: 'started' }, { event: 'started', data: { attributes: {} } }]) {
    expect(() => parseBody(body)).toThrow(/attributes/)
  }
  expect(() => parseBody([])).toThrow()
})

test('at a project address a header, a bearer token or a password is the credential', () => {
  const secret = 'a secret'
  for (const headers of [
    { 'x-webhook-secret': secret },
    { authorization: `Bearer ${secret}` },
    { authorization: `Basic ${btoa(`better:${secret}`)}` },
  ] as Record<string, string>[]) {
    expect(betterstack.verify(hookRequest({ headers }), secret, noSettings)).toBe(true)
    expect(betterstack.verify(hookRequest({ headers }), 'another', noSettings)).toBe(false)
  }
})
