import { createHmac } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  completable,
  createMcpHandler,
  inputRequired,
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  ResourceTemplate,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import {
  CONTENT,
  ERROR_TEXT,
  LOG_LINES,
  PROGRESS,
  PROMPT_ARGUMENTS,
  PROMPTS,
  RESOURCES,
  TEMPLATE,
  templateText,
  text,
} from './content.ts'

/** The suite's server for revision 2026-07-28, on the SDK the product answers it with. */
export function createFixture2026(): (request: Request) => Promise<Response> {
  const handler = createMcpHandler(createServer, { legacy: 'reject' })
  return (request) => handler.fetch(request)
}

const name = inputRequired.elicit({
  message: 'What is your name?',
  requestedSchema: z.object({ name: z.string() }),
})
const confirm = inputRequired.elicit({
  message: 'Please confirm',
  requestedSchema: z.object({ ok: z.boolean() }),
})
const ask = (question: string, maxTokens: number) =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: text(question) }], maxTokens })

const done = (value: string) => ({ content: [text(value)] })

function createServer(): McpServer {
  const server = new McpServer(
    { name: 'tocsin-conformance', version: '1.0.0' },
    {
      capabilities: { tools: {}, resources: {}, prompts: {}, logging: {}, completions: {} },
      requestState: { verify },
    },
  )
  const tool = (
    toolName: string,
    run: (context: ServerContext) => ReturnType<Parameters<typeof server.registerTool>[2]>,
  ) => server.registerTool(toolName, { description: toolName }, run)

  for (const [toolName, content] of Object.entries(CONTENT)) tool(toolName, () => ({ content }))
  tool('test_error_handling', () => {
    throw new Error(ERROR_TEXT)
  })
  tool('test_tool_with_progress', async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken
    for (const progress of PROGRESS) {
      if (progressToken !== undefined) {
        await mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: 100 },
        })
      }
      await wait(50)
    }
    return done('Done.')
  })
  const logs = async ({ mcpReq }: ServerContext) => {
    for (const line of LOG_LINES) await mcpReq.log('info', line)
    return done('Logged.')
  }
  tool('test_tool_with_logging', logs)
  tool('test_logging_tool', logs)
  inputTools(tool)

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
  for (const [promptName, messages] of Object.entries(PROMPTS)) {
    const args = PROMPT_ARGUMENTS[promptName as keyof typeof PROMPTS]
    const argsSchema = z.object(
      Object.fromEntries(
        args.map((argument) => [argument, completable(z.string(), () => ['paris', 'park', 'party'])]),
      ),
    )
    if (args.length === 0)
      server.registerPrompt(promptName, { description: promptName }, () => ({ messages: messages({}) }))
    else
      server.registerPrompt(promptName, { description: promptName, argsSchema }, (given) => ({
        messages: messages(given),
      }))
  }
  server.registerPrompt('test_input_required_result_prompt', { description: 'Asks back' }, ({ mcpReq }) => {
    const given = acceptedContent<{ context: string }>(mcpReq.inputResponses, 'user_context')
    if (given) return { messages: [{ role: 'user', content: text(`Context: ${given.context}`) }] }
    const user_context = inputRequired.elicit({
      message: 'What context should the prompt use?',
      requestedSchema: z.object({ context: z.string() }),
    })
    return inputRequired({ inputRequests: { user_context } })
  })
  return server
}

/** Tools that ask back by returning what they need. */
function inputTools(
  tool: (
    toolName: string,
    run: (context: ServerContext) => ReturnType<Parameters<McpServer['registerTool']>[2]>,
  ) => void,
): void {
  tool('test_input_required_result_elicitation', ({ mcpReq }) => {
    const given = acceptedContent<{ name: string }>(mcpReq.inputResponses, 'user_name')
    return typeof given?.name === 'string'
      ? done(`Hello, ${given.name}!`)
      : inputRequired({ inputRequests: { user_name: name } })
  })
  tool('test_input_required_result_sampling', ({ mcpReq }) => {
    const given = mcpReq.inputResponses?.capital_question
    return given
      ? done(JSON.stringify(given))
      : inputRequired({ inputRequests: { capital_question: ask('What is the capital of France?', 100) } })
  })
  tool('test_input_required_result_list_roots', ({ mcpReq }) => {
    const given = mcpReq.inputResponses?.client_roots
    return given
      ? done(JSON.stringify(given))
      : inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } })
  })
  tool('test_input_required_result_request_state', ({ mcpReq }) =>
    mcpReq.inputResponses?.confirm && mcpReq.requestState() === 'confirming'
      ? done('state-ok')
      : inputRequired({ inputRequests: { confirm }, requestState: mint('confirming') }),
  )
  tool('test_input_required_result_tampered_state', ({ mcpReq }) =>
    mcpReq.inputResponses?.confirm && mcpReq.requestState() === 'confirming'
      ? done('state-ok')
      : inputRequired({ inputRequests: { confirm }, requestState: mint('confirming') }),
  )
  tool('test_input_required_result_multiple_inputs', ({ mcpReq }) => {
    const given = mcpReq.inputResponses
    if (given?.user_name && given.greeting && given.client_roots) return done(JSON.stringify(given))
    const inputRequests = {
      user_name: name,
      greeting: ask('Generate a greeting', 50),
      client_roots: inputRequired.listRoots(),
    }
    return inputRequired({ inputRequests, requestState: mint('several') })
  })
  tool('test_input_required_result_multi_round', ({ mcpReq }) => {
    const state = mcpReq.requestState()
    if (state === 'round-2' && mcpReq.inputResponses?.step2) return done('Both answered.')
    if (state === 'round-1' && mcpReq.inputResponses?.step1) {
      const step2 = inputRequired.elicit({
        message: 'Step 2: What is your favorite color?',
        requestedSchema: z.object({ color: z.string() }),
      })
      return inputRequired({ inputRequests: { step2 }, requestState: mint('round-2') })
    }
    const step1 = inputRequired.elicit({
      message: 'Step 1: What is your name?',
      requestedSchema: z.object({ name: z.string() }),
    })
    return inputRequired({ inputRequests: { step1 }, requestState: mint('round-1') })
  })
  tool('test_input_required_result_capabilities', ({ mcpReq }) => {
    const { [CLIENT_CAPABILITIES_META_KEY]: capabilities = {} } = (mcpReq.envelope ?? {}) as Record<
      string,
      object
    >
    return inputRequired({
      inputRequests: {
        ...('elicitation' in capabilities && { user_name: name }),
        ...('sampling' in capabilities && { greeting: ask('Generate a greeting', 50) }),
      },
    })
  })
  // Needs what the suite's client does not declare.
  tool('test_missing_capability', () =>
    inputRequired({ inputRequests: { capital_question: ask('What is the capital of France?', 100) } }),
  )
  tool('test_streaming_elicitation', () => inputRequired({ inputRequests: { user_name: name } }))
}

const STATE_KEY = 'of this test alone'

function mint(state: string): string {
  return `${state}.${createHmac('sha256', STATE_KEY).update(state).digest('base64url')}`
}

function verify(state: string): string {
  const [plain = ''] = state.split('.')
  if (mint(plain) === state) return plain
  throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'requestState was changed.')
}
