import { adapterSlugs, TocsinError } from '@tocsin/core'
import { describe, expect, test } from 'vitest'
import { MAX_BODY_BYTES } from '../../ingest/read-body.ts'
import { receivingPath, webhookAddresses } from '../../ingest/routes/webhooks.ts'
import { until } from '../support/until.ts'
import { serve } from './serve.ts'
import { stubTocsin } from './stub-tocsin.ts'

const PATH = '/api/v1/webhooks/11111111-1111-4111-8111-111111111111/generic'
const JSON_TYPE = { 'Content-Type': 'application/json' }

describe('an address', () => {
  test.each([
    [
      `${PATH}?source=source-1&x=y`,
      {
        kind: 'project',
        projectId: '11111111-1111-4111-8111-111111111111',
        adapter: 'generic',
        sourceId: 'source-1',
      },
    ],
    [PATH, { kind: 'project', sourceId: null }],
    ['/api/webhooks/uptime-kuma/to%6ben', { kind: 'token', token: 'token', adapter: 'uptime-kuma' }],
    ['/webhooks/token', { kind: 'token', token: 'token', adapter: null }],
    ['/webhooks/token/', { kind: 'token', token: 'token', adapter: null }],
  ])('%s is understood', async (path, address) => {
    const tocsin = stubTocsin()
    const { url } = await serve({ tocsin })
    const response = await fetch(url + path, { method: 'POST', headers: JSON_TYPE, body: '{}' })
    expect(response.status).toBe(200)
    expect(tocsin.received[0]?.address).toMatchObject(address)
  })

  test('hands over the request as it came', async () => {
    const tocsin = stubTocsin({ now: () => new Date('2026-11-21T08:00:00Z') })
    const { url } = await serve({ tocsin })
    const body = '{"title":"Grüße\\u00e9"}'
    await fetch(`${url}${PATH}?severity=json(a.b)`, { method: 'POST', headers: JSON_TYPE, body })

    const { request } = tocsin.received[0]!
    expect(request).toMatchObject({
      method: 'POST',
      path: PATH,
      rawBody: Buffer.from(body),
      receivedAt: '2026-11-21T08:00:00.000Z',
      ip: '127.0.0.1',
    })
    expect(request.query.get('severity')).toBe('json(a.b)')
    expect(request.headers.get('content-type')).toEqual(['application/json'])
  })

  test('believes X-Forwarded-For of a trusted proxy alone', async () => {
    const forwarded = { ...JSON_TYPE, 'X-Forwarded-For': '203.0.113.9, 198.51.100.7' }
    const ipWith = async (trustProxy: string[]) => {
      const tocsin = stubTocsin()
      const { url } = await serve({ tocsin, config: { trustProxy } })
      await fetch(url + PATH, { method: 'POST', headers: forwarded, body: '{}' })
      return tocsin.received[0]?.request.ip
    }
    expect(await ipWith([])).toBe('127.0.0.1')
    expect(await ipWith(['10.0.0.0/8'])).toBe('127.0.0.1')
    // What the client itself wrote before our proxy's entry is not believed.
    expect(await ipWith(['127.0.0.0/8'])).toBe('198.51.100.7')
  })

  test.each([
    ['a host', 'unknown'],
    ['203.0.113.9:x', 'unknown'],
    ['203.0.113.9:4711', '203.0.113.9'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
  ])('takes %s, which a proxy wrote, for %s', async (written, expected) => {
    const tocsin = stubTocsin()
    const { url } = await serve({ tocsin, config: { trustProxy: ['127.0.0.0/8'] } })
    await fetch(url + PATH, {
      method: 'POST',
      headers: { ...JSON_TYPE, 'X-Forwarded-For': written },
      body: '{}',
    })
    expect(tocsin.received[0]?.request.ip).toBe(expected)
  })
})

describe('an answer', () => {
  test('is that of core, with the id of the request', async () => {
    const { url } = await serve({ tocsin: stubTocsin() })
    const response = await fetch(url + PATH, { method: 'POST', headers: JSON_TYPE, body: '{}' })

    expect(response.status).toBe(200)
    expect(response.headers.get('x-request-id')).toBe('request-1')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('referrer-policy')).toBe('no-referrer')
    expect(response.headers.has('x-powered-by')).toBe(false)
    expect(response.headers.has('etag')).toBe(false)
    expect(await response.json()).toMatchObject({
      success: true,
      outcome: 'opened',
      incident: { reference: 'INC-001' },
      requestId: 'request-1',
    })
  })

  test('to a refusal has its status, code, sentence, id and details', async () => {
    const refusal = new TocsinError('rate_limited', 'The hour is full.', {
      requestId: 'request-2',
      retryAfterSeconds: 59.2,
      details: { duplicate: true },
    })
    const { url } = await serve({ tocsin: stubTocsin({ receive: () => Promise.reject(refusal) }) })
    const response = await fetch(url + PATH, { method: 'POST', headers: JSON_TYPE, body: '{}' })

    expect(response.status).toBe(429)
    expect(response.headers.get('retry-after')).toBe('60')
    expect(response.headers.get('x-request-id')).toBe('request-2')
    expect(await response.json()).toEqual({
      success: false,
      error: { code: 'rate_limited', message: 'The hour is full.' },
      requestId: 'request-2',
      duplicate: true,
    })
  })

  test('to a fault of ours is 503, logged once, and tells nothing of it', async () => {
    const lines: unknown[] = []
    const { url } = await serve({
      tocsin: stubTocsin({ receive: () => Promise.reject(new Error('disk on fire')) }),
      log: (level, message, fields) => lines.push([level, message, fields]),
    })
    const response = await fetch(url + PATH, { method: 'POST', headers: JSON_TYPE, body: '{}' })

    expect(response.status).toBe(503)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
    const answer = (await response.json()) as { requestId: string }
    expect(JSON.stringify(answer)).not.toContain('fire')
    expect(lines).toEqual([
      ['error', 'receiving failed', { requestId: answer.requestId, err: new Error('disk on fire') }],
    ])
  })

  test.each(['%zz', '%E0%A4%A'])('to an address with the broken escape %s is a refusal', async (token) => {
    const { url } = await serve({ tocsin: stubTocsin() })
    const response = await fetch(`${url}/webhooks/${token}`, {
      method: 'POST',
      headers: JSON_TYPE,
      body: '{}',
    })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ success: false, error: { code: 'INVALID_REQUEST' } })
  })
})

describe('a method', () => {
  test('PUT is for Grafana and the address that does not name its tool', async () => {
    const tocsin = stubTocsin()
    const { url } = await serve({ tocsin })
    const put = async (path: string) => {
      const response = await fetch(url + path, { method: 'PUT', headers: JSON_TYPE, body: '{}' })
      return [response.status, response.headers.get('allow')]
    }
    expect(await put(PATH.replace('generic', 'grafana'))).toEqual([200, null])
    expect(await put('/api/webhooks/grafana/token')).toEqual([200, null])
    expect(await put('/webhooks/token')).toEqual([200, null])
    expect(await put(PATH)).toEqual([405, 'POST'])
    expect(tocsin.received.map(({ request }) => request.method)).toEqual(['PUT', 'PUT', 'PUT'])
  })

  test.each(['GET', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS'])(
    '%s is 405 and says what to send',
    async (method) => {
      const { url } = await serve({ tocsin: stubTocsin() })
      for (const path of [PATH, '/api/webhooks/generic/token']) {
        const response = await fetch(url + path, { method })
        expect(response.status).toBe(405)
        expect(response.headers.get('allow')).toBe('POST')
        const body = await response.text()
        if (method !== 'HEAD') expect(body).toContain('Webhooks come here by POST')
      }
    },
  )
})

describe('a body', () => {
  test('of 1 MiB exactly is taken', async () => {
    const tocsin = stubTocsin()
    const { raw } = await serve({ tocsin })
    const body = jsonOf(MAX_BODY_BYTES)
    expect(await raw(post([`Content-Length: ${body.length}`]), body)).toMatch(/^HTTP\/1.1 200 /)
    expect(tocsin.received[0]?.request.rawBody.equals(body)).toBe(true)
  })

  test('of one byte more is 413; core hears of it with the first 4 KiB', async () => {
    const tocsin = stubTocsin()
    const { raw } = await serve({ tocsin })
    const body = jsonOf(MAX_BODY_BYTES + 1)
    const answer = await raw(post([`Content-Length: ${body.length}`]), body)
    expect(answer).toMatch(/^HTTP\/1.1 413 /)
    expect(answer).toContain('"code":"payload_too_large"')
    expect(tocsin.received[0]?.refusal?.code).toBe('payload_too_large')
    expect(tocsin.received[0]?.request.rawBody).toEqual(body.subarray(0, 4096))
  })

  test('in chunks without a length is held to the same limit', async () => {
    const tocsin = stubTocsin()
    const { raw } = await serve({ tocsin })
    const chunked = ['Transfer-Encoding: chunked']
    expect(await raw(post(chunked), ...chunks(jsonOf(MAX_BODY_BYTES)))).toMatch(/^HTTP\/1.1 200 /)
    expect(await raw(post(chunked), ...chunks(jsonOf(MAX_BODY_BYTES + 1)))).toMatch(/^HTTP\/1.1 413 /)
  })

  test('without end is answered and cut off', async () => {
    const { raw } = await serve({ tocsin: stubTocsin() })
    const nineMiB = Buffer.alloc(9 * 1024 * 1024, ' ')
    const answer = await raw(post([`Content-Length: ${2 ** 40}`]), nineMiB).catch((error) => error)
    // The reset of the connection may overtake the answer.
    if (typeof answer === 'string') expect(answer).toMatch(/^(HTTP\/1.1 413 |$)/)
    else expect(answer).toMatchObject({ code: expect.stringMatching(/ECONNRESET|EPIPE/) })
  })

  test('cut off in the middle is not received and ends nothing', async () => {
    const tocsin = stubTocsin()
    const { raw, port } = await serve({ tocsin })
    const { connect } = await import('node:net')
    const socket = connect(port, '127.0.0.1')
    socket.end(`${post(['Content-Length: 100'])}{"title"`)
    await new Promise((resolve) => socket.on('close', resolve).resume())
    expect(await raw(post(['Content-Length: 2']), '{}')).toMatch(/^HTTP\/1.1 200 /)
    expect(tocsin.received).toHaveLength(1)
  })

  test('that is empty goes on to core, which knows what its tool sends', async () => {
    const tocsin = stubTocsin()
    const { raw } = await serve({ tocsin })
    await raw(post(['Content-Length: 0']))
    expect(tocsin.received[0]).toMatchObject({ refusal: undefined, request: { rawBody: Buffer.alloc(0) } })
  })

  test.each(['gzip', 'br', 'identity', 'x'])('with Content-Encoding %s is 415', async (encoding) => {
    const tocsin = stubTocsin()
    const { raw } = await serve({ tocsin })
    const answer = await raw(post(['Content-Length: 2', `Content-Encoding: ${encoding}`]), '{}')
    expect(answer).toMatch(/^HTTP\/1.1 415 /)
    expect(answer).toContain('Content-Encoding')
    expect(tocsin.received[0]?.refusal?.code).toBe('unsupported_media_type')
  })

  test.each([
    'application/json',
    'Application/JSON; charset=UTF-8',
    'application/json;charset="utf-8"',
    'application/cloudevents+json; charset=utf8',
    'application/json; v=1',
  ])('of type %s is taken', async (type) => {
    const { raw } = await serve({ tocsin: stubTocsin() })
    expect(await raw(post(['Content-Length: 2'], [`Content-Type: ${type}`]), '{}')).toMatch(/^HTTP\/1.1 200 /)
  })

  test.each([
    ['Content-Type: text/plain'],
    ['Content-Type: application/json; charset=utf-16'],
    ['Content-Type: application/jsonp'],
    ['Content-Type: multipart/form-data; x=application/json'],
    ['Content-Type:'],
    ['Content-Type: application/json', 'Content-Type: text/plain'],
  ])('with %j %j is 415 and told which header to send', async (...types) => {
    const tocsin = stubTocsin()
    const { raw } = await serve({ tocsin })
    const lines = types.filter((type) => type !== undefined)
    const answer = await raw(post(['Content-Length: 2'], lines), '{}')
    expect(answer).toMatch(/^HTTP\/1.1 415 /)
    expect(answer).toContain('send Content-Type: application/json')
    expect(tocsin.received[0]?.refusal?.code).toBe('unsupported_media_type')
  })
})

describe('headers', () => {
  test('that repeat all arrive', async () => {
    const tocsin = stubTocsin()
    const { raw } = await serve({ tocsin })
    await raw(post(['Content-Length: 2', 'X-Webhook-Secret: one', 'x-webhook-secret: two']), '{}')
    expect(tocsin.received[0]?.request.headers.get('x-webhook-secret')).toEqual(['one', 'two'])
  })

  test('may be called __proto__', async () => {
    const tocsin = stubTocsin()
    const { raw } = await serve({ tocsin })
    const answer = await raw(post(['Content-Length: 2', '__proto__: x', 'constructor: y']), '{}')
    expect(answer).toMatch(/^HTTP\/1.1 200 /)
    expect(tocsin.received[0]?.request.headers.get('__proto__')).toEqual(['x'])
  })

  test.each([
    ['no Host', `POST ${PATH} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}`],
    ['two lengths', `${post(['Content-Length: 2', 'Content-Length: 3'])}{}`],
    ['a length and chunks', `${post(['Content-Length: 2', 'Transfer-Encoding: chunked'])}0\r\n\r\n`],
    ['a folded line', `${post(['Content-Length: 2', 'X-A: b\r\n c'])}{}`],
    ['a bare line feed', `${post(['Content-Length: 2']).replaceAll('\r\n', '\n')}{}`],
  ])('with %s are refused before anything is received', async (_what, bytes) => {
    const tocsin = stubTocsin()
    const { raw } = await serve({ tocsin })
    expect(await raw(bytes)).toMatch(/^HTTP\/1.1 400 /)
    expect(tocsin.received).toEqual([])
  })

  test('larger than 16 KiB are refused', async () => {
    const { raw } = await serve({ tocsin: stubTocsin() })
    expect(await raw(post([`X-Long: ${'x'.repeat(17_000)}`]))).toMatch(/^HTTP\/1.1 431 /)
  })
})

function post(lines: string[], types = ['Content-Type: application/json']): string {
  return [`POST ${PATH} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...types, ...lines, '', ''].join(
    '\r\n',
  )
}

function jsonOf(bytes: number): Buffer {
  return Buffer.from(`"${'x'.repeat(bytes - 2)}"`)
}

function chunks(body: Buffer): (string | Buffer)[] {
  const half = body.length >> 1
  const chunk = (part: Buffer) => [`${part.length.toString(16)}\r\n`, part, '\r\n']
  return [...chunk(body.subarray(0, half)), ...chunk(body.subarray(half)), '0\r\n\r\n']
}

test('an address can be tried by OPTIONS, as the troubleshooting page says: 405, and nothing is received', async () => {
  const tocsin = stubTocsin()
  const { url } = await serve({ tocsin })
  for (const { path } of webhookAddresses) {
    for (const adapter of adapterSlugs) {
      const at = path.replace(':adapter', adapter).replaceAll(/:\w+/g, 'x')
      expect((await fetch(url + at, { method: 'OPTIONS' })).status, at).toBe(405)
    }
  }
  expect(tocsin.received).toEqual([])
})

describe('the path a body is previewed for', () => {
  const PUBLIC = 'https://example.com/tocsin'
  test.each([
    ['generic', '?title=json(a.b)', '?title=json(a.b)'],
    ['pagerduty-events', '/tocsin/v2/change/enqueue', '/v2/change/enqueue'],
    ['generic', `/tocsin${PATH}?title=x`, `${PATH}?title=x`],
    ['generic', PATH, PATH],
  ])('of %s: %s is %s', (adapter, given, expected) => {
    expect(receivingPath(given, adapter, PUBLIC)).toBe(expected)
  })

  test('is refused where it is none, with what to send', () => {
    expect(() => receivingPath('title=x', 'generic', PUBLIC)).toThrow(/query alone such as \?title=/)
    expect(() => receivingPath('/tocsinx/v2/enqueue', 'pagerduty-events', PUBLIC)).toThrow(/no address/)
  })
})

test('a sender is told to keep a connection for less time than it stays open', async () => {
  const { url, server } = await serve({ tocsin: stubTocsin() })
  const { headers } = await fetch(url + PATH, { method: 'POST', headers: JSON_TYPE, body: '{}' })
  const toldMs = Number(/^timeout=(\d+)/.exec(headers.get('keep-alive') ?? '')?.[1]) * 1_000
  expect(toldMs).toBeGreaterThan(60_000)
  expect(server.keepAliveTimeout + server.keepAliveTimeoutBuffer - toldMs).toBeGreaterThanOrEqual(10_000)
})

describe('with 250 webhooks under way', () => {
  const at = (adapter: string) => PATH.replace('generic', adapter)

  test('tools that send again are told to, and the others wait', async () => {
    const release = Promise.withResolvers<void>()
    const stub = stubTocsin()
    let waiting = 0
    const receive: typeof stub.receive = async (...call) => {
      waiting += 1
      await release.promise
      return stub.receive(...call)
    }
    const { url } = await serve({ tocsin: { ...stub, receive } })
    const send = (adapter: string) =>
      fetch(url + at(adapter), { method: 'POST', headers: JSON_TYPE, body: '{}' })

    const first = Array.from({ length: 250 }, () => send('alertmanager'))
    await until('all of them wait', () => waiting === 250)
    for (const adapter of ['alertmanager', 'datadog', 'pagerduty', 'uptimera']) {
      const refused = await send(adapter)
      expect([refused.status, refused.headers.get('retry-after')], adapter).toEqual([503, '1'])
      expect(await refused.json()).toMatchObject({ error: { code: 'unavailable' } })
    }
    const others = ['sentry', 'generic'].map(send)
    await until('they wait as well', () => waiting === 252)
    release.resolve()
    const answers = await Promise.all([...first, ...others])
    expect(answers.map(({ status }) => status)).toEqual(Array(252).fill(200))
    expect((await send('alertmanager')).status).toBe(200)
  })
})

test('a database that takes too long is a 503 for the sender, who then sends again', async () => {
  const release = Promise.withResolvers<void>()
  const stub = stubTocsin()
  const receive: typeof stub.receive = async (...call) => {
    await release.promise
    return stub.receive(...call)
  }
  const { url } = await serve({ tocsin: { ...stub, receive }, longestMs: 20 })
  const send = () => fetch(url + PATH, { method: 'POST', headers: JSON_TYPE, body: '{}' })

  const refused = await send()
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
  expect(await refused.json()).toMatchObject({ error: { code: 'unavailable' } })
  release.resolve()
  expect((await send()).status).toBe(200)
})
