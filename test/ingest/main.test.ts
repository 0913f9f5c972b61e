import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { inRepository, startNpm } from '../support/child.ts'
import { databaseKinds, freshDatabase } from '../support/databases.ts'
import { holdSqlite } from '../support/hold-sqlite.ts'
import { openLink } from '../support/postgres-link.ts'
import { openReceiver } from '../support/receiver.ts'
import { freePort } from '../support/scratch.ts'
import { type SendingSource, send, startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'

const MAIN = 'ingest/main.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tocsin-'))
  return () => rmSync(dir, { recursive: true })
})

describe('a start', () => {
  test('prints a line that opens an incident as pasted, and the key that reads it', async () => {
    const { url, adminKey, project, curlLine } = await start()
    expect(adminKey).toBeTruthy()

    expect(JSON.parse(shell(curlLine))).toMatchObject({ success: true, outcome: 'opened' })

    const response = await fetch(`${url}/api/v1/projects/${project}/incidents`, {
      headers: { Authorization: `Bearer ${adminKey}` },
    })
    expect(await response.json()).toMatchObject({
      incidents: [{ title: 'Checkout is down', severity: 'high', status: 'open' }],
      total: 1,
    })
  })

  test('after the first one prints no secret; the line works with $TOCSIN_SECRET', async () => {
    const first = await start()
    const secret = /X-Webhook-Secret: ([^']+)'/.exec(first.curlLine)![1]!
    await stop(first.process)

    const second = await start()
    expect(second.project).toBe(first.project)
    expect(second.printed).not.toContain(secret)
    expect(second.printed).not.toContain('Admin key')
    expect(JSON.parse(shell(second.curlLine, { TOCSIN_SECRET: secret }))).toMatchObject({ outcome: 'opened' })
  })

  test('after the first one keeps what Node compiles, where nobody else can write', async () => {
    const compiled = join(dir, 'data', 'compiled')
    await stop((await start()).process)
    expect(existsSync(compiled)).toBe(false)
    chmodSync(join(dir, 'data'), 0o770)
    await stop((await start()).process)
    expect(existsSync(compiled)).toBe(false)
    chmodSync(join(dir, 'data'), 0o700)
    await start()
    await expect.poll(() => existsSync(compiled) && readdirSync(compiled)).toHaveLength(1)
    expect(statSync(compiled).mode & 0o077).toBe(0)
  })

  test('takes the admin key of the settings, and does not print it', async () => {
    const given = 'an-admin-key-of-our-own-making'
    const { url, printed } = await start({ TOCSIN_ADMIN_KEY: given })
    expect(printed).not.toContain(given)
    const response = await fetch(`${url}/api/v1/me`, { headers: { Authorization: `Bearer ${given}` } })
    expect(await response.json()).toMatchObject({ key: { scopes: expect.arrayContaining(['admin']) } })
  })

  test('with a wrong setting ends with one sentence', async () => {
    const { code, stdout, stderr } = await run({ TOCSIN_PORT: 'http' })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toBe(
      'Tocsin did not start: TOCSIN_PORT is "http", but must be a whole number from 0 to 65535 (0 picks a free port); for example TOCSIN_PORT=4117.\n',
    )
    expect(existsSync(join(dir, 'data'))).toBe(false)
  })

  test('with an argument ends with one sentence that tells where settings are', async () => {
    const { code, stdout, stderr } = await run({}, MAIN, ['--admin-key', 'hunter2'])
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toBe(
      'Tocsin did not start: it takes no arguments; settings are in the environment or in .env, as .env.example lists them.\n',
    )
    expect(existsSync(join(dir, 'data'))).toBe(false)
  })

  test('without its database ends with one sentence that names the setting and no password', async () => {
    const { code, stdout, stderr } = await run({
      DATABASE_URL: 'postgres://tocsin:hunter2@127.0.0.1:1/tocsin',
      TOCSIN_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
    })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toBe(
      'Tocsin did not start: the database at DATABASE_URL does not open (connect ECONNREFUSED 127.0.0.1:1).\n',
    )
  })

  test('on a taken port ends with one sentence, before a first key is made and lost', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void other.close())
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo

    const { code, stdout, stderr } = await run({ TOCSIN_PORT: String(port) })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(
      new RegExp(`^Tocsin did not start: TOCSIN_PORT is ${port}, which another program listens on; .+\\n$`),
    )
    expect(existsSync(join(dir, 'data', 'tocsin.db'))).toBe(false)
  })
})

test.each([
  ['ingest/main.ts', [], 'Tocsin did not start: '],
  ['ingest/backup.ts', ['copy'], 'Nothing was done: '],
  ['ingest/restore.ts', ['copy'], 'Nothing was done: '],
  ['mcp-server/main.ts', [], 'MCP did not start: '],
  ['mcp-server/secret.ts', ['reveal', 'id'], ''],
])('%s says in one sentence that the settings file cannot be read', async (program, args, begin) => {
  mkdirSync(join(dir, '.env'))
  const { code, stdout, stderr } = await run({}, program, args)
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toBe(
    `${begin}${join(realpathSync(dir), '.env')} cannot be read; give this user the right to.\n`,
  )
})

describe('a stop', () => {
  test('of npm is one of the process it started', async () => {
    const { npm, end } = startNpm(
      ['start', '--no-update-notifier'],
      environment({ TOCSIN_DATA_DIR: join(dir, 'data'), DATABASE_URL: `sqlite:${dir}/data/tocsin.db` }),
    )
    onTestFinished(end)
    const { url } = await running(npm)

    npm.kill('SIGTERM')
    await expect
      .poll(() => fetch(`${url}/healthz`).catch(({ cause }) => cause.code), { timeout: 20_000 })
      .toBe('ECONNREFUSED')
  })

  test('answers the request in flight, takes no new one and exits well, though the signal comes twice', async () => {
    const tocsin = await start()
    const path = /http:\/\/[^/]+(\S+)/.exec(tocsin.curlLine)![1]!
    const secret = /X-Webhook-Secret: ([^']+)'/.exec(tocsin.curlLine)![1]!
    const body = '{"title":"Slow sender"}'

    const socket = connect(tocsin.port, '127.0.0.1')
    const answer = text(socket)
    socket.write(
      [
        `POST ${path} HTTP/1.1`,
        'Host: localhost',
        'Content-Type: application/json',
        `X-Webhook-Secret: ${secret}`,
        `Content-Length: ${body.length}`,
        '',
        body.slice(0, 5),
      ].join('\r\n'),
    )
    // Served after the request above was begun, on the same event loop.
    await expect.poll(() => fetch(`${tocsin.url}/readyz`).then(({ status }) => status)).toBe(200)

    const exited = once(tocsin.process, 'exit')
    tocsin.process.kill('SIGTERM')
    tocsin.process.kill('SIGTERM')
    await expect
      .poll(() => fetch(`${tocsin.url}/readyz`).catch(({ cause }) => cause.code))
      .toBe('ECONNREFUSED')

    socket.write(body.slice(5))
    expect(await answer).toMatch(/^HTTP\/1.1 200 .+"outcome":"opened"/s)
    expect(await exited).toEqual([0, null])
  })

  test('leaves a log of JSON lines without tokens, keys or bodies', async () => {
    const tocsin = await start({ TOCSIN_LOG_LEVEL: 'debug' })
    const token = 'a-token-nobody-may-read'
    const post = {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"title":"payroll"}',
    }
    for (const path of [`/webhooks/${token}`, `/api/webhooks/generic/${token}`, `/webhooks/x/${token}`]) {
      await fetch(tocsin.url + path, post)
    }
    shell(tocsin.curlLine)
    await fetch(`${tocsin.url}/api/v1/me?x=${token}`, {
      headers: { Authorization: `Bearer ${tocsin.adminKey}` },
    })
    await stop(tocsin.process)

    const log = tocsin.log()
    for (const line of log.split('\n').filter((line) => line !== ''))
      expect(() => JSON.parse(line)).not.toThrow()
    const secret = /X-Webhook-Secret: ([^']+)'/.exec(tocsin.curlLine)![1]!
    for (const word of [token, 'payroll', 'Checkout', secret, tocsin.adminKey!])
      expect(log).not.toContain(word)
  })
})

describe('a stop while the database is away', { timeout: 60_000 }, () => {
  test('is one at once while a start waits for the lock of its file, and says that', async () => {
    await stop((await start()).process)
    onTestFinished(holdSqlite(join(dir, 'data', 'tocsin.db')))
    const { url, end, log } = await startOnBusyDatabase()
    expect((await fetch(`${url}/readyz`)).status).toBe(503)
    await until('it says that it waits', () => log() !== '')
    expect(await end('SIGTERM')).toEqual({ code: 0, signal: null, isInTime: true })
    expect(
      log()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).msg),
    ).toEqual(['the start waits: another process upgrades the database, or holds a lock of it'])
  })

  // Where PostgreSQL is missing, its setup has said so.
  describe.runIf(databaseKinds.includes('postgres'))('of PostgreSQL', () => {
    test('leaves what it cannot give back, and says what', async () => {
      const { tocsin, link, source, beingSent } = await startOnLink()
      await send(source, { id: 'before', title: 'Before' })
      await until('a message is being sent', () => beingSent.length > 0)

      link.become('refusing')
      expect(await endOf(tocsin)).toEqual({ code: 1, signal: null, isInTime: true })
      expect(errorsOf(tocsin)).toEqual([
        expect.objectContaining({
          msg: 'stopping failed',
          err: expect.objectContaining({
            message: 'Not finished: messages being sent. Leases and retries see to it.',
          }),
        }),
      ])
    })

    test('is a good one where it has nothing to give back', async () => {
      const { tocsin, link } = await startOnLink()
      link.become('refusing')
      expect(await endOf(tocsin)).toEqual({ code: 0, signal: null, isInTime: true })
      expect(errorsOf(tocsin)).toEqual([])
    })

    test('answers what it has taken, though PostgreSQL swallows whatever it is asked', async () => {
      const { tocsin, link, source, beingSent } = await startOnLink()
      await send(source, { id: 'before', title: 'Before' })
      await until('a message is being sent', () => beingSent.length > 0)

      link.become('black hole')
      const late = send(source, { id: 'late', title: 'Late' })
      // Served after the request above was taken, on the same event loop.
      await fetch(`${tocsin.address}/healthz`)
      expect(await endOf(tocsin)).toEqual({ code: 1, signal: null, isInTime: true })
      expect((await late).status).toBe(503)
      const [line] = errorsOf(tocsin)
      expect(line).toMatchObject({ msg: 'stopping failed' })
      expect(line.err.message).toMatch(/^Not finished: .*messages being sent/)
    })
  })
})

test('a signal that comes while the program is still being read ends it, also where the system would ignore it', async () => {
  const { code, signal, stdout, stderr } = await run({
    NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(`
      import { registerHooks } from 'node:module'
      registerHooks({
        load(url, context, next) {
          if (url.endsWith('/ingest/start.ts')) process.kill(process.pid, 'SIGTERM')
          return next(url, context)
        },
      })`)}`,
  })
  expect({ code, signal, stdout, stderr }).toEqual({ code: 0, signal: null, stdout: '', stderr: '' })
  expect(existsSync(join(dir, 'data'))).toBe(false)
})

test('files of the data directory are for this user alone', async () => {
  await start()
  const modes = execFileSync('find', [join(dir, 'data'), '-perm', '/077'], { encoding: 'utf8' })
  expect(modes).toBe('')
  expect(readFileSync(join(dir, 'data', 'secret.key'), 'utf8')).toMatch(/^\S{44}\n$/)
})

interface Started {
  process: ChildProcess
  url: string
  port: number
  printed: string
  adminKey: string | undefined
  project: string | undefined
  curlLine: string
  log(): string
}

/** Starts the program on the test's own directory and waits until it is running. */
async function start(env: Record<string, string> = {}): Promise<Started> {
  const child = launch(env)
  onTestFinished(() => stop(child))
  return running(child)
}

/** Waits until a start has told where it is. */
async function running(child: ChildProcess): Promise<Started> {
  let printed = ''
  let log = ''
  child.stderr!.setEncoding('utf8').on('data', (chunk) => {
    log += chunk
  })
  for await (const chunk of child.stdout!.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    printed += chunk
    if (/^curl .+\n/m.test(printed)) break
  }
  const url = /^Address +(\S+)$/m.exec(printed)?.[1]
  if (url === undefined) throw new Error(`Tocsin did not start: ${log}`)
  return {
    process: child,
    url,
    port: Number(new URL(url).port),
    printed,
    adminKey: /^Admin key +(\S+)/m.exec(printed)?.[1],
    project: /^Project +(\S+)$/m.exec(printed)?.[1],
    curlLine: /^curl .+$/m.exec(printed)![0],
    log: () => log,
  }
}

/** What docs/deploy.md promises of a stop. */
const MOST_STOP_MS = 10_000

interface End {
  code: number | null
  signal: NodeJS.Signals | null
  isInTime: boolean
}

async function timed(exit: Promise<Pick<End, 'code' | 'signal'>>): Promise<End> {
  const asked = performance.now()
  const { code, signal } = await exit
  return { code, signal, isInTime: performance.now() - asked <= MOST_STOP_MS }
}

function endOf(tocsin: TocsinProcess): Promise<End> {
  return timed(tocsin.stop())
}

function errorsOf(tocsin: TocsinProcess) {
  const lines = tocsin.stderr().split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 50)
}

/** A process on a PostgreSQL whose way can be broken, that sends to a receiver which never answers. */
async function startOnLink(): Promise<{
  tocsin: TocsinProcess
  link: Awaited<ReturnType<typeof openLink>>
  source: SendingSource
  beingSent: unknown[]
}> {
  const database = await freshDatabase('postgres')
  onTestFinished(() => database.dispose())
  const link = await openLink(database.url)
  onTestFinished(link.close)
  const { url, received } = await openReceiver(() => new Promise(() => {}))
  const tocsin = await startTocsin({
    databaseUrl: link.url,
    env: { TOCSIN_SECRET_KEY: Buffer.alloc(32, 1).toString('base64') },
  })
  onTestFinished(() => tocsin.dispose())
  await tocsin.api('POST', `/projects/${tocsin.projectId}/endpoints`, { url })
  const source = await tocsin.createSource({ adapter: 'generic' })
  return { tocsin, link, source, beingSent: received }
}

/** Starts the program where it has to wait for its database, and waits until it listens. */
async function startOnBusyDatabase(): Promise<{
  url: string
  end(signal: NodeJS.Signals): Promise<End>
  log(): string
}> {
  const port = await freePort()
  const child = launch({ TOCSIN_PORT: String(port) })
  onTestFinished(() => void child.kill('SIGKILL'))
  let log = ''
  child.stderr!.setEncoding('utf8').on('data', (chunk) => {
    log += chunk
  })
  const url = `http://127.0.0.1:${port}`
  await until('it listens', () => fetch(`${url}/healthz`).then(({ ok }) => ok))
  return {
    url,
    end: (signal) => {
      const exited = once(child, 'close').then(([code, signal]) => ({ code, signal }))
      child.kill(signal)
      return timed(exited)
    },
    log: () => log,
  }
}

/** Runs a start that ends by itself. */
async function run(
  env: Record<string, string>,
  program = MAIN,
  args: readonly string[] = [],
): Promise<{ code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }> {
  const child = launch(env, program, args)
  onTestFinished(() => stop(child))
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'exit'),
  ])
  return { code, signal, stdout, stderr }
}

function launch(env: Record<string, string>, program = MAIN, args: readonly string[] = []): ChildProcess {
  return spawn(process.execPath, [inRepository(program), ...args], {
    cwd: dir,
    env: environment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function environment(env: Record<string, string>): NodeJS.ProcessEnv {
  const { SECRET: _, ...inherited } = process.env
  return { ...inherited, TOCSIN_PORT: '0', ...env }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

function shell(line: string, env: Record<string, string> = {}): string {
  return execFileSync('sh', ['-c', line], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    stdio: 'pipe',
  })
}
