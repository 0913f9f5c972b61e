import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import {
  type ApiEndpoint,
  type ApiIncident,
  type ApiKey,
  type ApiMessage,
  type ApiProject,
  type ApiSource,
  adapters,
  SCOPES,
} from '@tocsin/core'
import pg from 'pg'
import { afterAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { withHook } from '../chaos/fault.ts'
import { bodiesOf, type Outgoing, sendAs } from '../fuzz/send-as.ts'
import { connectClient } from '../mcp-server/clients.ts'
import { inRepository, pinnedNode, startChild } from '../support/child.ts'
import { type DatabaseKind, databaseKinds } from '../support/databases.ts'
import { startDumpable } from '../support/dumpable-postgres.ts'
import { printFigure } from '../support/figure.ts'
import { secretFinder } from '../support/find-secrets.ts'
import { freshPostgres, freshSqlite } from '../support/fresh-database.ts'
import { holdSqlite } from '../support/hold-sqlite.ts'
import { seeded } from '../support/random.ts'
import { openReceiver } from '../support/receiver.ts'
import { scratchDir } from '../support/scratch.ts'
import { startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'

/** What can be put into a header and an address, and looks different in each writing. */
const MARKS = '/+&=%'
/**
 * Lines of the log that this life does not see: a day has to pass for the first, the SDK of MCP has to fail for the next,
 * and for the last a question that was answered a moment ago. None of them is given more than an error.
 */
const UNSEEN = [
  'endpoint has not taken a message for a day',
  'mcp request failed',
  'mcp request refused',
  'it is not known whether the first start was shown',
]
/** What no endpoint may have. */
const REFUSED_URL = 'ftp://127.0.0.1/hook'
/** More than a backup of it holds as text. */
const UNPACK = { maxBuffer: 256 * 1024 * 1024 }

const server = databaseKinds.includes('postgres') ? await startDumpable() : undefined
afterAll(() => server?.stop())
const serverUrl = server?.url ?? inject('postgresUrl')

describe.each(databaseKinds)('a whole life on %s', { timeout: 240_000 }, (kind) => {
  test('leaves every secret out of logs, database, backup, answers, messages and the words of a crash', async () => {
    const secrets = new Map<string, string | Uint8Array>()
    const remember = (name: string, value: string) => {
      expect(value.length, name).toBeGreaterThanOrEqual(20)
      secrets.set(name, value)
      return value
    }
    const canary = (name: string) => remember(name, `canary${MARKS}${randomBytes(12).toString('hex')}`)

    /** Everything that anybody but the owner of a secret may read, by where it was read. */
    const seen: [where: string, bytes: Uint8Array][] = []
    const see = (where: string, what: unknown) =>
      seen.push([
        where,
        Buffer.from(what instanceof Uint8Array || typeof what === 'string' ? what : JSON.stringify(what)),
      ])

    const model = await openModel()
    const scratch = await scratchDir()
    onTestFinished(scratch.remove)
    const failing = join(scratch.path, 'failing')
    /** While nothing fails on purpose, no answer may tell of a fault. */
    let mostStatus = 499
    /** Runs this while statements like that fail. */
    const whileFailing = async (pattern: string, run: () => Promise<unknown>) => {
      writeFileSync(failing, pattern)
      await run()
      rmSync(failing)
    }
    const masterKey = randomBytes(32)
    secrets.set('master key', masterKey)
    remember('master key as text', masterKey.toString('base64'))
    const database = await openOwnDatabase(kind, canary('database password'))
    const env = {
      TOCSIN_ADMIN_KEY: canary('admin key'),
      TOCSIN_SECRET_KEY: masterKey.toString('base64'),
      TOCSIN_LOG_LEVEL: 'debug',
      TOCSIN_LLM_BASE_URL: model.url,
      TOCSIN_LLM_MODEL: 'small',
      TOCSIN_LLM_API_KEY: canary('key of the model'),
      CHAOS_FAILING: failing,
      NODE_OPTIONS: `${withHook('failing-statements', {}).NODE_OPTIONS} --import ${CRASH_ON_SIGNAL}`,
    }
    // That the first start was shown cannot be noted down.
    writeFileSync(failing, 'delete from "setting" where "name" = [?$]')
    const tocsin = await startTocsin({ databaseUrl: database.url, env })
    onTestFinished(() => tocsin.dispose())
    await until('it says so', () => tocsin.stderr().includes('the first start stays to be shown'))
    rmSync(failing)
    const { project } = await tocsin.api<{ project: ApiProject }>('POST', '/projects', { name: 'Canaries' })
    const base = `/projects/${project.id}`
    const { secret: keySecret } = await tocsin.api<{ key: ApiKey; secret: string }>('POST', `${base}/keys`, {
      name: 'reader',
      scopes: SCOPES.filter((scope) => scope !== 'admin' && scope !== 'secrets:read'),
    })
    const key = remember('API key', keySecret)

    // One that takes everything, one that fails and says back all it was sent.
    const good = await openReceiver()
    const endpoints: ApiEndpoint[] = []
    for (const url of [good.url, await openEcho(500)]) await createEndpoint(url)

    const random = seeded(23)
    for (const { slug } of adapters) {
      const source = await createSource(slug)
      await sendEverything(source)
      await misplace(source)
      const secret =
        source.isToken || source.needsHex ? undefined : canary(`new secret of ${slug}`).replaceAll('%', '')
      const rotated = await tocsin.api<{ source: ApiSource; secret?: string }>(
        'POST',
        `${base}/sources/${source.id}/rotate`,
        { overlapMinutes: 60, ...(secret !== undefined && { secret }) },
      )
      const next = { ...source, url: rotated.source.url, secret: rotated.secret }
      remember(`new secret of ${slug}`, next.secret ?? next.url.split('/').at(-1)!)
      // The old one in its overlap, then the new one.
      await sendEverything(source, 1)
      await sendEverything(next, 1)
      await tocsin.call('POST', `${base}/sources/${source.id}/test`)
    }

    const { incidents } = await tocsin.api<{ incidents: ApiIncident[] }>('GET', `${base}/incidents?limit=100`)
    const incident = `${base}/incidents/${incidents[0]!.id}`
    // All else that a send can fail of; not sooner, since a few messages say it all.
    for (const how of [302, 410, 'broken'] as const) await createEndpoint(await openEcho(how))
    await createEndpoint(good.url.replace('http:', 'https:'))
    await createEndpoint('http://127.0.0.1:1/hook')
    await tocsin.api('POST', `${incident}/acknowledge`)
    for (const endpoint of endpoints) {
      await tocsin.call('POST', `${base}/endpoints/${endpoint.id}/test`)
    }
    await until('every endpoint was sent to', async () => {
      const tried = await Promise.all(
        endpoints.map(async ({ id }) => {
          const found = await tocsin.api<{ endpoint: ApiEndpoint }>('GET', `${base}/endpoints/${id}`)
          return found.endpoint.counters.attempts > 0
        }),
      )
      return tried.every(Boolean)
    })
    expect(good.received.length).toBeGreaterThan(0)
    await writePostmortems()
    await callTools()
    await refuseCallers()
    await failEverywhere()
    await startWrong()
    await readEverything()

    if (kind === 'sqlite' || server) {
      const file = join(tocsin.dataDir, '..', 'backup')
      const backup = await startChild(pinnedNode, [inRepository('ingest/backup.ts'), file], {
        cwd: join(tocsin.dataDir, '..'),
        env: { ...env, TOCSIN_DATA_DIR: tocsin.dataDir, DATABASE_URL: database.url },
      })
      expect((await backup.exited).code, backup.stderr()).toBe(0)
      see('backup', readFileSync(file))
      see('what backup says', backup.stdout() + backup.stderr())
      if (kind === 'postgres') {
        // What it holds is packed.
        const unpacked = execFileSync(join(server!.programs, 'pg_restore'), ['-f', '-', file], UNPACK)
        expect(unpacked.includes('COPY public.hook_request')).toBe(true)
        see('backup, unpacked', unpacked)
      }
    }
    // Before the end: a database that is closed has no WAL.
    for (const [where, bytes] of await database.everything(tocsin)) see(where, bytes)

    process.kill(tocsin.pid, 'SIGUSR2')
    await until('it has crashed', () => tocsin.stderr().includes('"crashed"'))
    logLines(tocsin)
    await tocsin.restart()
    see('a later start', tocsin.stdout())
    await until('it answers again', async () => (await tocsin.call('GET', '/me')).status === 200)
    await stopInVain()
    logLines(tocsin)
    for (const [where, bytes] of await database.everything(tocsin)) see(`${where} at the end`, bytes)
    for (const { body, headers } of good.received) see('a message', { body, headers })
    for (const prompt of model.prompts) see('a prompt', prompt)

    expect(model.prompts.length).toBeGreaterThan(0)
    expect(seen.length).toBeGreaterThan(100)
    const logged = Buffer.concat(seen.map(([, bytes]) => bytes)).toString('utf8')
    const unseen = LOG_LINES.filter((line) => !logged.includes(`"msg":${JSON.stringify(line)}`))
    expect(unseen.toSorted()).toEqual(UNSEEN.toSorted())
    const find = secretFinder(secrets)
    const leaks = seen.flatMap(([where, bytes]) =>
      find(bytes).map(({ secret, form }) => `${where}: ${secret} as ${form}`),
    )
    expect([...new Set(leaks)]).toEqual([])
    const kilobytes = Math.round(seen.reduce((sum, [, bytes]) => sum + bytes.length, 0) / 1024)
    printFigure(`${secrets.size} secrets in ${kilobytes} kB of ${seen.length} places on ${kind}: 0 found`)

    // ---- what the life is made of ----

    async function createEndpoint(url: string): Promise<void> {
      const given = `whsec_${randomBytes(24).toString('base64')}`
      const made = await tocsin.api<{ endpoint: ApiEndpoint; secret: string }>('POST', `${base}/endpoints`, {
        url,
        secret: remember(`secret of ${url}`, given),
        signature: { header: 'X-Uptimera-Signature', format: 'hex' },
      })
      secrets.set(`bytes of the secret of ${url}`, Buffer.from(given.slice('whsec_'.length), 'base64'))
      endpoints.push(made.endpoint)
      const rotated = await tocsin.api<{ secret: string }>(
        'POST',
        `${base}/endpoints/${made.endpoint.id}/rotate`,
        {},
      )
      remember(`new secret of ${url}`, rotated.secret)
    }

    interface Canary {
      id: string
      slug: string
      url: string
      secret: string | undefined
      isToken: boolean
      needsHex: boolean
    }

    async function createSource(adapter: string): Promise<Canary> {
      const known = adapters.find(({ slug }) => slug === adapter)!
      const isToken = known.defaults.address === 'token'
      const needsHex = known.dropIn !== undefined
      const { source, secret } = await tocsin.api<{ source: ApiSource; secret?: string }>(
        'POST',
        `${base}/sources`,
        { adapter, ...(!isToken && !needsHex && { secret: canary(`secret of ${adapter}`) }) },
      )
      remember(`secret of ${adapter}`, secret ?? source.url.split('/').at(-1)!)
      return { id: source.id, slug: adapter, url: source.url, secret, isToken, needsHex }
    }

    async function sendEverything({ slug, url, secret }: Canary, most?: number): Promise<void> {
      for (const body of bodiesOf(slug, project.id, secret).slice(0, most))
        await post(sendAs(slug, { url, secret }, body, random))
      await post(sendAs(slug, { url, secret }, Buffer.from('{"broken":'), random))
    }

    /** The right secret where it does not belong, or more often than it may come. */
    async function misplace(source: Canary): Promise<void> {
      const secret = source.secret ?? source.url.split('/').at(-1)!
      const [body] = bodiesOf(source.slug, project.id, secret)
      const sent = sendAs(source.slug, source, body!, random)
      const address = `/api/v1/webhooks/${project.id}`
      const encoded = encodeURIComponent(secret)
      const others: Partial<Outgoing>[] = [
        ...['secret', 'token', 'hook', 'x'].map((name) => ({ target: `${sent.target}?${name}=${encoded}` })),
        { target: `${sent.target}/${encoded}` },
        { target: `/webhooks/${encoded}` },
        { target: `/api/webhooks/${source.slug}/${encoded}` },
        { target: `${address}/${encoded}` },
        { target: `${address}/generic?title=${encoded}` },
        ...[
          'authorization',
          'x-api-key',
          'x-webhook-secret',
          'user-agent',
          'x-webhook-id',
          'ce-id',
          'cookie',
        ].map((name) => ({ headers: { ...sent.headers, [name]: `Bearer ${secret}` } })),
        {
          headers: {
            'content-type': 'application/json',
            'user-agent': secret,
            'sentry-hook-resource': secret,
          },
        },
        {
          headers: {
            ...sent.headers,
            authorization: `Basic ${Buffer.from(`u:${secret}`).toString('base64')}`,
          },
        },
        { body: Buffer.from(JSON.stringify({ title: 'A slip', id: 'slip', note: secret })) },
      ]
      for (const other of others) await post({ ...sent, ...other })
    }

    async function post({ method, target, headers, body }: Outgoing): Promise<void> {
      const response = await fetch(tocsin.address + target, {
        method,
        headers,
        ...(method === 'POST' && { body: Uint8Array.from(body) }),
      })
      expect(response.status, await response.clone().text()).toBeLessThanOrEqual(mostStatus)
      see('an answer to a webhook', `${JSON.stringify([...response.headers])}${await response.text()}`)
    }

    async function writePostmortems(): Promise<void> {
      for (const how of MODEL_ANSWERS) {
        model.answers = how
        see('a post-mortem', (await tocsin.call('POST', `${incident}/postmortem`, {})).body)
      }
      const markdown = await fetch(`${tocsin.address}/api/v1${incident}/postmortem?format=markdown`, {
        headers: { Authorization: `Bearer ${key}` },
      })
      see('an export', await markdown.text())
    }

    async function callTools(): Promise<void> {
      const client = await connectClient('v2 auto', { kind: 'http', url: `${tocsin.address}/mcp`, key })
      see('tools', await client.listTools())
      for (const { slug } of adapters) {
        see('a tool', await client.callTool('get_webhook_url', { source: slug, format: 'setup' }))
        see('a tool', await client.callTool('configure_webhook', { source: slug, severityDefault: 'low' }))
      }
      see('a tool', await client.callTool('list_incidents', { status: 'all' }))
      see('a tool', await client.callTool('draft_postmortem', { incidentId: incidents[0]!.reference }))
      for (const what of ['resources/list', 'resources/templates/list', 'prompts/list'] as const) {
        see(what, await client.ask(what))
      }
      await client.close()
    }

    /** Right keys in wrong places, and wrong keys. */
    async function refuseCallers(): Promise<void> {
      const admin = env.TOCSIN_ADMIN_KEY
      const tries: [string, Record<string, string>][] = [
        [`/api/v1/me?api_key=${encodeURIComponent(admin)}`, {}],
        [
          `/api/v1${base}/incidents?q=x&token=${encodeURIComponent(admin)}`,
          { authorization: `Bearer ${key}` },
        ],
        [`/api/v1/projects/${encodeURIComponent(admin)}`, { authorization: `Bearer ${key}` }],
        [`/${encodeURIComponent(admin)}`, {}],
        ['/api/v1/me', { authorization: `Basic ${Buffer.from(admin).toString('base64')}` }],
        ['/api/v1/me', { authorization: `Bearer ${admin} ${key}` }],
        ['/api/v1/me', { 'x-api-key': admin }],
        // Of the headers that name a host fetch sends only this one as given.
        ['/mcp', { authorization: `Bearer ${admin}`, origin: `https://x.example/${admin}` }],
        ['/mcp', { authorization: `Bearer ${admin}x` }],
      ]
      for (const [path, headers] of tries) {
        for (const method of ['GET', 'POST']) {
          const response = await fetch(tocsin.address + path, { method, headers })
          see('a refusal', `${JSON.stringify([...response.headers])}${await response.text()}`)
        }
      }
    }

    /** The database fails in the middle of everything, as a whole and statement by statement. */
    async function failEverywhere(): Promise<void> {
      mostStatus = 503
      // One whose secret is in a header, one that signs, one of a drop-in, one whose address is the secret.
      const dropIn = adapters.find((adapter) => adapter.dropIn)!
      const atToken = adapters.find(({ defaults }) => defaults.address === 'token')!
      const sources: Canary[] = []
      for (const slug of ['generic', 'sentry', dropIn.slug, atToken.slug])
        sources.push(await createSource(slug))
      const sendAll = async (most = sources.length) => {
        for (const source of sources.slice(0, most)) {
          await sendEverything(source, 1)
          await misplace(source)
        }
      }
      await whileFailing('.', () => sendAll())
      await whileFailing('insert .*into "event"', () => sendAll())
      await whileFailing('insert .*into "hook_request"', async () => {
        await sendAll(1)
        await until('strangers were not noted', () =>
          tocsin.stderr().includes('"a rejection was not logged"'),
        )
      })
      const comeBack = await database.goAway()
      await sendAll(2)
      await refuseCallers()
      await comeBack()
      mostStatus = 499
      await until('it is back', async () => (await tocsin.call('GET', '/me')).status === 200)

      const write = async (body: unknown) => {
        const response = await fetch(`${tocsin.address}/api/v1${base}/endpoints`, {
          method: 'POST',
          headers: {
            Authorization: `Bearer ${key}`,
            'Content-Type': 'application/json',
            'Idempotency-Key': randomBytes(8).toString('hex'),
          },
          body: JSON.stringify(body),
        })
        see('an answer to a write', `${JSON.stringify([...response.headers])}${await response.text()}`)
      }
      const secret = remember('secret of a write', `whsec_${randomBytes(24).toString('base64')}`)
      const given = { url: 'http://127.0.0.1:1/kept', secret }
      await whileFailing('"endpoint"', () => write(given))
      await whileFailing('update "idempotency"', () => write({ ...given, secret: undefined }))
      await whileFailing('delete from "idempotency" where "key" =', () =>
        write({ ...given, url: REFUSED_URL }),
      )
      await whileFailing('"(incident|source)"', refuseCallers)

      const client = await connectClient('v2 auto', { kind: 'http', url: `${tocsin.address}/mcp`, key })
      const callAll = async () => {
        for (const more of [{}, { nothing: secret }]) {
          see('a tool', await client.callTool('list_incidents', { status: 'all', ...more }))
          see('a tool', await client.callTool('configure_webhook', { source: 'generic', ...more }))
        }
      }
      await whileFailing('"(incident|source|audit)"', callAll)
      await client.close()

      await whileFailing('.', () =>
        until('it has said what waits', () =>
          ['sending waits', 'work by the clock waits'].every((line) => tocsin.stderr().includes(line)),
        ),
      )
    }

    /** A stop in the middle of a send that can neither be noted down nor given back. */
    async function stopInVain(): Promise<void> {
      const silent = await openReceiver(() => new Promise(() => {}))
      const made = await tocsin.api<{ endpoint: ApiEndpoint; secret: string }>('POST', `${base}/endpoints`, {
        url: silent.url,
      })
      remember('secret of the silent one', made.secret)
      await tocsin.api('POST', `${base}/endpoints/${made.endpoint.id}/test`)
      await until('it is being sent', () => silent.received.length > 0)
      await whileFailing('update "message"', async () => {
        expect(await tocsin.stop()).toEqual({ code: 1, signal: null })
      })
    }

    /** Starts that must fail. */
    async function startWrong(): Promise<void> {
      const wrong: Record<string, string>[] = [
        { TOCSIN_SECRET_KEY: randomBytes(32).toString('base64') },
        { TOCSIN_SECRET_KEY: `${env.TOCSIN_SECRET_KEY}x` },
        { TOCSIN_ADMIN_KEY: `${env.TOCSIN_ADMIN_KEY} ä` },
        { TOCSIN_LLM_BASE_URL: `http://${encodeURIComponent(env.TOCSIN_LLM_API_KEY)}@127.0.0.1/v1` },
        ...database.wrongUrls.map((url) => ({ DATABASE_URL: url })),
      ]
      for (const one of wrong) {
        const child = await startChild(pinnedNode, [inRepository('ingest/main.ts')], {
          cwd: join(tocsin.dataDir, '..'),
          env: {
            ...env,
            TOCSIN_PORT: '0',
            TOCSIN_DATA_DIR: tocsin.dataDir,
            DATABASE_URL: database.url,
            ...one,
          },
        })
        expect((await child.exited).code, Object.keys(one).join()).toBe(1)
        see(`a start with a wrong ${Object.keys(one)}`, child.stdout() + child.stderr())
      }
    }

    /** Every GET of the API, as somebody who may read everything but secrets. */
    async function readEverything(): Promise<void> {
      const get = async (path: string) => {
        const response = await fetch(`${tocsin.address}${path}`, {
          headers: { Authorization: `Bearer ${key}` },
        })
        const body = await response.text()
        see(`GET ${path.replaceAll(/[0-9a-f-]{36}/g, '…')}`, body)
        return { status: response.status, body }
      }
      const list = async <T>(path: string, name: string): Promise<T[]> => {
        const found: T[] = []
        for (let cursor: string | null = ''; cursor !== null; ) {
          const { body } = await get(`${path}?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)
          const page = JSON.parse(body)
          found.push(...page[name])
          cursor = page.nextCursor
        }
        return found
      }
      const api = `/api/v1${base}`
      const messages: ApiMessage[] = []
      for (const { id } of endpoints)
        messages.push(...(await list<ApiMessage>(`${api}/endpoints/${id}/messages`, 'messages')))
      const ids: Record<string, string[]> = {
        project: [project.id],
        source: (await list<ApiSource>(`${api}/sources`, 'sources')).map(({ id }) => id),
        incident: incidents.map(({ id }) => id),
        request: (await list<{ id: string }>(`${api}/requests`, 'requests'))
          .slice(0, 100)
          .map(({ id }) => id),
        endpoint: endpoints.map(({ id }) => id),
        message: messages.slice(0, 50).map(({ id }) => id),
      }
      const { paths } = JSON.parse((await get('/api/v1/openapi.json')).body) as {
        paths: Record<string, Record<string, unknown>>
      }
      const readable = Object.keys(paths).filter((path) => paths[path]!.get && path.includes('{project}'))
      expect(readable.length).toBeGreaterThan(12)
      for (const template of readable) {
        const name = template.replace('{project}', project.id).match(/\{(\w+)\}/)?.[1]
        const path = template.replace('{project}', project.id)
        for (const id of name === undefined ? [''] : (ids[name] ?? [])) {
          const { status } = await get(path.replace(`{${name}}`, id))
          expect([200, 403, 404], template).toContain(status)
        }
      }
      for (const path of ['/metrics', '/healthz', '/readyz', '/api/v1/me']) await get(path)
    }

    function logLines(process: TocsinProcess): void {
      const lines = process
        .stderr()
        .split('\n')
        .filter((line) => line !== '')
      for (const line of lines) expect(() => JSON.parse(line), line).not.toThrow()
      see('the log', process.stderr())
    }
  })
})

test('a secret is found however it is written', () => {
  const find = secretFinder(new Map([['it', 'a/secret+of=many&marks']]))
  const it = 'a/secret+of=many&marks'
  for (const [form, text] of [
    ['itself', `x${it}y`],
    ['URL', `?q=${encodeURIComponent(it)}`],
    ['hex', Buffer.from(`user:${it}`).toString('hex')],
    ['base64', Buffer.from(it).toString('base64')],
    ['base64', Buffer.from(`u:${it}, and more`).toString('base64')],
    ['base64', Buffer.from(`user:${it}.`).toString('base64')],
    ['base64url', Buffer.from(`use:${it}.`).toString('base64url')],
  ]) {
    expect(find(Buffer.from(text!)), text).toContainEqual({ secret: 'it', form })
  }
  expect(find(Buffer.from('nothing of it'))).toEqual([])
})

/** Whatever the process writes to its log, by the source. */
const LOG_LINES = [
  ...new Set(
    globSync(['core/**/*.ts', 'ingest/**/*.ts', 'mcp-server/**/*.ts'], {
      cwd: inRepository(''),
      exclude: ['**/node_modules/**'],
    }).flatMap((file) =>
      Array.from(
        readFileSync(inRepository(file), 'utf8').matchAll(/\blog\(\s*'\w+',\s*'([^']+)'/g),
        ([, line]) => line!,
      ),
    ),
  ),
]

/** On a signal it throws what nobody catches, with all its settings hung on it as libraries do. */
const CRASH_ON_SIGNAL = `data:text/javascript,${encodeURIComponent(`
  process.on('SIGUSR2', () => {
    const cause = Object.assign(new Error('for a test'), { detail: JSON.stringify(process.env) })
    throw Object.assign(new Error('made to crash', { cause }), { body: process.env, config: { ...process.env } })
  })`)}`

interface OwnDatabase {
  url: string
  /** Addresses that do not open it. */
  wrongUrls: string[]
  /** It takes nothing more, in one of the ways databases have; the answer gives it back. */
  goAway(): Promise<() => Promise<void>>
  /** All it holds, by where. */
  everything(tocsin: TocsinProcess): Promise<[string, Uint8Array][]>
}

/** A database whose password is the one given; a file has none, but an address that is tried in vain may. */
async function openOwnDatabase(kind: DatabaseKind, password: string): Promise<OwnDatabase> {
  const { url, dispose } = await (kind === 'sqlite' ? freshSqlite() : freshPostgres(serverUrl!))
  if (kind === 'sqlite') {
    onTestFinished(dispose)
    const path = url.slice('sqlite:'.length)
    return {
      url,
      wrongUrls: ['postgres://', 'postgres:/'].map(
        (begin) => `${begin}tocsin:${encodeURIComponent(password)}@127.0.0.1:1/tocsin`,
      ),
      goAway: async () => {
        const release = holdSqlite(path)
        return async () => release()
      },
      everything: async () =>
        ['', '-wal', '-shm']
          .map((suffix) => path + suffix)
          .filter((file) => existsSync(file))
          .map((file): [string, Uint8Array] => [`the file ${file.replace(path, '')}`, readFileSync(file)]),
    }
  }

  const role = `canary_${randomBytes(6).toString('hex')}`
  const name = new URL(url).pathname.slice(1)
  const ask = async <T extends pg.QueryResultRow>(at: string, sql: string) => {
    const client = new pg.Client({ connectionString: at })
    await client.connect()
    const { rows } = await client.query<T>(sql)
    await client.end()
    return rows
  }
  await ask(url, `create role ${role} login password '${password}'`)
  await ask(url, `alter database ${name} owner to ${role}; grant all on schema public to ${role}`)
  onTestFinished(async () => {
    await dispose()
    await ask(serverUrl!, `drop role ${role}`)
  })
  const own = new URL(url)
  own.username = role
  own.password = encodeURIComponent(password)
  const changed = (change: (address: URL) => void) => {
    const address = new URL(own)
    change(address)
    return address.href
  }
  return {
    url: own.href,
    wrongUrls: [
      own.href.replace('://', '//'),
      changed((address) => {
        address.username = `${role}_other`
      }),
      changed((address) => {
        address.pathname = '/nothing_of_this_name'
      }),
      changed((address) => {
        address.port = '1'
      }),
    ],
    goAway: async () => {
      await ask(serverUrl!, `alter database ${name} allow_connections false`)
      await ask(
        serverUrl!,
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}' and pid <> pg_backend_pid()`,
      )
      return async () => {
        await ask(serverUrl!, `alter database ${name} allow_connections true`)
      }
    },
    everything: async () => {
      const tables = await ask<{ name: string }>(
        url,
        "select table_name as name from information_schema.tables where table_schema = 'public'",
      )
      return Promise.all(
        tables.map(async ({ name }): Promise<[string, Uint8Array]> => {
          const rows = await ask<{ row: string }>(url, `select row_to_json(t)::text as row from "${name}" t`)
          return [`the table ${name}`, Buffer.from(rows.map(({ row }) => row).join('\n'))]
        }),
      )
    },
  }
}

const MODEL_ANSWERS = ['refusal', 'talk', 'no JSON', 'redirect', 'broken', 'nothing'] as const

/** A model that fails in one of these ways, in all but the last by saying back what it was sent, its key included. */
async function openModel() {
  const model = { url: '', answers: 'refusal' as (typeof MODEL_ANSWERS)[number], prompts: [] as string[] }
  model.url = `${await serveUntilDone((headers, body) => {
    model.prompts.push(body)
    const echo = JSON.stringify(headers)
    const completion = (choices: unknown[]) => JSON.stringify({ id: '1', object: 'chat.completion', choices })
    switch (model.answers) {
      case 'refusal':
        return { status: 401, body: JSON.stringify({ error: { message: echo } }) }
      case 'talk':
        return { status: 200, body: completion([{ message: { role: 'assistant', content: echo } }]) }
      case 'no JSON':
        return { status: 200, body: `{"sent": ${echo}` }
      case 'redirect':
        return { status: 302, body: echo }
      case 'broken':
        return { status: 200, body: echo, isBroken: true }
      case 'nothing':
        return { status: 200, body: completion([]) }
    }
  })}/v1`
  return model
}

/** A receiver that fails and answers all it was sent, or the beginning of it. */
async function openEcho(how: number | 'broken'): Promise<string> {
  const url = await serveUntilDone((headers, body) => ({
    status: how === 'broken' ? 200 : how,
    body: JSON.stringify({ headers, body }),
    isBroken: how === 'broken',
  }))
  return `${url}/hook`
}

async function serveUntilDone(
  answer: (headers: unknown, body: string) => { status: number; body: string; isBroken?: boolean },
): Promise<string> {
  const server = createServer(async (req, res) => {
    const { status, body, isBroken } = answer(req.headers, await text(req))
    res.writeHead(status, {
      'Content-Type': 'application/json',
      // Where a redirect goes, what it leads to included, may hold what was sent.
      ...(status === 302 && { Location: `/elsewhere?sent=${encodeURIComponent(body.slice(0, 4_000))}` }),
      ...(isBroken && { 'Content-Length': Buffer.byteLength(body) + 1 }),
    })
    if (isBroken) res.write(body, () => res.destroy())
    else res.end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
