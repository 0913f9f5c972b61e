import {
  createServer as createHttpServer,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { type Log, type OpenedTocsin, TocsinError } from '@tocsin/core'
import type { McpHandler, McpOptions } from '@tocsin/mcp-server'
import express, { type Express } from 'express'
import helmet from 'helmet'
import { answerError, answerJsonText } from './answer.ts'
import type { Config } from './config.ts'
import { answerInTurn, type Turns } from './connections.ts'
import { routeOperations } from './define-route.ts'
import { apiErrorHandler } from './error-handler.ts'
import { openApiDocument } from './openapi.ts'
import { auditRoutes } from './routes/audit.ts'
import { endpointRoutes } from './routes/endpoints.ts'
import { healthRoutes } from './routes/health.ts'
import { incidentRoutes } from './routes/incidents.ts'
import { keyRoutes } from './routes/keys.ts'
import { meRoutes } from './routes/me.ts'
import { messageSchemaRoutes } from './routes/message-schemas.ts'
import { messageRoutes } from './routes/messages.ts'
import { metricsRoutes } from './routes/metrics.ts'
import { postmortemRoutes } from './routes/postmortems.ts'
import { projectRoutes } from './routes/projects.ts'
import { requestRoutes } from './routes/requests.ts'
import { sourceRoutes } from './routes/sources.ts'
import { webhookRoutes } from './routes/webhooks.ts'

export interface AppOptions {
  tocsin: OpenedTocsin
  config: Pick<Config, 'trustProxy'>
  log: Log
  /** Names it may be called by at /mcp, besides loopback ones. */
  hosts?: readonly string[]
  /** Turns `/readyz` off before the process stops. */
  isStopping?: () => boolean
  /** How long a webhook may take from its body to its answer, in milliseconds; 8,000 unless told. */
  longestMs?: number
}

/** Every operation of the API below `/api/v1`. */
export const operations = [
  ...projectRoutes,
  ...sourceRoutes,
  ...requestRoutes,
  ...incidentRoutes,
  ...postmortemRoutes,
  ...metricsRoutes,
  ...endpointRoutes,
  ...messageRoutes,
  ...keyRoutes,
  ...meRoutes,
  ...auditRoutes,
]

/** The whole HTTP side of one open Tocsin, not yet listening. */
export function createApp({ tocsin, config, log, hosts, isStopping, longestMs }: AppOptions): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('case sensitive routing', true)
  if (config.trustProxy.length > 0) app.set('trust proxy', config.trustProxy)

  // First and without the headers browsers need: monitoring tools send bursts.
  app.use(webhookRoutes(tocsin, log, longestMs))

  app.use(
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
      },
      xFrameOptions: { action: 'deny' },
    }),
  )
  app.use(healthRoutes(tocsin, isStopping ?? (() => false)))

  const mcp = mcpHandlerWhenAsked({
    authenticate: async (key) => {
      const caller = await tocsin.authenticateKey(key)
      return caller && tocsin.actingAs(caller)
    },
    hosts: hosts ?? [],
    log,
  })
  app.use('/mcp', (req, res, next) => (req.path === '/' ? mcp(req, res) : next()))

  // One for all who have not read it yet.
  let document: Buffer | undefined
  app.get('/api/v1/openapi.json', (_req, res) => {
    document ??= Buffer.from(JSON.stringify(openApiDocument(operations)))
    answerJsonText(res, 200, document)
  })
  app.use(messageSchemaRoutes())
  app.use('/api/v1', routeOperations(operations, tocsin, log))

  app.use((req, res) => {
    const message = `There is nothing at this address for ${req.method}; /api/v1/openapi.json lists what there is.`
    answerError(res, new TocsinError('not_found', message))
  })
  app.use(apiErrorHandler(log))
  return app
}

/** Loads what MCP takes with the first request: 20 MB that a process nobody asks this way does without. */
function mcpHandlerWhenAsked(options: McpOptions): McpHandler {
  let loading: Promise<McpHandler> | undefined
  return async (req, res) => {
    loading ??= import('@tocsin/mcp-server').then(({ mcpHandler }) => mcpHandler(options))
    const handler = await loading
    await handler(req, res)
  }
}

/**
 * A server that slow, broken or endless requests cannot hold up. With a request under way, a connection may stand still
 * for `stillMs` milliseconds.
 */
export function createServer(
  listener: RequestListener,
  { stillMs = 60_000, mostConnections = 4_000 } = {},
): Server & { readonly turns: Turns } {
  const server = createHttpServer({
    insecureHTTPParser: false,
    requireHostHeader: true,
    headersTimeout: 10_000,
    requestTimeout: 15_000,
    // How often the two above are looked at; Node's own 30 s would make them 45.
    connectionsCheckingInterval: 1_000,
    // Longer than the 60 s of common load balancers, so that they close first and no request meets a closed door.
    keepAliveTimeout: 65_000,
    // And longer than told: senders whose machine stands still for a moment do so late.
    keepAliveTimeoutBuffer: 10_000,
  })
  const answer: RequestListener = (req, res) => {
    const fault = findHeadFault(req.rawHeaders)
    if (fault === undefined) listener(req, res)
    else refuseHead(res, fault)
  }
  // Slow senders must leave files to open for the database and for what is sent.
  const turns = answerInTurn(server, answer, mostConnections)
  // Who does not take its answer. Longer than any answer takes us; what streams at /mcp says something every 15 s.
  server.timeout = stillMs
  server.maxRequestsPerSocket = 10_000
  return Object.assign(server, { turns })
}

/**
 * What Node takes though servers in a row might each read it another way. Node itself refuses a request without a host,
 * and one whose last coding is not `chunked`.
 */
function findHeadFault(rawHeaders: readonly string[]): string | undefined {
  let hosts = 0
  let codings = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const { length } = rawHeaders[at]!
    if (length !== HOST.length && length !== TRANSFER_ENCODING.length) continue
    const name = rawHeaders[at]!.toLowerCase()
    // https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    if (name === HOST && ++hosts > 1) return 'The header Host came more than once: send it once.'
    // https://www.rfc-editor.org/rfc/rfc9112#section-6.1
    if (name === TRANSFER_ENCODING && (++codings > 1 || !/^chunked$/i.test(rawHeaders[at + 1]!.trim()))) {
      return 'The header Transfer-Encoding may say chunked, once, and nothing else: send the body as it is.'
    }
  }
  return undefined
}

const HOST = 'host'
const TRANSFER_ENCODING = 'transfer-encoding'

function refuseHead(res: ServerResponse, fault: string): void {
  res.setHeader('Connection', 'close')
  answerError(res, new TocsinError('invalid_request', fault))
}
