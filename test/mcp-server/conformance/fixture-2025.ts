import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { completable } from '@modelcontextprotocol/sdk/server/completable.js'
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js'
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import {
  type CallToolResult,
  CreateMessageResultSchema,
  ElicitResultSchema,
  isInitializeRequest,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import {
  CONTENT,
  DEFAULTS_FORM,
  ENUMS_FORM,
  ERROR_TEXT,
  LOG_LINES,
  PROGRESS,
  PROMPT_ARGUMENTS,
  PROMPTS,
  RESOURCES,
  TEMPLATE,
  templateText,
  text,
  USER_FORM,
} from './content.ts'

/**
 * The suite's server for protocols up to 2025-11-25, on the SDK the product answers them with. It asks its client back
 * in the middle of a call, which needs sessions and streams; the product has neither.
 */
export function createFixture2025(): (request: Request) => Promise<Response> {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>()

  return async (request) => {
    const known = sessions.get(request.headers.get('mcp-session-id') ?? '')
    if (known) return known.handleRequest(request)

    const body: unknown = request.method === 'POST' ? await request.clone().json() : undefined
    const stateful = isInitializeRequest(body)
    const transport: WebStandardStreamableHTTPServerTransport = new WebStandardStreamableHTTPServerTransport(
      stateful
        ? {
            sessionIdGenerator: randomUUID,
            onsessioninitialized: (id) => {
              sessions.set(id, transport)
            },
          }
        : {},
    )
    await createServer().connect(transport)
    return transport.handleRequest(request)
  }
}

function createServer(): McpServer {
  const server = new McpServer(
    { name: 'tocsin-conformance', version: '1.0.0' },
    {
      capabilities: { tools: {}, resources: { subscribe: true }, prompts: {}, logging: {}, completions: {} },
    },
  )
  server.server.setRequestHandler(SubscribeRequestSchema, () => ({}))
  server.server.setRequestHandler(UnsubscribeRequestSchema, () => ({}))
  server.server.setRequestHandler(SetLevelRequestSchema, () => ({}))

  for (const [name, content] of Object.entries(CONTENT)) {
    server.registerTool(name, { description: name }, () => ({ content }))
  }
  server.registerTool('test_error_handling', { description: 'Fails' }, () => {
    throw new Error(ERROR_TEXT)
  })
  server.registerTool('test_tool_with_logging', { description: 'Logs' }, async (extra) => {
    for (const data of LOG_LINES) {
      await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data } })
      await wait(50)
    }
    return { content: [text('Logged.')] }
  })
  server.registerTool('test_tool_with_progress', { description: 'Tells its progress' }, async (extra) => {
    const progressToken = extra._meta?.progressToken
    for (const progress of PROGRESS) {
      if (progressToken !== undefined) {
        const params = { progressToken, progress, total: 100 }
        await extra.sendNotification({ method: 'notifications/progress', params })
      }
      await wait(50)
    }
    return { content: [text('Done.')] }
  })
  server.registerTool(
    'test_sampling',
    { description: 'Asks the model of its client', inputSchema: { prompt: z.string() } },
    async ({ prompt }, extra) => {
      const params = { messages: [{ role: 'user' as const, content: text(prompt) }], maxTokens: 100 }
      const answer = await extra.sendRequest(
        { method: 'sampling/createMessage', params },
        CreateMessageResultSchema,
      )
      return { content: [text(`LLM response: ${'text' in answer.content ? answer.content.text : ''}`)] }
    },
  )
  const elicit = (name: string, form: object, answerOf: (action: string, content: string) => string) =>
    server.registerTool(
      name,
      { description: 'Asks its user', inputSchema: { message: z.string().optional() } },
      async ({ message = 'Please fill in' }, extra): Promise<CallToolResult> => {
        const { action, content } = await extra.sendRequest(
          { method: 'elicitation/create', params: { message, requestedSchema: form as typeof USER_FORM } },
          ElicitResultSchema,
        )
        return { content: [text(answerOf(action, JSON.stringify(content ?? {})))] }
      },
    )
  const completed = (action: string, content: string) =>
    `Elicitation completed: action=${action}, content=${content}`
  elicit(
    'test_elicitation',
    USER_FORM,
    (action, content) => `User response: action=${action}, content=${content}`,
  )
  elicit('test_elicitation_sep1034_defaults', DEFAULTS_FORM, completed)
  elicit('test_elicitation_sep1330_enums', ENUMS_FORM, completed)

  for (const [uri, content] of Object.entries(RESOURCES)) {
    server.registerResource(uri, uri, {}, () => ({ contents: [{ uri, ...content }] }))
  }
  server.registerResource(
    'template',
    new ResourceTemplate(TEMPLATE, { list: undefined }),
    {},
    (uri, { id }) => ({
      contents: [{ uri: uri.href, mimeType: 'application/json', text: templateText(String(id)) }],
    }),
  )
  for (const [name, messages] of Object.entries(PROMPTS)) {
    const args = PROMPT_ARGUMENTS[name as keyof typeof PROMPTS]
    const argsSchema = Object.fromEntries(
      args.map((argument) => [argument, completable(z.string(), () => ['paris', 'park', 'party'])]),
    )
    if (args.length === 0)
      server.registerPrompt(name, { description: name }, () => ({ messages: messages({}) }))
    else
      server.registerPrompt(name, { description: name, argsSchema }, (given) => ({
        messages: messages(given),
      }))
  }
  return server
}
