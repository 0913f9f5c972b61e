import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { PassThrough } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { mcpHandler } from '../../mcp-server/http.ts'
import { serveStdio } from '../../mcp-server/stdio.ts'
import { ADMIN_KEY, testTocsin } from '../core/open-test-tocsin.ts'
import { surfaceOfAll } from './harness.ts'

const t = testTocsin('sqlite')

type Era = '2025' | '2026'
type Ask = (method: string, params: unknown) => Promise<{ id: unknown; error?: unknown; result?: unknown }>

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
}
const message = (era: Era, id: number, method: string, params: unknown) => {
  const isObject = typeof params === 'object' && params !== null && !Array.isArray(params)
  return {
    jsonrpc: '2.0',
    id,
    method,
    params: era === '2026' && isObject ? { ...params, _meta: META } : params,
  }
}

async function overHttp(era: Era): Promise<Ask> {
  const handle = mcpHandler({
    authenticate: async () => t.admin,
    hosts: [],
    log: () => {},
  })
  const server = createServer((req, res) => void handle(req, res))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return async (method, params) => {
    const { name, uri } = Object(params) as { name?: unknown; uri?: unknown }
    const response = await fetch(`http://127.0.0.1:${port}/mcp`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${ADMIN_KEY}`,
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        'MCP-Protocol-Version': era === '2026' ? '2026-07-28' : '2025-11-25',
        ...(era === '2026' && { 'Mcp-Method': method, 'Mcp-Name': String(name ?? uri ?? '') }),
      },
      body: JSON.stringify(message(era, 7, method, params)),
    })
    return JSON.parse(await response.text())
  }
}

async function overStdio(era: Era): Promise<Ask> {
  const [input, output] = [new PassThrough(), new PassThrough()]
  const lines = createInterface({ input: output })
  const send = (one: object) => input.write(`${JSON.stringify(one)}\n`)
  const served = serveStdio(surfaceOfAll(t), input, output)
  onTestFinished(async () => {
    input.end()
    await (await served).stop()
  })
  const hello =
    era === '2025'
      ? message(era, 1, 'initialize', {
          protocolVersion: '2025-11-25',
          capabilities: {},
          clientInfo: { name: 't', version: '1' },
        })
      : message(era, 1, 'tools/list', {})
  send(hello)
  await once(lines, 'line')
  if (era === '2025') send({ jsonrpc: '2.0', method: 'notifications/initialized' })
  return async (method, params) => {
    // Listened for first: an answer may be there at once.
    const answered = once(lines, 'line')
    send(message(era, 7, method, params))
    const [line] = await answered
    return JSON.parse(line as string)
  }
}

const WRONG: [method: string, params: unknown, says: string][] = [
  ['tools/call', undefined, '"params.name" is missing: give the name of a tool that tools/list shows.'],
  [
    'tools/call',
    { arguments: {} },
    '"params.name" is missing: give the name of a tool that tools/list shows.',
  ],
  [
    'tools/call',
    { name: 5 },
    '"params.name" must be a string, but is a number: give the name of a tool that tools/list shows.',
  ],
  ['tools/call', ['list_incidents'], '"params" must be an object such as {"name": …}, but is a list.'],
  [
    'prompts/get',
    { arguments: {} },
    '"params.name" is missing: give the name of a prompt that prompts/list shows.',
  ],
  [
    'prompts/get',
    { name: 'write_postmortem', arguments: { incidentId: 5 } },
    'The argument "incidentId" must be a string, but is a number: write it in quotation marks.',
  ],
  [
    'prompts/get',
    { name: 'write_postmortem', arguments: { incidentId: null } },
    'The argument "incidentId" must be a string, but is null: write it in quotation marks.',
  ],
  [
    'prompts/get',
    { name: 'write_postmortem', arguments: 'INC-001' },
    '"params.arguments" must be an object of strings such as {"incidentId": "INC-042"}, but is a string.',
  ],
  ['resources/read', {}, '"params.uri" is missing: give an address such as tocsin://incidents/INC-042.'],
  [
    'resources/read',
    { uri: { id: 'INC-001' } },
    '"params.uri" must be a string, but is an object: give an address such as tocsin://incidents/INC-042.',
  ],
]

describe.each(['2025', '2026'] as const)('a client of %s', (era) => {
  test.each([
    ['HTTP', overHttp],
    ['stdio', overStdio],
  ] as const)('over %s is told which parameter is wrong, and what to give', async (_, connect) => {
    const ask = await connect(era)
    for (const [method, params, says] of WRONG) {
      const message = `${says} Correct this and send ${method} again.`
      const error = { code: -32602, message }
      expect(await ask(method, params)).toEqual({ jsonrpc: '2.0', id: 7, error })
    }
    // Nothing else is in the way of what is right.
    const { result } = await ask('resources/read', { uri: 'tocsin://templates/postmortem/brief' })
    expect(result).toMatchObject({ contents: [{ text: expect.stringContaining('## Summary') }] })
  })
})
