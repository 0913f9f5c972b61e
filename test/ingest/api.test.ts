import { type ErrorCode, TocsinError } from '@tocsin/core'
import { describe, expect, test } from 'vitest'
import { STATUS } from '../../ingest/answer.ts'
import { serve } from './serve.ts'
import { KEY, stubTocsin } from './stub-tocsin.ts'

describe('a key', () => {
  test.each([
    ['none', []],
    ['of another scheme', ['Authorization: Basic abc']],
    ['without text', ['Authorization: Bearer ']],
    ['that is unknown', ['Authorization: Bearer nobody']],
    ['that comes twice', [`Authorization: Bearer ${KEY}`, `Authorization: Bearer ${KEY}`]],
    ['with more behind it', [`Authorization: Bearer ${KEY} x`]],
  ])('%s is 401 with a challenge', async (_what, lines) => {
    const tocsin = stubTocsin()
    const { raw } = await serve({ tocsin })
    const answer = await raw(
      ['GET /api/v1/me HTTP/1.1', 'Host: x', 'Connection: close', ...lines, '', ''].join('\r\n'),
    )
    expect(answer).toMatch(/^HTTP\/1.1 401 /)
    expect(answer).toMatch(/^WWW-Authenticate: Bearer/im)
    expect(answer).toContain('"code":"unauthorized"')
    expect(tocsin.calls).toEqual([])
  })

  test('that is valid calls the use-case of the address', async () => {
    const tocsin = stubTocsin()
    const { api } = await serve({ tocsin })
    const { status, body, headers } = await api('GET', '/projects/project-1/incidents/INC-042')
    expect(status).toBe(200)
    expect(body.incident.reference).toBe('INC-001')
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(tocsin.calls).toEqual([['getIncident', 'project-1', 'INC-042']])
  })

  test('may be written with any case of its scheme', async () => {
    const { url } = await serve({ tocsin: stubTocsin() })
    const response = await fetch(`${url}/api/v1/me`, { headers: { Authorization: `bearer ${KEY}` } })
    expect(response.status).toBe(200)
  })
})

describe('a query', () => {
  test('becomes lists, numbers, booleans and UTC times', async () => {
    const tocsin = stubTocsin()
    const { api } = await serve({ tocsin })
    const query = [
      'ids=a,INC-002',
      'status=open,acknowledged',
      'severity=high',
      'service=checkout, pay',
      'source=generic',
      'q=down',
      'since=2026-11-21T10:00:00%2B02:00',
      'until=2026-11-22T00:00:00.5Z',
      'drill=false',
      'limit=100',
      'cursor=abc',
    ]
    const { status } = await api('GET', `/projects/p/incidents?${query.join('&')}`)
    expect(status).toBe(200)
    expect(tocsin.calls[0]).toEqual([
      'listIncidents',
      'p',
      {
        ids: ['a', 'INC-002'],
        status: ['open', 'acknowledged'],
        severity: ['high'],
        service: ['checkout', 'pay'],
        source: ['generic'],
        q: 'down',
        since: '2026-11-21T08:00:00.000Z',
        until: '2026-11-22T00:00:00.500Z',
        drill: false,
        limit: 100,
        cursor: 'abc',
      },
    ])
  })

  test('of statuses becomes numbers', async () => {
    const tocsin = stubTocsin()
    const { api } = await serve({ tocsin })
    await api('GET', '/projects/p/requests?status=401,413&outcome=rejected&source=s')
    expect(tocsin.calls[0]).toEqual([
      'listRequests',
      'p',
      { status: [401, 413], outcome: ['rejected'], source: 's' },
    ])
  })

  test.each([
    ['colour=red', 'Unknown query parameter "colour": known are ids, status, severity'],
    ['__proto__=x', 'Unknown query parameter "__proto__"'],
    ['status=closed', 'Query parameter "status[0]" must be one of open, acknowledged, resolved.'],
    ['status=', 'Query parameter "status[0]" must be one of'],
    ['status=open&status=resolved', 'Query parameter "status" is given twice'],
    ['limit=0', 'Query parameter "limit" must be at least 1.'],
    ['limit=101', 'Query parameter "limit" must be at most 100.'],
    ['limit=ten', 'Query parameter "limit" must be a number.'],
    ['limit=1.5', 'Query parameter "limit" must be a number.'],
    ['drill=yes', 'Query parameter "drill" must be true or false.'],
    ['since=yesterday', 'Query parameter "since" must be an ISO 8601 time'],
    ['since=2026-02-30T00:00:00Z', 'Query parameter "since" must be an ISO 8601 time'],
    [`ids=${Array(21).fill('a').join()}`, 'Query parameter "ids" takes at most 20 entries.'],
  ])('with %s is 400 and says so', async (query, message) => {
    const tocsin = stubTocsin()
    const { api } = await serve({ tocsin })
    const { status, body } = await api('GET', `/projects/p/incidents?${query}`)
    expect(status).toBe(400)
    expect(body.error.code).toBe('invalid_request')
    expect(body.error.message).toContain(message)
    expect(tocsin.calls).toEqual([])
  })

  test('is refused where an address takes none', async () => {
    const { api } = await serve({ tocsin: stubTocsin() })
    const { status, body } = await api('GET', '/projects/p?verbose=1')
    expect(status).toBe(400)
    expect(body.error.message).toBe('Unknown query parameter "verbose": leave it out.')
  })
})

describe('a body', () => {
  test('reaches the use-case', async () => {
    const tocsin = stubTocsin()
    const { api } = await serve({ tocsin })
    const incident = { title: ' Down ', severity: 'low', services: ['a'], labels: { b: 'c' }, drill: true }
    expect((await api('POST', '/projects/p/incidents', incident)).status).toBe(201)
    expect(tocsin.calls[0]).toEqual(['createIncident', 'p', { ...incident, title: 'Down' }])
  })

  test('may be left out where all of it may', async () => {
    const tocsin = stubTocsin()
    const { api } = await serve({ tocsin })
    expect((await api('POST', '/projects/p/incidents/i/acknowledge')).status).toBe(200)
    expect((await api('POST', '/projects/p/sources/s/test')).status).toBe(200)
    expect((await api('DELETE', '/projects/p/sources/s')).status).toBe(204)
    expect(tocsin.calls[0]).toEqual(['acknowledgeIncident', 'p', 'i', {}])
  })

  test.each([
    ['/projects', {}, 'Field "name" is missing: it must be a string.'],
    ['/projects', { name: '  ' }, 'Field "name" needs at least 1 character.'],
    ['/projects', { name: 7 }, 'Field "name" must be a string.'],
    [
      '/projects',
      { name: 'a', plan: 'gold' },
      'Field "plan" must be one of free, pro, team, unlimited, business.',
    ],
    ['/projects', { name: 'a', nme: 1, x: 2 }, 'Unknown field "nme", "x": known are name, plan, policy.'],
    [
      '/projects',
      { name: 'a', policy: { window: 1 } },
      'Unknown field "window" in Field "policy": known are grouping, groupBy, ',
    ],
    [
      '/projects',
      { name: 'a', policy: { reopenWindowMinutes: -1 } },
      'Field "policy.reopenWindowMinutes" must be at least 0.',
    ],
    [
      '/projects',
      { name: 'a', policy: { preset: 'strict' } },
      'Field "policy.preset" must be one of literal.',
    ],
    ['/projects', [], 'The body must be an object.'],
    ['/projects', 'null', 'The body must be an object.'],
    ['/projects', '{"name":', 'The body is not valid JSON'],
    ['/projects/p/sources', { adapter: 'nagios' }, 'Field "adapter" must be one of '],
    [
      '/projects/p/sources',
      { adapter: 'generic', settings: { cidrs: ['10.0.0.0/99'] } },
      'Field "settings.cidrs[0]" must be an address or a network',
    ],
    [
      '/projects/p/sources',
      { adapter: 'generic', settings: { mapping: { titel: 'json(name)' } } },
      'Unknown field "titel" in Field "settings.mapping": known are title, description, id, action, severity, ',
    ],
    [
      '/projects/p/sources',
      { adapter: 'generic', settings: JSON.parse('{"mapping":{"__proto__":"x"}}') },
      'Field "settings.mapping.__proto__" cannot have that name',
    ],
    [
      '/projects/p/sources',
      { adapter: 'generic', settings: JSON.parse('{"statusWords":{"__proto__":"fire"}}') },
      'Field "settings.statusWords.__proto__" cannot have that name',
    ],
    [
      '/projects/p/sources',
      { adapter: 'generic', settings: { statusWords: { '': 'fire' } } },
      'Field "settings.statusWords." cannot have that name',
    ],
    [
      '/projects/p/sources',
      { adapter: 'generic', settings: { statusWords: { kaputt: 'open' } } },
      'Field "settings.statusWords.kaputt" must be one of fire, refresh, recover, ack, info.',
    ],
    [
      '/projects/p/sources/preview',
      { adapter: 'generic', sample: {}, mapping: { constructor: 'x', name: 'json(name)' } },
      'Unknown field "constructor", "name" in Field "mapping": known are title, ',
    ],
    [
      '/projects/p/sources/preview',
      { adapter: 'generic', sample: {}, mapping: JSON.parse('{"__proto__":"x"}') },
      'Field "mapping.__proto__" cannot have that name',
    ],
    [
      '/projects/p/sources/preview',
      { adapter: 'pagerduty-events', sample: {}, path: '/v2/change' },
      'Field "path" is no address that receives webhooks: ',
    ],
    [
      '/projects/p/sources/preview',
      { adapter: 'generic', sample: {}, path: '/v2/change/enqueue' },
      'Field "path" is not an address of generic: ',
    ],
    [
      '/projects/p/sources/preview',
      { adapter: 'generic', sample: {}, path: '/api/v1/webhooks/p/sentry' },
      'Field "path" is not an address of generic: ',
    ],
    ['/projects/p/keys', { name: 'k', scopes: [] }, 'Field "scopes" needs at least 1 entry.'],
    ['/projects/p/keys', { name: 'k', scopes: ['root'] }, 'Field "scopes[0]" must be one of incidents:read'],
    [
      '/projects/p/keys',
      { name: 'k', scopes: ['admin'], expiresAt: 'soon' },
      'Field "expiresAt" must be an ISO 8601 time',
    ],
    ['/projects/p/incidents/i/notes', {}, 'Field "text" is missing'],
    ['/projects/p/incidents/i/resolve', { reason: 'x' }, 'Unknown field "reason": known are note.'],
  ])('to %s with %j is 400 and told what is wrong', async (path, sent, message) => {
    const tocsin = stubTocsin()
    const { api } = await serve({ tocsin })
    const { status, body } = await api('POST', path, sent)
    expect(status).toBe(400)
    expect(body).toMatchObject({ success: false, error: { code: 'invalid_request' } })
    expect(body.error.message).toContain(message)
    // What address the server has may be asked, to know what a path means.
    expect(tocsin.calls.filter(([name]) => name !== 'getIngestion')).toEqual([])
  })

  test('with long unknown fields is not repeated at length', async () => {
    const { api } = await serve({ tocsin: stubTocsin() })
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`${at}-${'x'.repeat(1000)}`, 1]))
    const { body } = await api('POST', '/projects', { name: 'a', ...many })
    expect(body.error.message.length).toBeLessThan(500)
  })

  test('that is no JSON, no UTF-8, compressed or too large is refused', async () => {
    const { url } = await serve({ tocsin: stubTocsin() })
    const post = async (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>) => {
      const response = await fetch(`${url}/api/v1/projects`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${KEY}`, ...headers },
        body,
      })
      const { error } = (await response.json()) as { error: { code: ErrorCode } }
      return `${response.status} ${error.code}`
    }
    const json = { 'Content-Type': 'application/json' }
    expect(await post('{}', { 'Content-Type': 'text/plain' })).toBe('415 unsupported_media_type')
    expect(await post('{}', { ...json, 'Content-Encoding': 'gzip' })).toBe('415 unsupported_media_type')
    expect(await post(new Uint8Array([0x22, 0xff, 0x22]), json)).toBe('400 invalid_request')
    expect(await post('['.repeat(100) + ']'.repeat(100), json)).toBe('400 invalid_request')
    expect(await post('x'.repeat(1024 * 1024 + 1), json)).toBe('413 payload_too_large')
  })
})

describe('an error', () => {
  test.each(Object.entries(STATUS) as [ErrorCode, number][])('%s is %i', async (code, expected) => {
    const error = new TocsinError(code, 'A sentence.', { details: { duplicate: true, success: true } })
    const { api } = await serve({ tocsin: stubTocsin({ useCases: { me: () => Promise.reject(error) } }) })
    const { status, headers, body } = await api('GET', '/me')
    expect(status).toBe(expected)
    expect(body).toEqual({
      success: false,
      error: { code, message: 'A sentence.' },
      requestId: headers.get('x-request-id'),
      duplicate: true,
    })
    expect(headers.has('retry-after')).toBe(status === 429 || status === 503)
  })

  test('of ours is a plain 500, logged once under the id of the answer', async () => {
    const errors: unknown[] = []
    const { api } = await serve({
      tocsin: stubTocsin({ useCases: { me: () => Promise.reject(new Error('disk on fire')) } }),
      log: (level, _message, fields) => level === 'error' && errors.push(fields),
    })
    const { status, body } = await api('GET', '/me')
    expect(status).toBe(500)
    expect(body.error.code).toBe('internal_error')
    expect(JSON.stringify(body)).not.toContain('fire')
    expect(errors).toEqual([{ requestId: body.requestId, err: new Error('disk on fire') }])
  })

  test('is 404 where there is nothing, 405 with Allow where there is another method', async () => {
    const { api, url } = await serve({ tocsin: stubTocsin() })
    for (const path of ['/nothing', '/projects/p/nothing', '/Projects']) {
      const { status, body } = await api('GET', path)
      expect([status, body.error.code]).toEqual([404, 'not_found'])
    }
    expect((await fetch(`${url}/`)).status).toBe(404)

    const { status, headers, body } = await api('PUT', '/projects/p')
    expect([status, headers.get('allow')]).toEqual([405, 'GET, PATCH, DELETE'])
    expect(body.error.code).toBe('method_not_allowed')
  })

  test('of an escape in the path is 400', async () => {
    const { api } = await serve({ tocsin: stubTocsin() })
    expect((await api('GET', '/projects/%zz')).status).toBe(400)
  })
})

test('answers carry the headers that protect a browser, and no trace of the framework', async () => {
  const { api } = await serve({ tocsin: stubTocsin() })
  const { headers } = await api('GET', '/me')
  expect(Object.fromEntries(headers)).toMatchObject({
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none';frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  })
  expect(headers.has('x-powered-by')).toBe(false)
  expect(headers.has('etag')).toBe(false)
})

test('the log names route, status and key, and nothing of path or headers', async () => {
  const lines: unknown[] = []
  const { api } = await serve({
    tocsin: stubTocsin(),
    log: (level, message, fields) => lines.push({ level, message, ...fields }),
  })
  await api('GET', '/projects/a-secret-by-mistake/incidents?q=payroll')
  await expect.poll(() => lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({
    level: 'info',
    route: 'GET /projects/:project/incidents',
    status: 200,
    key: 'key-1',
  })
  expect(JSON.stringify(lines)).not.toMatch(/by-mistake|payroll|a-key-the-stub/)
})

describe('health', () => {
  test('is alive while it serves', async () => {
    const { url } = await serve({
      tocsin: stubTocsin({ isReady: async () => false }),
      isStopping: () => true,
    })
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  test.each([
    [200, undefined, () => Promise.resolve(true), false],
    [503, 'database', () => Promise.resolve(false), false],
    [503, 'database', (): Promise<boolean> => Promise.reject(new Error('gone')), false],
    [503, 'stopping', () => Promise.resolve(true), true],
  ])('is ready with %i %s', async (status, reason, isReady, stopping) => {
    const { url } = await serve({ tocsin: stubTocsin({ isReady }), isStopping: () => stopping })
    const response = await fetch(`${url}/readyz`)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject(reason === undefined ? {} : { reason })
  })
})
