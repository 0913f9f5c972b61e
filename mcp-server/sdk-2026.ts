import type { Readable, Writable } from 'node:stream'
import {
  createMcpHandler,
  type McpHttpHandler,
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  Server,
} from '@modelcontextprotocol/server'
import { StdioServerTransport, serveStdio } from '@modelcontextprotocol/server/stdio'
import { SERVER_INFO, type Surface } from './surface.ts'
import { ToolError } from './tool-error.ts'

export { hostHeaderValidation, originValidation, toNodeHandler } from '@modelcontextprotocol/node'
export { isLegacyRequest } from '@modelcontextprotocol/server'

/**
 * Answers requests of revision 2026-07-28, each with one JSON body since nothing is sent before a result.
 * `extra.surface` of the request says for whom.
 */
export function createHandler2026(onerror: (error: Error) => void): McpHttpHandler {
  return createMcpHandler(({ authInfo }) => createServer(authInfo?.extra?.surface as Surface), {
    legacy: 'reject',
    onerror,
  })
}

/** Serves a client of that revision over a pair of streams. Answers how to stop. */
export function serve2026(surface: Surface, input: Readable, output: Writable): () => Promise<void> {
  const handle = serveStdio(() => createServer(surface), {
    transport: new StdioServerTransport(input, output),
    legacy: 'reject',
  })
  return () => handle.close()
}

async function createServer(surface: Surface): Promise<Server> {
  const server = new Server(SERVER_INFO, {
    capabilities: { tools: {}, resources: {}, prompts: {}, completions: {} },
    instructions: await surface.instructions(),
  })
  server.setRequestHandler('tools/list', () => surface.listTools())
  server.setRequestHandler('tools/call', ({ params }) => surface.callTool(params.name, params.arguments))
  server.setRequestHandler('resources/list', () => surface.listResources())
  server.setRequestHandler('resources/templates/list', () => surface.listResourceTemplates())
  server.setRequestHandler('resources/read', async ({ params }) => {
    try {
      const resource = await surface.readResource(params.uri)
      if (resource) return { ...resource }
    } catch (error) {
      if (error instanceof ToolError) throw new ProtocolError(ProtocolErrorCode.InvalidParams, error.message)
      throw error
    }
    throw new ResourceNotFoundError(params.uri)
  })
  server.setRequestHandler('prompts/list', () => surface.listPrompts())
  server.setRequestHandler('prompts/get', async ({ params }) => {
    try {
      const prompt = await surface.getPrompt(params.name, params.arguments ?? {})
      if (prompt) return { ...prompt }
    } catch (error) {
      if (error instanceof ToolError) throw new ProtocolError(ProtocolErrorCode.InvalidParams, error.message)
      throw error
    }
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'No such prompt.')
  })
  server.setRequestHandler('completion/complete', ({ params }) =>
    surface.complete(params.ref, params.argument),
  )
  return server
}
