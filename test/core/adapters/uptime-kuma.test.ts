import { expect, test } from 'vitest'
import { readBody } from '../../../core/adapters/read-body.ts'
import { uptimeKuma } from '../../../core/adapters/uptime-kuma.ts'
import { hookRequest, noSettings, payload, rawPayload } from './payload.ts'

function parse(name: string) {
  const request = hookRequest({ body: rawPayload(`uptime-kuma/${name}`) })
  return uptimeKuma.parse(payload(`uptime-kuma/${name}`), request, noSettings).events[0]!
}

test('a monitor is a signal; its times are UTC without saying so', () => {
  expect(parse('down')).toMatchObject({
    kind: 'fire',
    signalKey: '12',
    episode: null,
    eventTime: '2026-05-05T05:05:05.005Z',
    sourceTime: '2026-05-05 05:05:05.005',
    eventId: '12 2026-05-05 05:05:05.005 0',
    externalId: '12',
    title: 'Shop homepage',
    description: 'connect ECONNREFUSED 192.0.2.10:443',
    severity: null,
    sourceStatus: 'DOWN',
    monitor: { id: '12', name: 'Shop homepage', url: 'https://shop.example.com/health' },
    labels: { region: 'eu', public: '' },
  })
  expect(parse('up')).toMatchObject({ kind: 'recover', signalKey: '12', evidence: { values: { ping: 48 } } })
})

test('each outage of a monitor has an identity of its own', () => {
  const ids = ['down', 'down-resent', 'up', 'down-again'].map((name) => parse(name).eventId)
  expect(new Set(ids).size).toBe(4)
})

test('a monitor of something that is no web page has no address', () => {
  expect(parse('ping-monitor')).toMatchObject({ monitor: { url: null }, metadata: { hostname: '192.0.2.1' } })
})

test('N3 the test button is a test, a certificate that runs out an information', () => {
  expect(parse('test-button')).toMatchObject({ kind: 'info', test: true, title: 'Tocsin Testing' })
  expect(parse('certificate')).toMatchObject({ kind: 'info' })
  expect(parse('certificate').test).toBeUndefined()
})

test('N2 pending and maintenance only inform', () => {
  for (const status of [2, 3, 9]) {
    const body = {
      heartbeat: { monitorID: 1, status, time: '2026-05-05 05:05:05' },
      monitor: { id: 1, name: 'a' },
    }
    expect(uptimeKuma.parse(body, hookRequest(), noSettings).events[0]).toMatchObject({ kind: 'info' })
  }
})

test('a form, a GET and a body of the wrong type are read as the same JSON', async () => {
  const down = JSON.parse(rawPayload('uptime-kuma/down').toString())
  const form = new FormData()
  form.set('data', JSON.stringify(down))
  form.set('file', new Blob(['x']), 'x.txt')
  const multipart = new Response(form)
  const query = new URLSearchParams({
    msg: down.msg,
    heartbeat: JSON.stringify(down.heartbeat),
    monitor: JSON.stringify(down.monitor),
  })
  const requests = [
    hookRequest({
      headers: { 'content-type': multipart.headers.get('content-type') ?? '' },
      body: Buffer.from(await multipart.arrayBuffer()),
    }),
    { ...hookRequest({ body: query.toString() }), method: 'GET' },
    hookRequest({
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: JSON.stringify(down),
    }),
    hookRequest({ headers: { 'content-type': 'text/plain' }, body: JSON.stringify(down) }),
  ]
  for (const request of requests) {
    const { events } = uptimeKuma.parse(await readBody(request), request, noSettings)
    expect(events).toEqual([parse('down')])
  }
})

test.each([
  ['multipart/form-data', 'no boundary'],
  ['multipart/form-data; boundary=x', '--x\r\nbroken'],
])('a form that cannot be read is refused: %s', async (type, body) => {
  const request = hookRequest({ headers: { 'content-type': type }, body })
  await expect(async () => readBody(request)).rejects.toMatchObject({ code: 'malformed_body' })
})
