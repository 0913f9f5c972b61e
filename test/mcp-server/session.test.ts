import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inRepository, pinnedNode, startChild } from '../support/child.ts'
import { send, startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { connectClient } from './clients.ts'

test('an assistant sets Grafana up, sees an outage, drafts its post-mortem and acknowledges', async () => {
  const tocsin = await startTocsin()
  const client = await connectClient('v2 auto', {
    kind: 'stdio',
    env: { TOCSIN_URL: tocsin.address, TOCSIN_API_KEY: tocsin.adminKey },
    cwd: tocsin.dataDir,
  })
  try {
    const call = async (name: string, args: Record<string, unknown> = {}) => {
      const result = await client.callTool(name, args)
      expect(result.isError, result.content[0].text).toBeFalsy()
      return result.structuredContent
    }

    const made = await call('configure_webhook', { source: 'grafana' })
    expect(made).toMatchObject({ created: true, secretState: 'pending_reveal' })
    const [{ url }] = (await call('get_webhook_url', { source: 'grafana' })).webhooks
    // The user runs the command the assistant passes on; the secret goes from the terminal into Grafana.
    const id = made.revealCommand.split(' ').at(-1)
    const terminal = await startChild(pinnedNode, [inRepository('mcp-server/secret.ts'), 'reveal', id], {
      cwd: tocsin.dataDir,
      env: { TOCSIN_URL: tocsin.address, TOCSIN_API_KEY: tocsin.adminKey },
    })
    await terminal.exited
    const secret = terminal.stdout().trim().split('\n').at(-1)!

    const firing = body('firing')
    expect((await send({ url, secret }, firing)).status).toBe(200)
    const { incidents } = await call('list_incidents')
    expect(incidents).toHaveLength(1)
    const { incidentId } = incidents[0]
    const [alert] = firing.alerts
    const [firstDay, firstClock] = new Date(alert!.startsAt).toISOString().slice(0, 19).split('T')
    expect(firstDay).toBe('2026-04-01')
    const during = await call('draft_postmortem', { incidentId })
    await expectTrue(during.markdown)
    expect(
      (await call('update_incident', { incidentId, action: 'acknowledge', note: 'On it.' })).incident.status,
    ).toBe('acknowledged')
    expect((await send({ url, secret }, body('resolved'))).body.outcome).toBe('resolved')
    expect((await call('list_incidents')).incidents).toBeUndefined()

    const draft = await call('draft_postmortem', { incidentId })
    await expectTrue(draft.markdown)
    expect(draft.markdown).toContain('On it.')
    const seen = await call('get_incident', { incidentId })
    expect(seen.incident.status).toBe('resolved')
    expect(draft.facts).toMatchObject({
      startedAt: seen.incident.startedAt,
      resolvedAt: seen.incident.resolvedAt,
    })
    expect(Date.parse(draft.facts.startedAt)).toBe(Date.parse(firing.alerts[0]!.startsAt))

    /** When it began and what was measured stand there, and every id it cites is one of the incident's. */
    async function expectTrue(markdown: string) {
      expect(markdown).toContain(`${firstDay} ${firstClock}`)
      expect(markdown).toContain(`: ${alert!.values.A} was measured`)
      const incident = `/projects/${tocsin.projectId}/incidents/${incidentId}`
      const { events } = await tocsin.api<{ events: { id: string }[] }>('GET', `${incident}/events`)
      const { timeline } = await tocsin.api<{ timeline: { id: string }[] }>('GET', `${incident}/timeline`)
      const known = new Set([...events, ...timeline].map(({ id }) => id))
      const cited = markdown.match(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g) ?? []
      expect(cited.length).toBeGreaterThan(1)
      expect(cited.filter((one) => !known.has(one))).toEqual([])
    }

    const { toolCalls } = await tocsin.api<{ toolCalls: { tool: string; outcome: string }[] }>(
      'GET',
      `/projects/${tocsin.projectId}/audit`,
    )
    expect(toolCalls.map(({ tool }) => tool).reverse()).toEqual([
      'configure_webhook',
      'get_webhook_url',
      'list_incidents',
      'draft_postmortem',
      'update_incident',
      'list_incidents',
      'draft_postmortem',
      'get_incident',
    ])
    expect(toolCalls.every(({ outcome }) => outcome === 'ok')).toBe(true)
    expect(client.stderr() + tocsin.stderr() + tocsin.stdout()).not.toContain(secret)
  } finally {
    await client.close()
    await tocsin.dispose()
  }
})

/** A body as Grafana sends it. */
function body(name: string): { alerts: { startsAt: string; values: Record<string, number> }[] } {
  return JSON.parse(readFileSync(inRepository(`test/payloads/grafana/${name}.json`), 'utf8'))
}

test('over stdio on the local database the model of the settings writes, and a guessed address is told', async () => {
  const tocsin = await startTocsin()
  let asked = 0
  const model = createServer((_req, res) => {
    asked += 1
    res.writeHead(400).end()
  })
  await once(model.listen(0, '127.0.0.1'), 'listening')
  const { port } = model.address() as AddressInfo
  const client = await connectClient('v2 auto', {
    kind: 'stdio',
    env: {
      TOCSIN_DATA_DIR: tocsin.dataDir,
      TOCSIN_LLM_BASE_URL: `http://127.0.0.1:${port}/v1`,
      TOCSIN_LLM_MODEL: 'small',
    },
    cwd: tocsin.dataDir,
  })
  try {
    const made = await client.callTool('configure_webhook', { source: 'grafana' })
    expect(made.content[0].text).toContain('is a guess')
    expect(made.content[0].text).not.toContain('TOCSIN_URL=')
    const { incident } = await tocsin.api<{ incident: { id: string } }>(
      'POST',
      `/projects/${tocsin.projectId}/incidents`,
      { title: 'Checkout is slow' },
    )
    const draft = await client.callTool('draft_postmortem', { incidentId: incident.id })
    expect(draft.isError, draft.content[0].text).toBeFalsy()
    expect(asked).toBeGreaterThan(0)
  } finally {
    await client.close()
    model.close()
    await tocsin.dispose()
  }
})

test('a process over stdio ends cleanly when its client goes away, and at SIGTERM', async () => {
  const tocsin = await startTocsin()
  try {
    const start = (script: string) =>
      startChild('/bin/sh', ['-c', script, pinnedNode, inRepository('mcp-server/main.ts')], {
        cwd: tocsin.dataDir,
        env: { TOCSIN_DATA_DIR: tocsin.dataDir },
      })
    const gone = await start('exec "$0" "$1" </dev/null')
    expect([(await gone.exited).code, gone.stdout(), gone.stderr()]).toEqual([0, '', ''])

    // Opened for both, a pipe never ends; its one line is answered first.
    const ping =
      '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}'
    const script = `mkfifo pipe && exec 3<>pipe && echo '${ping}' >&3 && exec "$0" "$1" <&3`
    const stopped = await start(script)
    await until('it answers', () => stopped.stdout().includes('"serverInfo"'))
    expect(await stopped.end('SIGTERM')).toEqual({ code: 0, signal: null })
    expect(stopped.stdout().trim().split('\n')).toHaveLength(1)
    expect(stopped.stderr()).toBe('')
  } finally {
    await tocsin.dispose()
  }
})

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 'first',
  method: 'initialize',
  params: {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 't', version: '1' },
  },
}
const callOf = (id: number, meta?: object) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'list_incidents', arguments: {}, ...(meta && { _meta: meta }) },
})
const MODERN = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
}

describe('what is piped into a process over stdio', () => {
  let tocsin: TocsinProcess
  beforeAll(async () => {
    tocsin = await startTocsin()
  })
  afterAll(() => tocsin.dispose())

  /** Ids of the answers, in order of asking, and the answers. */
  async function pipe(lines: readonly (object | string)[], env: Record<string, string>) {
    const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')
    const child = await startChild(
      '/bin/sh',
      ['-c', `printf '%s\\n' "$LINES_IN" | "$0" "$1"`, pinnedNode, inRepository('mcp-server/main.ts')],
      { cwd: tocsin.dataDir, env: { ...env, LINES_IN: text } },
    )
    const { code } = await child.exited
    expect([code, child.stderr()]).toEqual([0, ''])
    return child
      .stdout()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: unknown; result?: { isError?: boolean } })
  }

  test.each(['2025', '2026'])('is all answered before it ends, %s', async (era) => {
    const env = { TOCSIN_URL: tocsin.address, TOCSIN_API_KEY: tocsin.adminKey }
    const calls = [1, 2, 3].map((id) => callOf(id, era === '2026' ? MODERN : undefined))
    for (const way of [env, { TOCSIN_DATA_DIR: tocsin.dataDir }]) {
      const answers = await pipe(era === '2025' ? [INITIALIZE, ...calls] : calls, way)
      const ids = answers.map(({ id }) => id)
      expect(ids.sort()).toEqual([1, 2, 3, ...(era === '2025' ? ['first'] : [])])
      for (const { result } of answers) expect(result?.isError).toBeFalsy()
    }
  })

  test.each([
    ['a ping', { jsonrpc: '2.0', id: 0, method: 'ping' }, [0]],
    ['no message', 'garbage', []],
    ['an empty line', '', []],
  ])('may begin with %s', async (_, first, answered) => {
    const env = { TOCSIN_DATA_DIR: tocsin.dataDir }
    const old = await pipe([first, INITIALIZE, callOf(1)], env)
    expect(old.map(({ id }) => id).sort()).toEqual([...answered, 1, 'first'])
    const modern = await pipe([first, callOf(1, MODERN)], env)
    expect(modern.map(({ id }) => id).sort()).toEqual([...answered, 1])
    for (const { result } of [...old, ...modern]) expect(result).toBeDefined()
  })
})
