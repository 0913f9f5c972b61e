import { randomBytes, randomUUID } from 'node:crypto'
import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { type Child, type Exit, pinnedNode, startChild } from '../support/child.ts'
import { freshDatabase } from '../support/databases.ts'
import { freePort, scratchDir } from '../support/scratch.ts'
import { until } from '../support/until.ts'
import { unpackedNodes } from './pack.ts'

export interface Credential {
  id: string
  name: string
}

export interface Execution {
  id: string
  status: string
  mode: string
  /** What each node put out, by its name. */
  output: Record<string, Json[]>
  /** From which item of the node before each of them comes. */
  paired: Record<string, number[]>
  /** What went wrong, where something did. */
  error: { message: string; description?: string | null } | undefined
}

// biome-ignore lint/suspicious/noExplicitAny: what a workflow puts out is looked into by hand
export type Json = any

export interface WorkflowNode {
  name: string
  type: string
  typeVersion: number
  parameters: Record<string, unknown>
  credentials?: Record<string, Credential>
  [more: string]: unknown
}

export interface Workflow {
  name: string
  nodes: WorkflowNode[]
  connections: Record<string, unknown>
  settings?: Record<string, unknown>
}

/** A real n8n on loopback with our packed nodes, and the hands of its owner. */
export interface N8nProcess {
  readonly address: string
  readonly owner: { email: string; password: string }
  log(): string
  /** The public API; throws on anything but a 2xx. */
  api<T = Json>(method: string, path: string, body?: unknown): Promise<T>
  /** The API of the editor. */
  rest<T = Json>(method: string, path: string, body?: unknown): Promise<T>
  createCredential(type: string, data: Record<string, unknown>): Promise<Credential>
  createWorkflow(workflow: Workflow): Promise<string>
  /** Finished executions of a workflow, oldest first. */
  executions(workflowId: string): Promise<Execution[]>
  /** Whether an execution of the workflow is about to start, runs or waits. */
  isBusy(workflowId: string): Promise<boolean>
  /** Posts to the production address of a Webhook node, as soon as n8n knows it. */
  callWebhook(path: string, body: unknown): Promise<{ status: number; body: Json }>
  /** Deactivates and deletes a workflow. */
  forget(workflowId: string): Promise<void>
  stop(): Promise<Exit>
  /** Ends it in the middle of whatever it does. */
  crash(): Promise<Exit>
  /** The same data, the same address. */
  start(): Promise<void>
  dispose(): Promise<void>
}

const START_MS = 240_000
/** n8n takes a while to end what runs. */
const STOP_MS = 40_000

/** Nothing of this leaves the machine: what n8n would ask of its makers is off, the rest goes to a proxy of ours. */
function quiet(proxy: string | undefined): Record<string, string> {
  return {
    N8N_DIAGNOSTICS_ENABLED: 'false',
    N8N_DIAGNOSTICS_CONFIG_FRONTEND: '',
    N8N_DIAGNOSTICS_CONFIG_BACKEND: '',
    N8N_VERSION_NOTIFICATIONS_ENABLED: 'false',
    N8N_VERSION_NOTIFICATIONS_WHATS_NEW_ENABLED: 'false',
    N8N_DYNAMIC_BANNERS_ENABLED: 'false',
    N8N_TEMPLATES_ENABLED: 'false',
    N8N_PERSONALIZATION_ENABLED: 'false',
    N8N_HIRING_BANNER_ENABLED: 'false',
    N8N_VERIFIED_PACKAGES_ENABLED: 'false',
    N8N_UNVERIFIED_PACKAGES_ENABLED: 'false',
    N8N_DISABLED_MODULES: 'mcp-registry,instance-ai,agents,chat-hub,quick-connect',
    N8N_LICENSE_AUTO_RENEW_ENABLED: 'false',
    N8N_AI_ENABLED: 'false',
    EXTERNAL_FRONTEND_HOOKS_URLS: '',
    ...(proxy && { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, NO_PROXY: '127.0.0.1,localhost' }),
  }
}

/** `proxy` is where everything goes that is not on loopback (outside.ts). */
export async function startN8n(options: {
  proxy: string
  env?: Record<string, string>
}): Promise<N8nProcess> {
  const home = await scratchDir()
  const database = await freshDatabase('postgres')
  await makeFast(database.url)
  const nodes = join(home.path, '.n8n/nodes/node_modules/n8n-nodes-tocsin')
  await mkdir(nodes, { recursive: true })
  await cp(unpackedNodes(), nodes, { recursive: true })
  const temporary = join(home.path, 'tmp')
  await mkdir(temporary)

  const port = await freePort()
  const address = `http://127.0.0.1:${port}`
  const { username, password, hostname, port: dbPort, pathname } = new URL(database.url)
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: home.path,
    // It leaves folders behind there.
    TMPDIR: temporary,
    N8N_USER_FOLDER: home.path,
    N8N_ENCRYPTION_KEY: randomBytes(24).toString('hex'),
    DB_TYPE: 'postgresdb',
    DB_POSTGRESDB_HOST: hostname,
    DB_POSTGRESDB_PORT: dbPort,
    DB_POSTGRESDB_DATABASE: pathname.slice(1),
    DB_POSTGRESDB_USER: username,
    DB_POSTGRESDB_PASSWORD: password,
    N8N_HOST: '127.0.0.1',
    N8N_LISTEN_ADDRESS: '127.0.0.1',
    N8N_PORT: String(port),
    N8N_PROTOCOL: 'http',
    WEBHOOK_URL: `${address}/`,
    N8N_SECURE_COOKIE: 'false',
    N8N_RUNNERS_BROKER_PORT: String(await freePort()),
    ...quiet(options.proxy),
    ...options.env,
  }

  let child: Child
  const start = async () => {
    child = await startChild(pinnedNode, [join(inject('n8nDir'), 'node_modules/n8n/bin/n8n'), 'start'], {
      cwd: home.path,
      env,
    })
    await until(
      'n8n is ready',
      async () => child.exit() !== undefined || (await fetch(`${address}/healthz/readiness`)).status === 200,
      { withinMs: START_MS, everyMs: 200 },
    )
    if (child.exit()) throw new Error(`n8n did not start: ${child.stdout()}${child.stderr()}`)
  }
  const stop = async () => {
    const timer = setTimeout(() => void child.end('SIGKILL'), STOP_MS)
    try {
      return await child.end('SIGTERM')
    } finally {
      clearTimeout(timer)
    }
  }
  const dispose = async () => {
    if (child && child.exit() === undefined) await stop()
    await database.dispose()
    home.remove()
  }

  try {
    await start()
    const owner = { email: 'owner@example.com', password: `Tocsin-${randomBytes(8).toString('hex')}` }
    const browserId = randomUUID()
    let cookie = ''
    const rest = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
      const response = await call(`${address}/rest${path}`, method, body, { cookie, 'browser-id': browserId })
      const set = response.headers.getSetCookie().find((one) => one.startsWith('n8n-auth='))
      if (set) cookie = set.split(';')[0]!
      return ((await response.json()) as { data: T }).data
    }
    await rest('POST', '/owner/setup', { ...owner, firstName: 'Olivia', lastName: 'Owner' })
    const scopes = await rest<string[]>('GET', '/api-keys/scopes')
    const { rawApiKey } = await rest<{ rawApiKey: string }>('POST', '/api-keys', {
      label: 'test',
      expiresAt: null,
      scopes,
    })
    const api = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
      const response = await call(`${address}/api/v1${path}`, method, body, { 'X-N8N-API-KEY': rawApiKey })
      const text = await response.text()
      return (text === '' ? null : JSON.parse(text)) as T
    }

    return {
      address,
      owner,
      log: () => child.stdout() + child.stderr(),
      api,
      rest,
      createCredential: async (type, data) => {
        const name = `${type} ${randomBytes(3).toString('hex')}`
        const { id } = await api<{ id: string }>('POST', '/credentials', { name, type, data })
        return { id, name }
      },
      createWorkflow: async ({ name, nodes, connections, settings }) => {
        const { id } = await api<{ id: string }>('POST', '/workflows', {
          name,
          nodes,
          connections,
          settings: { saveDataSuccessExecution: 'all', ...settings },
        })
        return id
      },
      executions: async (workflowId) => {
        const { data } = await api<{ data: Json[] }>(
          'GET',
          `/executions?workflowId=${workflowId}&includeData=true&limit=100`,
        )
        return data
          .filter(({ finished, status }) => finished || status === 'error' || status === 'crashed')
          .map(readExecution)
          .reverse()
      },
      isBusy: async (workflowId) => {
        const filter = encodeURIComponent(JSON.stringify({ workflowId }))
        const { results } = await rest<{ results: { status: string }[] }>(
          'GET',
          `/executions?filter=${filter}&limit=100`,
        )
        return results.some(({ status }) => ['new', 'running', 'waiting'].includes(status))
      },
      callWebhook: (path, body) =>
        until('the webhook is registered', async () => {
          const response = await fetch(`${address}/webhook/${path}`, {
            method: 'POST',
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify(body),
          })
          if (response.status === 404) return undefined
          const text = await response.text()
          return { status: response.status, body: text && JSON.parse(text) }
        }),
      forget: async (workflowId) => {
        await api('POST', `/workflows/${workflowId}/deactivate`)
        // Until then it answers 409: it unpublishes later than it says.
        await until('the workflow is gone', async () => {
          await api('DELETE', `/workflows/${workflowId}`)
          return true
        })
      },
      stop,
      crash: () => child.end('SIGKILL'),
      start,
      dispose,
    }
  } catch (error) {
    const said = child! ? child.stdout() + child.stderr() : ''
    await dispose()
    throw new Error(`n8n could not be set up: ${said.slice(-3000)}`, { cause: error })
  }
}

/** n8n makes 300 tables' worth of changes when it starts first; none of them has to survive a power cut here. */
async function makeFast(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`alter database ${new URL(url).pathname.slice(1)} set synchronous_commit = off`)
  await client.end()
}

async function call(url: string, method: string, body: unknown, headers: Record<string, string>) {
  const response = await fetch(url, {
    method,
    headers: { ...headers, ...(body !== undefined && { 'Content-Type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}: ${await response.text()}`)
  return response
}

function readExecution({ id, status, mode, data }: Json): Execution {
  const { runData = {}, error } = data?.resultData ?? {}
  const items = Object.entries(runData as Record<string, Json[]>).map(([node, runs]): [string, Json[]] => [
    node,
    runs.flatMap((run) => Object.values<Json[]>(run.data ?? {}).flat(2)).filter((item) => item !== null),
  ])
  return {
    id: String(id),
    status,
    mode,
    output: Object.fromEntries(items.map(([node, all]) => [node, all.map(({ json }) => json)])),
    paired: Object.fromEntries(
      items.map(([node, all]) => [node, all.map(({ pairedItem }) => pairedItem?.item)]),
    ),
    error: error && { message: error.message, description: error.description },
  }
}
