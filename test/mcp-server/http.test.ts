import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { ApiScope } from '../../core/api-types.ts'
import { createApp } from '../../ingest/app.ts'
import { tools } from '../../mcp-server/tools/index.ts'
import { ADMIN_KEY, MINUTE, type TestProject, testTocsin } from '../core/open-test-tocsin.ts'
import { inRepository, pinnedNode, startChild, startNpm } from '../support/child.ts'
import { until } from '../support/until.ts'

const t = testTocsin('sqlite')

async function serve(): Promise<{ port: number }> {
  const app = createApp({
    tocsin: t.tocsin,
    config: { trustProxy: [] },
    hosts: ['tocsin.example'],
    log: () => {},
  })
  const server = createServer(app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { port: (server.address() as AddressInfo).port }
}

/** A request as bytes, so that any Host can be sent. */
async function raw(
  port: number,
  head: string,
  body = '',
): Promise<{ status: number; head: string; body: string }> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`)
  const answer = await text(socket)
  const [answerHead = '', ...rest] = answer.split('\r\n\r\n')
  return { status: Number(answerHead.split(' ')[1]), head: answerHead, body: rest.join('\r\n\r\n') }
}

const LIST = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} })

function post(port: number, headers: Record<string, string>, body = LIST) {
  const all: Record<string, string> = {
    Host: `127.0.0.1:${port}`,
    Authorization: `Bearer ${ADMIN_KEY}`,
    'Content-Type': 'application/json',
    Accept: 'application/json, text/event-stream',
    ...headers,
  }
  const lines = Object.entries(all).filter(([, value]) => value !== '')
  return raw(
    port,
    ['POST /mcp HTTP/1.1', ...lines.map(([name, value]) => `${name}: ${value}`)].join('\r\n'),
    body,
  )
}

describe('who may come', () => {
  test.each([
    ['localhost', 200],
    ['127.0.0.1:9999', 200],
    ['[::1]:80', 200],
    ['tocsin.example', 200],
    ['evil.example', 403],
    ['127.0.0.1.evil.example', 403],
    ['tocsin.example.evil.example', 403],
    ['169.254.1.1', 403],
  ])('called as %s: %i', async (host, status) => {
    const { port } = await serve()
    expect((await post(port, { Host: host })).status).toBe(status)
  })

  test.each([
    ['http://localhost:3000', 200],
    ['https://tocsin.example', 200],
    ['https://evil.example', 403],
    ['null', 403],
    ['file://', 403],
  ])('a page of %s: %i', async (origin, status) => {
    const { port } = await serve()
    expect((await post(port, { Origin: origin })).status).toBe(status)
  })

  test('without a valid key it is 401 and says how, whatever else is sent', async () => {
    const { port } = await serve()
    for (const authorization of [
      '',
      'Bearer',
      'Bearer wrong',
      `Basic ${btoa(`x:${ADMIN_KEY}`)}`,
      ADMIN_KEY,
    ]) {
      const answer = await post(port, { Authorization: authorization })
      expect(answer.status).toBe(401)
      expect(answer.head).toMatch(/^WWW-Authenticate: Bearer realm="tocsin"/im)
      expect(answer.body).not.toContain(ADMIN_KEY)
    }
    const twice = await post(port, {
      Authorization: `Bearer ${ADMIN_KEY}\r\nAuthorization: Bearer ${ADMIN_KEY}`,
    })
    expect(twice.status).toBe(401)
    const inQuery = await raw(port, `POST /mcp?key=${ADMIN_KEY} HTTP/1.1\r\nHost: localhost`, LIST)
    expect(inQuery.status).toBe(401)
  })

  test('other methods are 405 with Allow; too much is 413; no JSON is refused', async () => {
    const { port } = await serve()
    for (const method of ['GET', 'DELETE', 'PUT']) {
      const answer = await raw(
        port,
        `${method} /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ADMIN_KEY}`,
      )
      expect([answer.status, answer.head]).toEqual([405, expect.stringMatching(/^Allow: POST$/im)])
    }
    expect((await post(port, {}, `"${'x'.repeat(1024 * 1024 + 1)}"`)).status).toBe(413)
    expect((await post(port, {}, '{')).status).toBe(400)
    expect((await post(port, { 'Content-Type': 'text/plain' })).status).toBe(415)
  })
})

/** What each tool needs, and a call of it that succeeds with that. */
const CALLS: Record<string, { scopes: ApiScope[]; args: object }> = {
  get_webhook_url: { scopes: ['sources:read'], args: {} },
  configure_webhook: { scopes: ['sources:read', 'sources:write'], args: { source: 'grafana' } },
  list_incidents: { scopes: ['incidents:read'], args: {} },
  get_incident: { scopes: ['incidents:read'], args: { incidentId: 'INC-001' } },
  update_incident: { scopes: ['incidents:write'], args: { incidentId: 'INC-001', action: 'acknowledge' } },
  draft_postmortem: { scopes: ['incidents:read'], args: { incidentId: 'INC-001' } },
}

describe.each(tools.map(({ name }) => name))('%s', (name) => {
  const { scopes, args } = CALLS[name]!
  let project: TestProject
  beforeAll(async () => {
    project = await t.project()
    await (await project.source()).send({ id: 'a', title: 'A' })
  })

  async function ask(key: string, method: string, params: object) {
    const { port } = await serve()
    const answer = await fetch(`http://127.0.0.1:${port}/mcp`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${key}`,
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    })
    // biome-ignore lint/suspicious/noExplicitAny: an answer in a test is looked into by hand
    return { status: answer.status, result: ((await answer.json()) as any).result }
  }
  const call = (key: string) => ask(key, 'tools/call', { name, arguments: args })
  const listed = async (key: string) =>
    (await ask(key, 'tools/list', {})).result.tools.map((tool: { name: string }) => tool.name)
  const keyOf = async (...given: ApiScope[]) =>
    (await t.admin.createKey(project.id, { name: 'k', scopes: given })).secret

  test('is listed and works with its scopes', async () => {
    const key = await keyOf(...scopes)
    expect(await listed(key)).toContain(name)
    const { result } = await call(key)
    expect(result.isError, JSON.stringify(result)).toBeUndefined()
  })

  test.each(scopes)('is neither listed nor run without %s', async (scope) => {
    const others: ApiScope[] = [
      'incidents:read',
      'incidents:write',
      'sources:read',
      'sources:write',
      'secrets:read',
    ]
    const key = await keyOf(...others.filter((one) => one !== scope))
    expect(await listed(key)).not.toContain(name)
    const before = await t.tables()
    const { result } = await call(key)
    expect(result.content[0].text).toMatch(new RegExp(`^\\[forbidden\\].*${scope}`))
    const after = await t.tables()
    for (const table of ['source', 'source_credential', 'incident', 'timeline_entry']) {
      expect(after.get(table)).toEqual(before.get(table))
    }
  })

  test('is 401 with a key that is unknown, deleted or expired', async () => {
    expect((await call('unknown')).status).toBe(401)
    const { key, secret } = await t.admin.createKey(project.id, { name: 'gone', scopes: ['admin'] })
    await t.admin.deleteKey(project.id, key.id)
    expect((await call(secret)).status).toBe(401)
    const short = await t.admin.createKey(project.id, {
      name: 's',
      scopes: ['admin'],
      expiresAt: t.clock.at(MINUTE),
    })
    t.clock.pass(2 * MINUTE)
    expect((await call(short.secret)).status).toBe(401)
  })
})

test('an HTTP process that others can reach does not start without a server whose keys are valid', async () => {
  const child = await startChild(
    pinnedNode,
    [inRepository('mcp-server/main.ts'), '--http', '--host', '0.0.0.0', '--port', '0'],
    { cwd: inRepository('test'), env: {} },
  )
  expect((await child.exited).code).toBe(1)
  expect(child.stderr()).toContain('TOCSIN_URL is not set')
  expect(child.stdout()).toBe('')
})

test('a stop of npm is one of the HTTP process it started', async () => {
  const { npm, end } = startNpm(['run', 'mcp', '--', '--http', '--port', '0'], {
    PATH: process.env.PATH,
    TOCSIN_URL: 'http://127.0.0.1:1',
  })
  onTestFinished(end)
  let said = ''
  npm.stderr!.setEncoding('utf8').on('data', (chunk) => {
    said += chunk
  })
  const url = await until('it listens', () => /http:\S+\/mcp/.exec(said)?.[0])
  npm.kill('SIGTERM')
  await expect
    .poll(() => fetch(url).catch(({ cause }) => cause.code), { timeout: 20_000 })
    .toBe('ECONNREFUSED')
})
