import type { Readable, Writable } from 'node:stream'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { SERVER_INFO, type Surface } from './surface.ts'
import { ToolError } from './tool-error.ts'

/** Code of a resource that is not there, before 2026-07-28 gave it another. */
const RESOURCE_NOT_FOUND = -32002

/** Answers one request of a client that speaks a protocol up to 2025-11-25: stateless, one JSON body. */
export async function answer2025(request: Request, surface: Surface): Promise<Response> {
  const server = await createServer(surface)
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true })
  try {
    await server.connect(transport)
    return await transport.handleRequest(request)
  } finally {
    await server.close()
  }
}

/** Serves such a client over a pair of streams. Answers how to stop. */
export async function serve2025(
  surface: Surface,
  input: Readable,
  output: Writable,
): Promise<() => Promise<void>> {
  const server = await createServer(surface)
  await server.connect(new StdioServerTransport(input, output))
  return () => server.close()
}

async function createServer(surface: Surface): Promise<Server> {
  const server = new Server(SERVER_INFO, {
    capabilities: { tools: {}, resources: {}, prompts: {}, completions: {} },
    instructions: await surface.instructions(),
  })
  server.setRequestHandler(ListToolsRequestSchema, () => surface.listTools())
  server.setRequestHandler(CallToolRequestSchema, ({ params }) =>
    surface.callTool(params.name, params.arguments),
  )
  server.setRequestHandler(ListResourcesRequestSchema, () => surface.listResources())
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => surface.listResourceTemplates())
  server.setRequestHandler(ReadResourceRequestSchema, async ({ params }) => {
    try {
      const resource = await surface.readResource(params.uri)
      if (resource) return { ...resource }
    } catch (error) {
      if (error instanceof ToolError) throw new McpError(ErrorCode.InvalidParams, error.message)
      throw error
    }
    throw new McpError(RESOURCE_NOT_FOUND, 'No such resource.', { uri: params.uri })
  })
  server.setRequestHandler(ListPromptsRequestSchema, () => surface.listPrompts())
  server.setRequestHandler(GetPromptRequestSchema, async ({ params }) => {
    try {
      const prompt = await surface.getPrompt(params.name, params.arguments ?? {})
      if (prompt) return { ...prompt }
    } catch (error) {
      if (error instanceof ToolError) throw new McpError(ErrorCode.InvalidParams, error.message)
      throw error
    }
    throw new McpError(ErrorCode.InvalidParams, 'No such prompt.')
  })
  server.setRequestHandler(CompleteRequestSchema, ({ params }) =>
    surface.complete(params.ref, params.argument),
  )
  return server
}
