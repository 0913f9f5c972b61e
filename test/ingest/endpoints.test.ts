import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MESSAGE_TYPES, type OpenedTocsin, openTocsin } from '@tocsin/core'
import { beforeEach, describe, expect, test } from 'vitest'
import { messageBody, messageExample } from '../../ingest/message-schema.ts'
import { type ApiAnswer, serve } from './serve.ts'
import { stubTocsin } from './stub-tocsin.ts'

const ADMIN_KEY = 'an-admin-key-of-our-own-making'

let tocsin: OpenedTocsin
let base: string

beforeEach(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'tocsin-'))
  tocsin = await openTocsin({
    databaseUrl: `sqlite:${join(dir, 'tocsin.db')}`,
    secretKey: Buffer.alloc(32, 1),
    publicUrl: 'http://127.0.0.1:4117',
    defaultPlan: 'unlimited',
    adminKey: ADMIN_KEY,
    role: 'ingest',
    resolve: async (name) => (name === 'inside.example' ? ['10.0.0.5'] : ['93.184.215.14']),
  })
  base = `/projects/${tocsin.firstStart!.projectId}`
  return async () => {
    await tocsin.close()
    rmSync(dir, { recursive: true })
  }
})

async function open() {
  const { api, url } = await serve({ tocsin })
  const call = (method: string, path: string, body?: unknown, key = ADMIN_KEY): Promise<ApiAnswer> =>
    api(method, path.startsWith('/projects') ? path : `${base}${path}`, body, {
      Authorization: `Bearer ${key}`,
    })
  return { call, url }
}

describe('endpoints', () => {
  test('creating is idempotent by URL; the secret is shown once', async () => {
    const { call } = await open()
    const first = await call('POST', '/endpoints', {
      url: 'https://example.com/hook',
      severities: ['critical'],
    })
    expect(first.status).toBe(201)
    expect(first.body.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(first.body.endpoint).toMatchObject({
      events: ['incident.opened', 'incident.acknowledged', 'incident.resolved'],
      policy: 'standard-3d',
      severities: ['critical'],
      signature: null,
      enabled: true,
    })
    const again = await call('POST', '/endpoints', { url: 'https://EXAMPLE.com:443/hook', policy: 'once' })
    expect(again).toMatchObject({
      status: 200,
      body: { secret: null, endpoint: { id: first.body.endpoint.id } },
    })
    expect(again.body.endpoint.policy).toBe('standard-3d')
    expect((await call('GET', '/endpoints')).body.endpoints).toHaveLength(1)
  })

  test('the secret is masked for a key that may not read secrets', async () => {
    const { call } = await open()
    const made = await call('POST', '/endpoints', { url: 'https://example.com/hook' })
    const key = await call('POST', '/keys', { name: 'r', scopes: ['endpoints:read'] })
    const path = `/endpoints/${made.body.endpoint.id}`
    expect((await call('GET', path)).body.endpoint.secret).toBe(made.body.secret)
    expect((await call('GET', path, undefined, key.body.secret)).body.endpoint.secret).toBe('********')
    expect((await call('PATCH', path, { enabled: false }, key.body.secret)).status).toBe(403)
  })

  test('the preset is the header and the retries of that sender; what stands beside it wins', async () => {
    const { call } = await open()
    const made = await call('POST', '/endpoints', { url: 'https://example.com/a', preset: 'uptimera' })
    expect(made.body.endpoint).toMatchObject({
      policy: 'uptimera-30m',
      signature: { header: 'X-Uptimera-Signature', format: 'hex' },
    })
    const other = await call('POST', '/endpoints', {
      url: 'https://example.com/b',
      preset: 'uptimera',
      policy: 'runframe-2h',
    })
    expect(other.body.endpoint.policy).toBe('runframe-2h')
  })

  test.each([
    ['http://example.com/', /https/],
    ['https://127.0.0.1/', /TOCSIN_ALLOW_PRIVATE_TARGETS/],
    ['https://2130706433/', /TOCSIN_ALLOW_PRIVATE_TARGETS/],
    ['https://[::ffff:10.0.0.5]/', /TOCSIN_ALLOW_PRIVATE_TARGETS/],
    ['https://169.254.169.254/', /never sent to/],
    ['https://inside.example/', /resolves to an address that is not public\. [^0-9]*$/],
    ['https://user:pass@example.com/', /user and password/],
    ['not a url', /whole address/],
  ])('%s is refused on create and on edit', async (url, message) => {
    const { call } = await open()
    const created = await call('POST', '/endpoints', { url })
    expect(created).toMatchObject({ status: 400, body: { error: { code: 'invalid_request' } } })
    expect(created.body.error.message).toMatch(message)
    const made = await call('POST', '/endpoints', { url: 'https://example.com/' })
    const edited = await call('PATCH', `/endpoints/${made.body.endpoint.id}`, { url })
    expect(edited.body.error.message).toMatch(message)
  })

  test.each([
    [{ signature: { header: 'Webhook-Id', format: 'hex' } }, /signature\.header/],
    [{ signature: { header: 'Host', format: 'hex' } }, /signature\.header/],
    [{ signature: { header: 'X\r\nY', format: 'hex' } }, /header/],
    [{ signature: { header: 'X Y', format: 'hex' } }, /header/],
    [{ labels: JSON.parse('{"team":"a","__proto__":"b"}') }, /labels\.__proto__/],
    [{ sources: ['no-source'] }, /sources: "no-source" is no source of this project/],
    [{ secret: 'too short' }, /whsec_/],
    [{ events: ['incident.deleted'] }, /events/],
    [{ headers: {} }, /headers/],
  ])('%j is refused', async (more, message) => {
    const { call } = await open()
    const answer = await call('POST', '/endpoints', { url: 'https://example.com/', ...more })
    expect(answer.status).toBe(400)
    expect(answer.body.error.message).toMatch(message)
  })

  test.each(['Date', 'accept', 'Accept-Encoding', '__proto__', 'X:Y', 'TE', 'Via'])(
    'a signature in the header %s is refused',
    async (header) => {
      const { call } = await open()
      const answer = await call('POST', '/endpoints', {
        url: 'https://example.com/',
        signature: { header, format: 'hex' },
      })
      expect(answer.status).toBe(400)
      expect(answer.body.error.message).toMatch(/signature\.header/)
    },
  )

  test('a filter takes a source of the project, and labels by any other name', async () => {
    const { call } = await open()
    const { source } = (await call('POST', '/sources', { adapter: 'generic' })).body
    const made = await call('POST', '/endpoints', { url: 'https://example.com/', sources: [source.id] })
    expect(made.body.endpoint.sources).toEqual([source.id])
    const path = `/endpoints/${made.body.endpoint.id}`
    const edited = await call('PATCH', path, { labels: { constructor: 'a', toString: 'b' } })
    expect(edited.body.endpoint.labels).toEqual({ constructor: 'a', toString: 'b' })
    expect((await call('PATCH', path, { sources: [source.id, 'no-source'] })).status).toBe(400)
  })

  test('a new host gets a new secret, a new path does not', async () => {
    const { call } = await open()
    const made = await call('POST', '/endpoints', { url: 'https://example.com/a' })
    const path = `/endpoints/${made.body.endpoint.id}`
    expect((await call('PATCH', path, { url: 'https://example.com/b' })).body).not.toHaveProperty('secret')
    const moved = await call('PATCH', path, { url: 'https://other.example/b' })
    expect(moved.body.secret).not.toBe(made.body.secret)
    expect((await call('GET', path)).body.endpoint.secret).toBe(moved.body.secret)
  })

  test('one URL belongs to one endpoint', async () => {
    const { call } = await open()
    await call('POST', '/endpoints', { url: 'https://example.com/a' })
    const made = await call('POST', '/endpoints', { url: 'https://example.com/b' })
    const answer = await call('PATCH', `/endpoints/${made.body.endpoint.id}`, {
      url: 'https://example.com/a',
    })
    expect(answer.status).toBe(409)
  })

  test('the plan free has none', async () => {
    const { call } = await open()
    const made = await call('POST', '/endpoints', { url: 'https://example.com/a' })
    await call('PATCH', base, { plan: 'free' })
    for (const [method, path, body] of [
      ['POST', '/endpoints', { url: 'https://example.com/b' }],
      ['PATCH', `/endpoints/${made.body.endpoint.id}`, { enabled: true }],
    ] as const) {
      expect((await call(method, path, body)).body.error.code).toBe('plan_required')
    }
    await call('POST', '/incidents', { title: 'Down' })
    expect((await call('GET', `/endpoints/${made.body.endpoint.id}/messages`)).body.messages).toEqual([])
  })

  test('what is deleted is gone, with its messages', async () => {
    const { call } = await open()
    const made = await call('POST', '/endpoints', { url: 'https://example.com/a' })
    const path = `/endpoints/${made.body.endpoint.id}`
    await call('POST', '/incidents', { title: 'Down' })
    const [message] = (await call('GET', `${path}/messages`)).body.messages
    expect((await call('DELETE', path)).status).toBe(204)
    for (const [method, gone] of [
      ['GET', path],
      ['DELETE', path],
      ['GET', `${path}/messages`],
      ['POST', `${path}/replay`],
      ['GET', `/messages/${message.id}`],
      ['POST', `/messages/${message.id}/replay`],
    ] as const) {
      expect(await call(method, gone), gone).toMatchObject({
        status: 404,
        body: {
          error: { code: 'not_found', message: expect.stringMatching(/^(endpoint|message): no such/) },
        },
      })
    }
    // Its address is free for a new one.
    expect((await call('POST', '/endpoints', { url: 'https://example.com/a' })).status).toBe(201)
  })

  test('messages of an endpoint that is off are not replayed; the refusal says what to do', async () => {
    const { call } = await open()
    const made = await call('POST', '/endpoints', { url: 'https://example.com/a' })
    const path = `/endpoints/${made.body.endpoint.id}`
    await call('POST', '/incidents', { title: 'Down' })
    const [message] = (await call('GET', `${path}/messages`)).body.messages
    await call('PATCH', path, { enabled: false })
    for (const replay of [`${path}/replay`, `/messages/${message.id}/replay`, `${path}/test`]) {
      expect(await call('POST', replay), replay).toMatchObject({
        status: 409,
        body: { error: { code: 'conflict', message: expect.stringContaining('{"enabled": true}') } },
      })
    }
  })

  test('messages are searched by status, type and time', async () => {
    const { call } = await open()
    const made = await call('POST', '/endpoints', { url: 'https://example.com/a' })
    const list = `/endpoints/${made.body.endpoint.id}/messages`
    const { incident } = (await call('POST', '/incidents', { title: 'Down' })).body
    await call('POST', `/incidents/${incident.id}/resolve`, {})
    const found = async (query: string) =>
      (await call('GET', `${list}?${query}`)).body.messages.map(({ type }: { type: string }) => type)
    expect(await found('type=incident.opened,incident.acknowledged')).toEqual(['incident.opened'])
    expect(await found('status=pending,failed&since=2026-01-01T00:00:00Z')).toHaveLength(2)
    expect(await found('until=2026-01-01T00:00:00Z')).toEqual([])
    for (const wrong of ['type=incident.deleted', 'since=yesterday', 'status=done', 'order=asc']) {
      const answer = await call('GET', `${list}?${wrong}`)
      expect(answer.status, wrong).toBe(400)
      expect(answer.body.error.message).toContain(wrong.split('=')[0])
    }
  })

  test('another project sees neither endpoint nor message', async () => {
    const { call } = await open()
    const made = await call('POST', '/endpoints', { url: 'https://example.com/a' })
    await call('POST', '/incidents', { title: 'Down' })
    const [message] = (await call('GET', `/endpoints/${made.body.endpoint.id}/messages`)).body.messages
    const other = (await call('POST', '/projects', { name: 'other' })).body.project.id
    for (const [method, path] of [
      ['GET', `/endpoints/${made.body.endpoint.id}`],
      ['DELETE', `/endpoints/${made.body.endpoint.id}`],
      ['GET', `/endpoints/${made.body.endpoint.id}/messages`],
      ['POST', `/endpoints/${made.body.endpoint.id}/test`],
      ['POST', `/endpoints/${made.body.endpoint.id}/rotate`],
      ['POST', `/endpoints/${made.body.endpoint.id}/replay`],
      ['GET', `/messages/${message.id}`],
      ['POST', `/messages/${message.id}/replay`],
    ] as const) {
      expect((await call(method, `/projects/${other}${path}`)).status, path).toBe(404)
    }
  })
})

describe('the schema of each message', () => {
  test('is listed, with the address it is at and when such a message is sent', async () => {
    const { url } = await serve({ tocsin: stubTocsin() })
    const response = await fetch(`${url}/api/v1/schemas`)
    expect(response.status).toBe(200)
    const { schemas } = (await response.json()) as {
      schemas: { type: string; description: string; url: string }[]
    }
    expect(schemas.map(({ type }) => type)).toEqual(MESSAGE_TYPES)
    for (const one of schemas) {
      const schema = await (await fetch(url + one.url)).json()
      expect(schema).toMatchObject({ title: one.type, description: one.description })
    }
  })

  test.each(MESSAGE_TYPES)('%s is published with an example that fits it', async (type) => {
    const { url } = await serve({ tocsin: stubTocsin() })
    const response = await fetch(`${url}/api/v1/schemas/${type}.json`)
    expect(response.status).toBe(200)
    const schema = (await response.json()) as { examples: unknown[]; properties: object }
    expect(schema.examples).toEqual([messageExample(type)])
    expect(messageBody(type).parse(schema.examples[0])).toEqual(schema.examples[0])
    expect(schema).toMatchObject({ title: type, properties: { type: { const: type } } })
  })

  test('an unknown one is 404', async () => {
    const { url } = await serve({ tocsin: stubTocsin() })
    expect((await fetch(`${url}/api/v1/schemas/incident.deleted.json`)).status).toBe(404)
  })
})
