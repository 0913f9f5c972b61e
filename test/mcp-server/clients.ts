import { Client as Client2026, StreamableHTTPClientTransport as Http2026 } from '@modelcontextprotocol/client'
import { StdioClientTransport as Stdio2026 } from '@modelcontextprotocol/client/stdio'
import { Client as Client2025 } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport as Stdio2025 } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport as Http2025 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { inRepository, pinnedNode } from '../support/child.ts'

/** Where a client connects: a server over HTTP, or a process of its own. */
export type Target =
  | { kind: 'http'; url: string; key: string }
  | { kind: 'stdio'; args?: readonly string[]; env: Record<string, string>; cwd: string }

/** The part of the published clients the tests use; both have it. */
export interface PublicClient {
  protocol: string
  instructions: string | undefined
  listTools(): Promise<{ tools: { name: string }[] }>
  // biome-ignore lint/suspicious/noExplicitAny: a result in a test is looked into by hand
  callTool(name: string, args?: Record<string, unknown>): Promise<any>
  // biome-ignore lint/suspicious/noExplicitAny: the same
  ask(method: 'resources/list' | 'resources/templates/list' | 'prompts/list'): Promise<any>
  // biome-ignore lint/suspicious/noExplicitAny: the same
  readResource(uri: string): Promise<any>
  // biome-ignore lint/suspicious/noExplicitAny: the same
  getPrompt(name: string, args?: Record<string, string>): Promise<any>
  // biome-ignore lint/suspicious/noExplicitAny: the same
  complete(params: any): Promise<any>
  /** What the process wrote to stderr. */
  stderr(): string
  close(): Promise<void>
}

export const CLIENTS = ['v1', 'v2 legacy', 'v2 auto', 'v2 pinned'] as const
export type ClientKind = (typeof CLIENTS)[number]

const INFO = { name: 'tocsin-tests', version: '1.0.0' }
const MODES = {
  'v2 legacy': { mode: 'legacy' },
  'v2 auto': { mode: 'auto' },
  'v2 pinned': { mode: { pin: '2026-07-28' } },
} as const

export async function connectClient(kind: ClientKind, target: Target): Promise<PublicClient> {
  let stderr = ''
  const http = target.kind === 'http' && {
    url: new URL(target.url),
    options: { requestInit: { headers: { Authorization: `Bearer ${target.key}` } } },
  }
  const stdio = target.kind === 'stdio' && {
    command: pinnedNode,
    args: [inRepository('mcp-server/main.ts'), ...(target.args ?? [])],
    env: target.env,
    cwd: target.cwd,
    stderr: 'pipe' as const,
  }
  const listen = (transport: unknown) => {
    const stream = (transport as { stderr?: NodeJS.ReadableStream | null }).stderr
    stream?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString('utf8')
    })
  }

  if (kind === 'v1') {
    const client = new Client2025(INFO)
    const transport = http ? new Http2025(http.url, http.options) : new Stdio2025(stdio as never)
    listen(transport)
    await client.connect(transport as never)
    return {
      protocol: '2025',
      instructions: client.getInstructions(),
      listTools: () => client.listTools(),
      callTool: (name, args = {}) => client.callTool({ name, arguments: args }),
      ask: (method) =>
        method === 'resources/list'
          ? client.listResources()
          : method === 'prompts/list'
            ? client.listPrompts()
            : client.listResourceTemplates(),
      readResource: (uri) => client.readResource({ uri }),
      getPrompt: (name, args = {}) => client.getPrompt({ name, arguments: args }),
      complete: (params) => client.complete(params),
      stderr: () => stderr,
      close: () => client.close(),
    }
  }

  const client = new Client2026(INFO, { versionNegotiation: MODES[kind] })
  const transport = http ? new Http2026(http.url, http.options) : new Stdio2026(stdio as never)
  listen(transport)
  await client.connect(transport)
  return {
    protocol: client.getNegotiatedProtocolVersion() === '2026-07-28' ? '2026' : '2025',
    instructions: client.getInstructions(),
    listTools: () => client.listTools(),
    callTool: (name, args = {}) => client.callTool({ name, arguments: args }),
    ask: (method) =>
      method === 'resources/list'
        ? client.listResources()
        : method === 'prompts/list'
          ? client.listPrompts()
          : client.listResourceTemplates(),
    readResource: (uri) => client.readResource({ uri }),
    getPrompt: (name, args = {}) => client.getPrompt({ name, arguments: args }),
    complete: (params) => client.complete(params),
    stderr: () => stderr,
    close: () => client.close(),
  }
}
