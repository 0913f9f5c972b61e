import { randomBytes, randomUUID } from 'node:crypto'
import type { ApiIncident, ApiMessageType } from '@tocsin/core'
import { messageSchema } from '../../ingest/message-schema.ts'
import type { register } from '../../n8n-nodes/nodes/TocsinTrigger/registration.ts'

export const PROJECT = '3f0c8d3e-9d6b-4c52-8a55-6f1f0a3c7e21'
export const URL_OF_NODE = 'https://n8n.example.com/webhook/w1/webhook'

type HookContext = Parameters<typeof register>[0]

interface Call {
  method?: string
  url: string
  qs?: Record<string, unknown>
  body?: unknown
}

interface Row {
  id: string
  url: string
  enabled: boolean
  disabledReason: string | null
  [field: string]: unknown
}

/** As much of Tocsin's endpoints as the trigger knows, behind n8n's HTTP helper. */
export class FakeTocsin {
  endpoints: Row[] = []
  /** Deleted, but not for ever. */
  kept: Row[] = []
  /** Newest first. */
  incidents: ApiIncident[] = []
  /** `METHOD path?query` of every call, and its body where it has one. */
  calls: [string, unknown?][] = []
  /** Answers in place of what would have come. */
  instead: ((call: string) => { statusCode: number; body: unknown } | undefined) | undefined

  respond({ method = 'GET', url, qs, body }: Call): { statusCode: number; body: unknown } {
    const path = url.replace('https://tocsin.example.com/api/v1', '')
    const call = `${method} ${path}${qs ? `?${new URLSearchParams(qs as Record<string, string>)}` : ''}`
    this.calls.push(body === undefined ? [call] : [call, body])
    const other = this.instead?.(call)
    if (other) return other

    if (path === '/me')
      return { statusCode: 200, body: { key: { projectId: PROJECT, projectName: 'Shop', scopes: [] } } }
    if (path.endsWith('/incidents')) {
      const statuses = String(qs?.status).split(',')
      const incidents = this.incidents.filter(({ status }) => statuses.includes(status))
      return { statusCode: 200, body: { incidents, nextCursor: null } }
    }
    const [, type] = /^\/schemas\/(.+)\.json$/.exec(path) ?? []
    if (type) return { statusCode: 200, body: messageSchema(type as ApiMessageType) }
    if (path.endsWith('/test')) return { statusCode: 200, body: { message: {} } }
    const [, id, rotate] = /\/endpoints\/([^/]+)(\/rotate)?$/.exec(path) ?? []
    if (id === undefined) return this.create(body as Row)
    const endpoint = this.endpoints.find((one) => one.id === decodeURIComponent(id))
    if (!endpoint) return refusal(404, 'not_found')
    if (rotate) return { statusCode: 200, body: { endpoint, secret: newSecret() } }
    if (method === 'DELETE') {
      this.endpoints = this.endpoints.filter((one) => one !== endpoint)
      if (qs?.keepMinutes) this.kept.push(endpoint)
      return { statusCode: 204, body: '' }
    }
    if (method === 'PATCH') Object.assign(endpoint, body)
    return { statusCode: 200, body: { endpoint } }
  }

  private create(body: Row) {
    const known = this.endpoints.find(({ url }) => url === body.url)
    if (known) return { statusCode: 200, body: { endpoint: known, secret: null } }
    const { secret = newSecret(), ...asked } = body
    const kept = this.kept.find(({ url }) => url === body.url)
    this.kept = this.kept.filter((one) => one !== kept)
    const endpoint = { ...(asked as Row), id: kept?.id ?? randomUUID(), disabledReason: null }
    this.endpoints.push(endpoint)
    return { statusCode: 201, body: { endpoint, secret } }
  }
}

export function refusal(statusCode: number, code: string) {
  return { statusCode, body: { success: false, error: { code, message: `About ${code}.` }, requestId: 'r' } }
}

function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

export interface FakeNode {
  context: HookContext
  staticData: Record<string, unknown>
  parameters: Record<string, unknown>
  mode: string
  warnings: string[]
}

/** What n8n gives to the hooks of a node. */
export function fakeNode(tocsin: FakeTocsin, parameters: Record<string, unknown> = {}): FakeNode {
  const node: FakeNode = {
    staticData: {},
    parameters: { events: ['incident.opened', 'incident.resolved'], options: {}, ...parameters },
    mode: 'activate',
    warnings: [],
    context: {
      getNode: () => ({ name: 'Tocsin Trigger', type: 'tocsinTrigger', typeVersion: 1, parameters: {} }),
      getWorkflow: () => ({ id: 'w1', name: 'On call', active: true }),
      getNodeWebhookUrl: () => URL_OF_NODE,
      getActivationMode: () => node.mode,
      logger: { warn: (text: string) => void node.warnings.push(text) },
      getMode: () => (node.mode === 'manual' ? 'manual' : 'trigger'),
      getWorkflowStaticData: () => node.staticData,
      getCredentials: async () => ({ baseUrl: 'https://tocsin.example.com/', apiToken: 'key' }),
      getNodeParameter: (name: string, fallback: unknown) => {
        const found = name
          .split('.')
          .reduce<unknown>((value, part) => (value as Record<string, unknown>)?.[part], node.parameters)
        return found ?? fallback
      },
      helpers: {
        httpRequestWithAuthentication: async (_: string, options: Call) => tocsin.respond(options),
      },
    } as unknown as HookContext,
  }
  return node
}
