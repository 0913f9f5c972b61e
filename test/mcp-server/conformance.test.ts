import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type RequestListener, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApp } from '../../ingest/app.ts'
import { type Eras, guardedHandler } from '../../mcp-server/http.ts'
import { ADMIN_KEY, testTocsin } from '../core/open-test-tocsin.ts'
import { type Child, inRepository, pinnedNode, startChild } from '../support/child.ts'
import { scratchDir } from '../support/scratch.ts'
import { createFixture2025 } from './conformance/fixture-2025.ts'
import { createFixture2026 } from './conformance/fixture-2026.ts'

const TOOLS = inRepository('test/mcp-server/tools/node_modules')
const areThere = existsSync(TOOLS)
/** The last release, and the only line that knows 2026-07-28; both pinned in tools/package.json. */
const SUITE = { '0.1.16': 'conformance-2025', '0.2.0-alpha.12': 'conformance-2026' }

// Apart from the workspace, since they weigh 150 MB: npm run test:mcp installs them.
test.runIf(process.env.CI === 'true')('the official suites are installed in CI', () => {
  expect(areThere).toBe(true)
})

describe.skipIf(!areThere)(
  'official conformance suites (left out unless npm run test:mcp has installed them)',
  () => {
    const t = testTocsin('sqlite')
    const stops: (() => void)[] = []
    let product: string
    let fixture: string
    let cwd: Awaited<ReturnType<typeof scratchDir>>

    beforeAll(async () => {
      cwd = await scratchDir()
      product = await listen(createApp({ tocsin: t.tocsin, config: { trustProxy: [] }, log: () => {} }))
      const eras: Eras = {
        methods: ['POST', 'GET', 'DELETE'],
        legacy: createFixture2025(),
        modern: createFixture2026(),
      }
      const handle = guardedHandler(
        { authenticate: async (key) => (key === ADMIN_KEY ? t.admin : undefined), hosts: [], log: () => {} },
        eras,
      )
      fixture = await listen((req, res) => void handle(req, res))
    })
    afterAll(() => {
      for (const stop of stops) stop()
      cwd.remove()
    })

    async function listen(listener: RequestListener): Promise<string> {
      const server = createServer(listener)
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      const front = createServer((req, res) => withKey(port, req, res))
      front.listen(0, '127.0.0.1')
      await once(front, 'listening')
      stops.push(() => {
        for (const one of [front, server]) {
          one.close()
          one.closeAllConnections()
        }
      })
      return `http://127.0.0.1:${(front.address() as AddressInfo).port}/mcp`
    }

    /** The suites know no keys: what stands before the server adds one, and changes nothing else. */
    const withKey = (port: number, ...[req, res]: Parameters<RequestListener>) => {
      const headers = { ...req.headers, authorization: `Bearer ${ADMIN_KEY}` }
      const onward = request(
        { host: '127.0.0.1', port, method: req.method, path: req.url, headers },
        (answer) => {
          res.writeHead(answer.statusCode ?? 502, answer.headers)
          answer.pipe(res)
        },
      )
      onward.on('error', () => res.destroy())
      res.on('close', () => onward.destroy())
      req.pipe(onward)
    }

    async function run(suite: keyof typeof SUITE, url: string, ...args: string[]): Promise<string> {
      const child: Child = await startChild(
        pinnedNode,
        [`${TOOLS}/${SUITE[suite]}/dist/index.js`, 'server', '--url', url, ...args],
        { cwd: cwd.path },
      )
      const { code } = await child.exited
      const output = child.stdout() + child.stderr()
      // What failed stands at the end; before it, a line per message.
      expect(code, output.slice(-4_000)).toBe(0)
      return output
    }

    test.each([
      'server-initialize',
      'ping',
      'tools-list',
      'resources-list',
      'prompts-list',
      'dns-rebinding-protection',
    ])('the product passes %s of 0.1.16', async (scenario) => {
      expect(await run('0.1.16', product, '--scenario', scenario)).toMatch(
        /Passed: (\d+)\/\1, 0 failed, 0 warnings/,
      )
    })

    test.each([
      'tools-list',
      'resources-list',
      'prompts-list',
      'dns-rebinding-protection',
      'sep-2164-resource-not-found',
      'caching',
      'http-header-validation',
    ])('the product passes %s of 0.2.0-alpha.12 at 2026-07-28', async (scenario) => {
      const output = await run(
        '0.2.0-alpha.12',
        product,
        '--scenario',
        scenario,
        '--spec-version',
        '2026-07-28',
      )
      expect(output).toMatch(/Passed: (\d+)\/\1, 0 failed, 0 warnings/)
    })

    test('all scenarios of 0.1.16 pass on the same transport', async () => {
      expect(await run('0.1.16', fixture)).toMatch(/\d+ passed, 0 failed/)
    }, 180_000)

    test.each(['2025-11-25', '2026-07-28'])(
      'all that %s requires passes on the same transport',
      async (revision) => {
        const output = await run('0.2.0-alpha.12', fixture, '--requirements', revision)
        expect(output).toMatch(/Total: \d+ passed/)
      },
      240_000,
    )
  },
)
