import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tools } from '../../mcp-server/tools/index.ts'
import { inRepository, pinnedNode, startChild } from '../support/child.ts'
import { send, startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'

const INSPECTOR = inRepository(
  'test/mcp-server/tools/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js',
)
const isThere = existsSync(INSPECTOR)

/** A call of each tool, in an order that works. */
const CALLS: Record<string, string[]> = {
  get_webhook_url: ['source=generic', 'format=setup'],
  configure_webhook: ['source=grafana', 'severityDefault=high'],
  list_incidents: ['status=all', 'limit=5'],
  get_incident: ['incidentId=INC-001'],
  update_incident: ['incidentId=INC-001', 'action=acknowledge'],
  draft_postmortem: ['incidentId=INC-001', 'template=brief'],
}

// Apart from the workspace, since it weighs 150 MB: npm run test:mcp installs it.
test.runIf(process.env.CI === 'true')('the official inspector is installed in CI', () => {
  expect(isThere).toBe(true)
})

describe.skipIf(!isThere)('official inspector (left out unless npm run test:mcp has installed it)', () => {
  let tocsin: TocsinProcess
  let config: string
  beforeAll(async () => {
    tocsin = await startTocsin()
    const source = await tocsin.createSource({ adapter: 'generic', name: 'Shop' })
    await send(source, { id: 'checkout', title: 'Checkout is down' })
    config = join(tocsin.dataDir, 'mcp.json')
    const servers = {
      http: {
        type: 'streamable-http',
        url: `${tocsin.address}/mcp`,
        headers: { Authorization: `Bearer ${tocsin.adminKey}` },
      },
      stdio: {
        type: 'stdio',
        command: pinnedNode,
        args: [inRepository('mcp-server/main.ts')],
        env: { TOCSIN_URL: tocsin.address, TOCSIN_API_KEY: tocsin.adminKey },
      },
    }
    writeFileSync(config, JSON.stringify({ mcpServers: servers }))
  })
  afterAll(() => tocsin.dispose())

  async function inspect(...args: string[]) {
    const child = await startChild(
      pinnedNode,
      [INSPECTOR, '--cli', '--config', config, ...args, '--format', 'json'],
      {
        cwd: tocsin.dataDir,
        env: { HOME: tocsin.dataDir, MCP_INSPECTOR_SECRET_STORE: 'memory' },
      },
    )
    const { code } = await child.exited
    return { code, stdout: child.stdout(), stderr: child.stderr() }
  }

  describe.each(['http', 'stdio'])('over %s', (server) => {
    test.each(['legacy', 'modern'])(
      'lists every tool in the %s era, strictly, without a warning',
      async (era) => {
        const { code, stdout, stderr } = await inspect(
          ...['--server', server, '--protocol-era', era, '--method', 'tools/list', '--strict'],
        )
        // Without what it says of its own store.
        const warnings = stderr
          .split('\n')
          .filter((line) => line !== '' && !line.startsWith('[mcp-inspector]'))
        expect([code, warnings]).toEqual([0, []])
        const listed = JSON.parse(stdout).result.tools as { name: string }[]
        expect(listed.map(({ name }) => name)).toEqual(tools.map(({ name }) => name))
      },
    )
  })

  test.each(Object.entries(CALLS))('calls %s', async (name, args) => {
    const { code, stdout } = await inspect(
      ...['--server', 'http', '--protocol-era', 'modern', '--method', 'tools/call', '--tool-name', name],
      ...args.flatMap((arg) => ['--tool-arg', arg]),
    )
    expect([code, JSON.parse(stdout).result.isError], stdout).toEqual([0, undefined])
  })

  test('calls every tool there is', () => {
    expect(Object.keys(CALLS)).toEqual(tools.map(({ name }) => name))
  })
})
