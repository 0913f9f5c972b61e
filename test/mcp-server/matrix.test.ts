import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { INSTRUCTIONS } from '../../mcp-server/surface.ts'
import { tools } from '../../mcp-server/tools/index.ts'
import { type Child, inRepository, pinnedNode, startChild } from '../support/child.ts'
import { send, startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { CLIENTS, type ClientKind, connectClient, type PublicClient, type Target } from './clients.ts'

/** Ways to reach the server, each a process as users start it. */
const WAYS = ['/mcp of the server', 'HTTP process', 'stdio to the server', 'stdio on the database'] as const

let tocsin: TocsinProcess
let httpProcess: Child
let httpUrl: string

beforeAll(async () => {
  tocsin = await startTocsin()
  const source = await tocsin.createSource({ adapter: 'generic', name: 'Shop' })
  await send(source, { id: 'checkout', title: 'Checkout is down', severity: 'high' })
  httpProcess = await startChild(pinnedNode, [inRepository('mcp-server/main.ts'), '--http', '--port', '0'], {
    cwd: tocsin.dataDir,
    env: { TOCSIN_URL: tocsin.address },
  })
  httpUrl = await until('the HTTP process listens', () => /http:\S+\/mcp/.exec(httpProcess.stderr())?.[0])
})
afterAll(async () => {
  expect((await httpProcess.end('SIGTERM')).code).toBe(0)
  await tocsin.dispose()
})

function target(way: (typeof WAYS)[number]): Target {
  const { address, adminKey: key, dataDir } = tocsin
  switch (way) {
    case '/mcp of the server':
      return { kind: 'http', url: `${address}/mcp`, key }
    case 'HTTP process':
      return { kind: 'http', url: httpUrl, key }
    case 'stdio to the server':
      return { kind: 'stdio', env: { TOCSIN_URL: address, TOCSIN_API_KEY: key }, cwd: dataDir }
    case 'stdio on the database':
      return { kind: 'stdio', env: { TOCSIN_DATA_DIR: dataDir }, cwd: dataDir }
  }
}

describe.each(WAYS)('%s', (way) => {
  test.each(CLIENTS)('client %s lists, calls, reads and is told what is wrong', async (kind) => {
    const client = await connectClient(kind, target(way))
    onTestFinished(() => client.close())

    expect(client.protocol).toBe(kind === 'v2 auto' || kind === 'v2 pinned' ? '2026' : '2025')
    expect(client.instructions).toBe(INSTRUCTIONS)
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(tools.map(({ name }) => name))
    await callsAndErrors(client)
    await resourcesAndPrompts(client, kind)
    expect(client.stderr()).not.toContain('"level":"error"')
  })

  test.each(['v1', 'v2 pinned'] as const)('client %s is told what arguments have to be', async (kind) => {
    const client = await connectClient(kind, target(way))
    onTestFinished(() => client.close())
    const ask = (tool: string, args: unknown) => client.callTool(tool, args as Record<string, unknown>)

    for (const args of [[], [{ status: 'all' }], 'INC-001', '{"incidentId":"INC-001"}', 5, true]) {
      const { isError, content } = await ask('get_incident', args)
      expect([isError, content[0].text], JSON.stringify(args)).toEqual([
        true,
        '[invalid_arguments] "arguments" must be an object such as {"incidentId": …}. Correct this and call get_incident again.',
      ])
    }
    expect((await ask('list_incidents', null)).structuredContent.total).toBe(1)
    expect((await ask('get_incident', null)).content[0].text).toContain('"incidentId" is missing')
    expect((await ask('list_incidents', 'all')).content[0].text).toContain('such as {"status": …}')
  })
})

test.each(['stdio to the server', 'stdio on the database'] as const)(
  '%s: a key that is deleted meanwhile opens nothing',
  async (way) => {
    const keys = `/projects/${tocsin.projectId}/keys`
    const { key, secret } = await tocsin.api<{ key: { id: string }; secret: string }>('POST', keys, {
      name: 'short-lived',
      scopes: ['incidents:read'],
    })
    const place = target(way) as Extract<Target, { kind: 'stdio' }>
    const client = await connectClient('v1', {
      ...place,
      env: { ...place.env, TOCSIN_API_KEY: secret },
    })
    onTestFinished(() => client.close())
    const ask = () => client.callTool('list_incidents', { project: 'DEFAULT' })
    expect((await ask()).structuredContent.total).toBe(1)
    await tocsin.api('DELETE', `${keys}/${key.id}`)
    const { isError, content } = await ask()
    expect([isError, content[0].text]).toEqual([true, expect.stringMatching(/^\[unauthorized\].*unknown/)])
  },
)

const BAD_CALLS: readonly [tool: string, args: Record<string, unknown>][] = [
  ['update_incident', { incidentId: 'INC-001', action: 'note', note: '' }],
  ['update_incident', { incidentId: 'INC-001', action: 'note', note: ' \n ' }],
  ['update_incident', { incidentId: 'INC-001', action: 'note', note: 'a\0b' }],
  ['update_incident', { incidentId: 'INC-001', action: 'acknowledge', note: '' }],
  ['update_incident', { incidentId: 'INC-001', action: 'note', note: 'x'.repeat(5001) }],
  ['get_incident', { incidentId: '' }],
  ['get_incident', { incidentId: 'INC-001\0' }],
  ['get_incident', { incidentId: '../projects' }],
  ['get_incident', { incidentId: 'x'.repeat(201) }],
  ['get_incident', { incidentId: '\ud800' }],
  ['draft_postmortem', { incidentId: 'INC 001' }],
  ['list_incidents', { ids: ['INC-001', ''] }],
  ['list_incidents', { ids: ['INC-001,INC-002'] }],
  ['list_incidents', { query: '' }],
  ['list_incidents', { query: 'x'.repeat(201) }],
  ['list_incidents', { query: 'a\0b' }],
  ['list_incidents', { service: '' }],
  ['list_incidents', { service: 'a,b' }],
  ['list_incidents', { source: '' }],
  ['list_incidents', { cursor: '' }],
  ['list_incidents', { since: '' }],
  ['get_webhook_url', { source: ' ' }],
  ['get_webhook_url', { project: '' }],
  ['configure_webhook', { source: 'Sho\u200bp', provider: 'grafana' }],
  ['configure_webhook', { source: 'Shop\nfloor', provider: 'grafana' }],
  ['configure_webhook', { source: 'x'.repeat(201), provider: 'grafana' }],
  ['configure_webhook', { source: ' ', provider: 'grafana' }],
]

test('bad arguments are refused alike wherever the tools stand', async () => {
  const clients = await Promise.all(
    (['/mcp of the server', 'stdio to the server'] as const).map((way) => connectClient('v1', target(way))),
  )
  onTestFinished(() => Promise.all(clients.map((client) => client.close())).then(() => {}))
  for (const [tool, args] of BAD_CALLS) {
    const [here, there] = await Promise.all(clients.map((client) => client.callTool(tool, args)))
    expect(here.isError, JSON.stringify(args)).toBe(true)
    expect(here.content[0].text, JSON.stringify(args)).toMatch(/^\[invalid_arguments\] "/)
    expect(there).toEqual(here)
  }
})

test.each(['2025', '2026'])('a resource of several sources is told readably, %s', async (era) => {
  const names = ['First', 'Second']
  for (const name of names) await tocsin.createSource({ adapter: 'alertmanager', name: `${name} ${era}` })
  const ask = async (method: string, params: object) => {
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    const response = await fetch(`${tocsin.address}/mcp`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${tocsin.adminKey}`,
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        'MCP-Protocol-Version': era === '2026' ? '2026-07-28' : '2025-06-18',
        ...(era === '2026' && {
          'Mcp-Method': method,
          'Mcp-Name': 'name' in params ? String(params.name) : 'uri' in params ? String(params.uri) : '',
        }),
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method,
        params: { ...params, ...(era === '2026' && { _meta }) },
      }),
    })
    return JSON.parse(await response.text())
  }
  const { error } = await ask('resources/read', { uri: 'tocsin://sources/alertmanager' })
  expect(error).toMatchObject({ code: -32602, message: expect.stringContaining('Give one of these ids') })
})

async function callsAndErrors(client: PublicClient): Promise<void> {
  const list = await client.callTool('list_incidents')
  expect(list.isError).toBeFalsy()
  expect(list.structuredContent.incidents).toMatchObject([
    { reference: 'INC-001', title: 'Checkout is down' },
  ])
  expect(list.content[0].text).toContain('INC-001')

  const wrongId = await client.callTool('get_incident', { incidentId: 'INC-999' })
  expect(wrongId.isError).toBe(true)
  expect(wrongId.content[0].text).toMatch(/^\[not_found\].*INC-001/)
  const wrongArgument = await client.callTool('list_incidents', { sorce: 'x' })
  expect(wrongArgument.content[0].text).toMatch(/^\[invalid_arguments\].*Did you mean source/)
}

async function resourcesAndPrompts(client: PublicClient, kind: ClientKind): Promise<void> {
  const { resources } = await client.ask('resources/list')
  expect(resources).toMatchObject([{ name: 'INC-001' }])
  const read = await client.readResource(resources[0].uri)
  expect(read.contents[0].text).toContain('Checkout is down')
  expect((await client.readResource('tocsin://incidents/INC-001/timeline')).contents[0].text).toContain(
    'opened',
  )
  expect((await client.readResource('tocsin://sources/Shop')).contents[0].text).toContain('/generic')
  await expect(client.readResource('tocsin://incidents/INC-999')).rejects.toMatchObject({
    // The protocol's old code; the new client reads it as the new one.
    code: kind === 'v1' ? -32002 : -32602,
  })
  expect((await client.ask('resources/templates/list')).resourceTemplates).toHaveLength(4)

  const { prompts } = await client.ask('prompts/list')
  expect(prompts.map(({ name }: { name: string }) => name)).toEqual([
    'triage_active',
    'write_postmortem',
    'connect_source',
  ])
  const prompt = await client.getPrompt('write_postmortem', { incidentId: 'INC-001' })
  expect(prompt.messages[0].content.text).toContain('INC-001')
  await expect(client.getPrompt('write_postmortem', {})).rejects.toMatchObject({ code: -32602 })
  const complete = async (ref: object, argument: object) =>
    (await client.complete({ ref, argument })).completion.values
  expect(
    await complete({ type: 'ref/prompt', name: 'connect_source' }, { name: 'provider', value: 'gra' }),
  ).toEqual(['grafana', 'grafana-irm'])
  expect(
    await complete(
      { type: 'ref/resource', uri: 'tocsin://incidents/{incidentId}' },
      { name: 'incidentId', value: 'inc' },
    ),
  ).toEqual(['INC-001'])
}
