import { randomBytes } from 'node:crypto'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ApiEndpoint, ApiMessage, ApiRequest } from '@tocsin/core'
import { expect, onTestFinished, test } from 'vitest'
import { databaseKinds, freshDatabase } from '../support/databases.ts'
import { reading } from '../support/reading.ts'
import { openReceiver } from '../support/receiver.ts'
import { startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'

// The processes of compose.yaml, on this machine and with a proxy of our own.

const ALERTS = 240
const AT_ONCE = 8

test.runIf(databaseKinds.includes('postgres'))(
  'two that receive and two that send: each alert is delivered once, though one of each is killed meanwhile',
  { timeout: 240_000 },
  async () => {
    const { ingest, workers } = await startTopology()
    const proxy = await openProxy(ingest.map(({ address }) => address))
    const { url, received } = await openReceiver()
    const [first] = ingest
    const project = `/projects/${first!.projectId}`
    const { endpoint } = await first!.api<{ endpoint: ApiEndpoint }>('POST', `${project}/endpoints`, { url })
    const source = await first!.createSource({ adapter: 'generic', settings: { grouping: 'signal' } })
    const path = new URL(source.url).pathname

    let next = 0
    const taken = new Set<number>()
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (next < ALERTS) {
          const n = next++
          if (n === ALERTS / 3) await ingest[1]!.kill()
          if (n === (2 * ALERTS) / 3) await workers[1]!.kill()
          // As a sender does: again, until it is told that it is kept.
          await until(`alert ${n} is taken`, async () => {
            const response = await fetch(proxy + path, {
              method: 'POST',
              headers: { 'Content-Type': 'application/json', 'X-Webhook-Secret': source.secret! },
              body: JSON.stringify({ id: `alert-${n}`, title: `Alert ${n}` }),
            })
            expect([200, 502, 503]).toContain(response.status)
            return response.status === 200
          })
          taken.add(n)
        }
      }),
    )
    expect(taken.size).toBe(ALERTS)

    // What the killed one was sending goes out again when its lease has ended, a minute later.
    await until('everything is delivered', () => deliveredIds().size === ALERTS, { withinMs: 120_000 })
    const messages = await allMessages(first!, `${project}/endpoints/${endpoint.id}/messages`)
    // So does what had arrived, but was not noted down yet.
    await until(
      'everything is known to be',
      async () =>
        (await allMessages(first!, `${project}/endpoints/${endpoint.id}/messages`)).every(
          ({ status }) => status === 'delivered',
        ),
      { withinMs: 120_000 },
    )
    expect(new Set(messages.map(({ id }) => id))).toEqual(deliveredIds())
    // Once but for what the worker had on its way when it was killed; those carry the same id.
    expect(received.length - deliveredIds().size).toBeLessThanOrEqual(5)

    const { incidents, requests } = reading(first!)
    const opened = await incidents()
    expect(new Set(opened.map(({ title }) => title)).size).toBe(ALERTS)
    expect(opened.every(({ eventCount }) => eventCount === 1)).toBe(true)
    // The proxy is trusted to say who it speaks for.
    const lines: ApiRequest[] = await requests()
    expect(new Set(lines.map(({ ip }) => ip))).toEqual(new Set([SENDER]))

    function deliveredIds(): Set<string> {
      return new Set(received.map(({ headers }) => String(headers['webhook-id'])))
    }
  },
)

async function startTopology(): Promise<{ ingest: TocsinProcess[]; workers: TocsinProcess[] }> {
  const database = await freshDatabase('postgres')
  onTestFinished(() => database.dispose())
  const shared = {
    TOCSIN_SECRET_KEY: randomBytes(32).toString('base64'),
    TOCSIN_ADMIN_KEY: randomBytes(24).toString('hex'),
    TOCSIN_TRUST_PROXY: '127.0.0.1/32',
    TOCSIN_ALLOW_PRIVATE_TARGETS: '127.0.0.0/8',
  }
  const start = async (role: string) => {
    const tocsin = await startTocsin({ databaseUrl: database.url, env: { ...shared, TOCSIN_ROLE: role } })
    onTestFinished(() => tocsin.dispose())
    return tocsin
  }
  const ingest = [await start('ingest'), await start('ingest')]
  return { ingest, workers: [await start('worker'), await start('worker')] }
}

/** Whom the proxy says it speaks for. */
const SENDER = '203.0.113.7'

/** Hands requests on in turn; one that cannot be reached is passed over, one that breaks off is a 502. */
async function openProxy(targets: readonly string[]): Promise<string> {
  let turn = 0
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => forward(targets.length))

    function forward(tries: number): void {
      const { hostname, port } = new URL(targets[turn++ % targets.length]!)
      const headers = { ...req.headers, 'x-forwarded-for': SENDER }
      const outgoing = request({ hostname, port, method: req.method, path: req.url, headers }, (incoming) => {
        res.writeHead(incoming.statusCode!, incoming.headers)
        incoming.on('error', () => res.destroy()).pipe(res)
      })
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        if (res.headersSent) res.destroy()
        else if (error.code === 'ECONNREFUSED' && tries > 1) forward(tries - 1)
        else res.writeHead(502).end()
      })
      outgoing.end(Buffer.concat(chunks))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function allMessages(tocsin: TocsinProcess, path: string): Promise<ApiMessage[]> {
  const found: ApiMessage[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: { messages: ApiMessage[]; nextCursor: string | null } = await tocsin.api(
      'GET',
      `${path}?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    found.push(...page.messages)
    cursor = page.nextCursor
  }
  return found
}
