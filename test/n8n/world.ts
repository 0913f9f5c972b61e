import { randomUUID } from 'node:crypto'
import type { ApiEndpoint, ApiScope } from '@tocsin/core'
import { startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import {
  type Credential,
  type Execution,
  type N8nProcess,
  startN8n,
  type Workflow,
  type WorkflowNode,
} from './n8n-process.ts'
import { type Outside, openOutside } from './outside.ts'

/** What the nodes need to do everything they can. */
const SCOPES: ApiScope[] = [
  'incidents:read',
  'incidents:write',
  'endpoints:read',
  'endpoints:write',
  'sources:read',
  'sources:write',
  'events:write',
]

/** A real Tocsin, a real n8n that knows it, and nothing else of the world. */
export interface World {
  tocsin: TocsinProcess
  n8n: N8nProcess
  outside: Outside
  /** The key that n8n uses. */
  credential: Credential
  createKey(scopes: ApiScope[]): Promise<string>
  endpoints(): Promise<ApiEndpoint[]>
  /** Activates a workflow and waits until its trigger is registered: n8n answers before it is. */
  activate(workflowId: string): Promise<ApiEndpoint>
  deactivate(workflowId: string): Promise<void>
  /** Waits until this many executions have ended, and answers them. */
  executions(workflowId: string, count: number): Promise<Execution[]>
  close(): Promise<void>
}

export async function openWorld(hosts: readonly string[] = []): Promise<World> {
  const outside = await openOutside(hosts)
  const tocsin = await startTocsin({ env: { TOCSIN_ALLOW_PRIVATE_TARGETS: '127.0.0.0/8' } })
  const n8n = await startN8n({ proxy: outside.proxy, env: outside.env })

  const createKey = async (scopes: ApiScope[]) => {
    const path = `/projects/${tocsin.projectId}/keys`
    return (await tocsin.api<{ secret: string }>('POST', path, { name: 'n8n', scopes })).secret
  }
  const endpoints = async () =>
    (await tocsin.api<{ endpoints: ApiEndpoint[] }>('GET', `/projects/${tocsin.projectId}/endpoints`))
      .endpoints

  return {
    tocsin,
    n8n,
    outside,
    credential: await n8n.createCredential('tocsinApi', {
      baseUrl: `${tocsin.address}/`,
      apiToken: await createKey(SCOPES),
    }),
    createKey,
    endpoints,
    activate: async (workflowId) => {
      const before = new Set((await endpoints()).map(({ id }) => id))
      await n8n.api('POST', `/workflows/${workflowId}/activate`)
      return until('the endpoint is registered', async () =>
        (await endpoints()).find(({ id }) => !before.has(id)),
      )
    },
    deactivate: async (workflowId) => {
      const before = (await endpoints()).length
      await n8n.api('POST', `/workflows/${workflowId}/deactivate`)
      await until('the endpoint is removed', async () => (await endpoints()).length < before)
    },
    executions: (workflowId, count) =>
      until(
        `there are ${count} executions`,
        async () => {
          const ended = await n8n.executions(workflowId)
          return ended.length >= count && ended
        },
        { withinMs: 90_000, everyMs: 100 },
      ),
    close: async () => {
      await n8n.dispose()
      await tocsin.dispose()
      outside.close()
    },
  }
}

/** A workflow of nodes in a row. */
export function inARow(name: string, nodes: WorkflowNode[]): Workflow {
  return {
    name,
    nodes: nodes.map((node, index) => ({ ...node, id: randomUUID(), position: [index * 220, 0] })),
    connections: Object.fromEntries(
      nodes
        .slice(1)
        .map((node, index) => [
          nodes[index]!.name,
          { main: [[{ node: node.name, type: 'main', index: 0 }]] },
        ]),
    ),
  }
}

/** A workflow of the trigger alone. */
export function triggerAlone(credential: Credential, parameters: Record<string, unknown> = {}): Workflow {
  return inARow('Hears of incidents', [
    {
      name: 'Tocsin Trigger',
      type: 'n8n-nodes-tocsin.tocsinTrigger',
      typeVersion: 1,
      webhookId: randomUUID(),
      parameters: { options: {}, ...parameters },
      credentials: { tocsinApi: credential },
    },
  ])
}
