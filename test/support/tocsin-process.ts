import { join } from 'node:path'
import type { ApiReceived, ApiSource, ApiSourceInput } from '@tocsin/core'
import { type Child, type Exit, inRepository, pinnedNode, startChild, startFlags } from './child.ts'
import { scratchDir } from './scratch.ts'
import { until } from './until.ts'

export interface StartOptions {
  /** As DATABASE_URL takes it; without one, the SQLite file of the scratch data directory. */
  databaseUrl?: string
  env?: Record<string, string>
  /** More flags for Node. */
  nodeFlags?: readonly string[]
}

export interface Answer<T = unknown> {
  status: number
  headers: Headers
  body: T
}

/** A source and what it takes to send to it. */
export interface SendingSource {
  id: string
  url: string
  /** Absent where the address itself is the credential. */
  secret: string | undefined
}

/** The real process on a scratch data directory, and an administrator's hands. */
export interface TocsinProcess {
  readonly pid: number
  /** Such as http://127.0.0.1:40123; stays over restarts. */
  readonly address: string
  /** The admin key of the first start. */
  readonly adminKey: string
  /** The project the first start made. */
  readonly projectId: string
  readonly dataDir: string
  /** As DATABASE_URL takes it. */
  readonly databaseUrl: string
  /** What this start printed, and its log. */
  stdout(): string
  stderr(): string
  /** Whether it has ended by itself, or was ended. */
  hasEnded(): boolean

  /** Calls the API below /api/v1 as an administrator; throws on anything but a 2xx. */
  api<T>(method: string, path: string, body?: unknown): Promise<T>
  /** The same, for answers that may be a refusal. */
  call<T = unknown>(method: string, path: string, body?: unknown): Promise<Answer<T>>
  /** Makes a source of the project of the first start, or of another one. */
  createSource(input: ApiSourceInput, projectId?: string): Promise<SendingSource>

  /** SIGTERM, as a process manager stops it. */
  stop(): Promise<Exit>
  /** SIGKILL: no chance to finish anything. */
  kill(): Promise<void>
  /** Starts again with the same data and port; stops first where it still runs. */
  restart(env?: Record<string, string>): Promise<void>
  /** Ends it for good and removes its data. */
  dispose(): Promise<void>
}

/** A machine on which much else runs may need so long. */
const START_MS = 60_000

/** Starts the product as `npm start` does, on a free port, and waits until it is ready. */
export async function startTocsin(options: StartOptions = {}): Promise<TocsinProcess> {
  const dir = await scratchDir()
  const dataDir = join(dir.path, 'data')

  let child: Child
  let address: string | undefined
  const start = async (more: Record<string, string> = {}) => {
    const port = address === undefined ? '0' : new URL(address).port
    // In the scratch directory, so that a developer's .env stays out of it.
    child = await startChild(
      pinnedNode,
      [...startFlags, ...(options.nodeFlags ?? []), inRepository('ingest/main.ts')],
      {
        cwd: dir.path,
        env: {
          TOCSIN_PORT: port,
          TOCSIN_DATA_DIR: dataDir,
          ...(options.databaseUrl && { DATABASE_URL: options.databaseUrl }),
          ...options.env,
          ...more,
        },
      },
    )
    return ready(child)
  }

  const printed = await start().catch((error: unknown) => {
    dir.remove()
    throw error
  })
  address = printed.address
  const base = printed.address
  const adminKey = printed.adminKey ?? options.env?.TOCSIN_ADMIN_KEY
  if (!adminKey) throw new Error('The first start printed no admin key.')
  const call = <T>(method: string, path: string, body?: unknown) =>
    callApi<T>(base, adminKey, method, path, body)

  const api = async <T>(method: string, path: string, body?: unknown) => {
    const answer = await call<T>(method, path, body)
    if (answer.status < 200 || answer.status > 299) {
      throw new Error(`${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`)
    }
    return answer.body
  }

  return {
    get pid() {
      return child.pid
    },
    address: base,
    adminKey,
    projectId: printed.projectId,
    dataDir,
    databaseUrl: options.databaseUrl ?? `sqlite:${join(dataDir, 'tocsin.db')}`,
    stdout: () => child.stdout(),
    stderr: () => child.stderr(),
    hasEnded: () => child.exit() !== undefined,
    call,
    api,
    createSource: async (input, projectId = printed.projectId) => {
      const { source, secret } = await api<{ source: ApiSource; secret?: string }>(
        'POST',
        `/projects/${projectId}/sources`,
        input,
      )
      return { id: source.id, url: source.url, secret }
    },
    stop: () => child.end('SIGTERM'),
    kill: async () => {
      await child.end('SIGKILL')
    },
    restart: async (env) => {
      if (child.exit() === undefined) await child.end('SIGTERM')
      await start(env)
    },
    dispose: async () => {
      if (child.exit() === undefined) await child.end('SIGKILL')
      dir.remove()
    },
  }
}

/** Posts JSON (or bytes as they are) with the source's secret where it has one. */
export async function send<T = ApiReceived>(
  { url, secret }: Pick<SendingSource, 'url' | 'secret'>,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  return readAnswer<T>(
    await fetch(url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        ...(secret !== undefined && { 'X-Webhook-Secret': secret }),
        ...headers,
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    }),
  )
}

interface Printed {
  address: string
  adminKey: string | undefined
  projectId: string
  /** Works as pasted into a shell. */
  curl: string
}

/** What a start prints for the person at the terminal. */
export function readStartUp(stdout: string): Printed {
  const address = stdout.match(/^Address +(\S+)$/m)?.[1]
  const projectId = stdout.match(/^Project +(\S+)$/m)?.[1]
  const curl = stdout.match(/^curl .+$/m)?.[0]
  if (!address || !projectId || !curl) throw new Error(`The start printed something else: ${stdout}`)
  return { address, projectId, curl, adminKey: stdout.match(/^Admin key +(\S+)/m)?.[1] }
}

async function ready(child: Child): Promise<Printed> {
  await until(
    'Tocsin is ready',
    async () => {
      if (child.exit()) return true
      const printed = readStartUp(child.stdout())
      return (await fetch(`${printed.address}/readyz`)).status === 200
    },
    { withinMs: START_MS },
  )
  if (child.exit()) throw new Error(`Tocsin did not start: ${child.stderr()}${child.stdout()}`)
  return readStartUp(child.stdout())
}

async function callApi<T>(
  address: string,
  adminKey: string,
  method: string,
  path: string,
  body: unknown,
): Promise<Answer<T>> {
  return readAnswer<T>(
    await fetch(`${address}/api/v1${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${adminKey}`,
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }),
  )
}

async function readAnswer<T>(response: Response): Promise<Answer<T>> {
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: (text === '' ? null : JSON.parse(text)) as T,
  }
}
