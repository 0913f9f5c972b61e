import { isIP } from 'node:net'
import {
  adapterBySlug,
  adapters,
  bareAddress,
  findHeaderFault,
  type HookRequest,
  type Log,
  type OpenedTocsin,
  type ReceiveAddress,
  TocsinError,
} from '@tocsin/core'
import { type NextFunction, type Request, type Response, Router } from 'express'
import { answerJson, answerMethodNotAllowed } from '../answer.ts'
import { envelopeAt } from '../envelopes.ts'
import { receivingErrorHandler } from '../error-handler.ts'
import { collectBody, queryOf, readHeaders } from '../read-body.ts'
import { within } from '../within.ts'

type WebhookParams = Record<string, string>

/** One kind of address that receives webhooks; the router answers at it, the OpenAPI document describes it. */
export interface WebhookAddress {
  id: string
  path: string
  summary: string
  /** Where the credential is: among what the tool sends, or the token in the address. */
  credential: 'request' | 'address'
  /** The tool, where the address is that of one alone. */
  adapter?: string
  toAddress(params: WebhookParams, query: URLSearchParams): ReceiveAddress
}

/**
 * With so many webhooks under way, those of tools that send again are refused. The others get the time: Sentry waits one
 * second, and what it does not send again would be lost.
 */
const MOST_UNDER_WAY = 250

/**
 * Longest time from the body to the answer, in milliseconds: an Alertmanager may give up after ten seconds. A database
 * that is away can take one time limit for each thing it is asked.
 */
const LONGEST_MS = 8_000

const IRM_PATH = '/api/experimental/incoming-webhooks/grafana.incident.create'

const BELOW_GRAFANA = /^\/[^?]*\/api\/plugins\/(?=[^/?]+\/resources\/api\/experimental\/incoming-webhooks\/)/

export const webhookAddresses: readonly WebhookAddress[] = [
  {
    id: 'receiveAtProject',
    path: '/api/v1/webhooks/:projectId/:adapter',
    summary: 'Receive a webhook at the address of a project',
    credential: 'request',
    toAddress: ({ projectId, adapter }, query) => ({
      kind: 'project',
      projectId: projectId!,
      adapter: adapter!,
      sourceId: query.get('source') || null,
    }),
  },
  {
    id: 'receiveAtToken',
    path: '/api/webhooks/:adapter/:token',
    summary: 'Receive a webhook at an address that is its own credential',
    credential: 'address',
    toAddress: ({ adapter, token }) => ({ kind: 'token', token: token!, adapter: adapter! }),
  },
  {
    id: 'receiveAtShortToken',
    path: '/webhooks/:token',
    summary:
      "Receive a webhook at the short address, where the source knows its tool; answers in Runframe's shape",
    credential: 'address',
    toAddress: ({ token }) => ({ kind: 'token', token: token!, adapter: null }),
  },
  dropIn(
    'receiveGitPulse',
    '/api/incidents/webhook/',
    'gitpulse',
    "Receive what was built for GitPulse's webhook",
  ),
  dropIn(
    'receiveGrafanaIrm',
    IRM_PATH,
    'grafana-irm',
    "Receive what was built for Grafana IRM's incoming webhook",
  ),
  dropIn(
    'receiveGrafanaIrmPlugin',
    `/api/plugins/:plugin/resources${IRM_PATH}`,
    'grafana-irm',
    'The same, below the path of the plugin',
  ),
  dropIn(
    'receivePagerDutyEvent',
    '/v2/enqueue',
    'pagerduty-events',
    "Receive an event of PagerDuty's Events API v2",
  ),
  dropIn(
    'receivePagerDutyChange',
    '/v2/change/enqueue',
    'pagerduty-events',
    "Receive a change event of PagerDuty's Events API v2; it only informs",
  ),
]

function dropIn(id: string, path: string, adapter: string, summary: string): WebhookAddress {
  return {
    id,
    path,
    adapter,
    summary,
    credential: 'request',
    toAddress: (_, query) => ({ kind: 'drop-in', adapter, sourceId: query.get('source') || null }),
  }
}

/** A path with its query as the router knows it. */
function asRouted(url: string): string {
  if (!url.includes(IRM_PATH)) return url
  return (
    url
      // Grafana's page shows the address with a query that begins with `&` in place of a question mark.
      .replace(`${IRM_PATH}&`, `${IRM_PATH}?&`)
      // A Grafana that is served below a path of its own has its plugins there, too.
      .replace(BELOW_GRAFANA, '/api/plugins/')
  )
}

/**
 * A path with its query, as core gets it from a request of that tool. A query alone is one for the tool's usual address;
 * the path of the public address is the proxy's business. Throws `invalid_request` where none of that tool would be
 * received there.
 */
export function receivingPath(url: string, tool: string, publicUrl: string): string {
  if (url.startsWith('?')) return url
  const base = new URL(publicUrl).pathname.replace(/\/$/, '')
  const routed = asRouted(url.startsWith(`${base}/`) ? url.slice(base.length) : url)
  const parts = routed.replace(/\?.*/s, '').replace(/\/$/, '').split('/')
  const address = webhookAddresses.find(({ path }) => {
    const names = path.replace(/\/$/, '').split('/')
    return (
      names.length === parts.length &&
      names.every((name, i) => (name.startsWith(':') ? parts[i] !== '' : name === parts[i]))
    )
  })
  const owner = address?.adapter ?? (address?.path.includes(':adapter') ? toolIn(parts, address.path) : tool)
  if (address && owner === tool) return routed
  throw new TocsinError(
    'invalid_request',
    address
      ? `Field "path" is not an address of ${tool}: send one of its own, or the adapter that belongs to it.`
      : 'Field "path" is no address that receives webhooks: send one such as /v2/change/enqueue, without the host, or a query alone such as ?title=json(a.b).',
  )
}

function toolIn(parts: readonly string[], path: string): string | undefined {
  return parts[path.split('/').indexOf(':adapter')]
}

/** Answers 2xx once what a webhook says is committed. */
export function webhookRoutes(tocsin: OpenedTocsin, log: Log, longestMs = LONGEST_MS): Router {
  const router = Router({ caseSensitive: true })

  router.use((req: Request, _res: Response, next: NextFunction) => {
    req.url = asRouted(req.url)
    next()
  })

  let underWay = 0
  for (const { path, adapter, toAddress } of webhookAddresses) {
    const toolOf = (req: Request<WebhookParams>) => adapter ?? req.params.adapter
    const receive = async (req: Request<WebhookParams>, res: Response) => {
      const tool = toolOf(req)
      const query = queryOf(req)
      const headers = readHeaders(req.rawHeaders)
      const isGet = req.method === 'GET'
      // At the short address core knows which tool it is, and what that one may send.
      const fault =
        isGet || tool === undefined ? undefined : findHeaderFault(headers, adapterBySlug(tool)?.bodies)
      const { bytes, refusal, cutOff } = await collectBody(req, fault)
      if (cutOff) res.setHeader('Connection', 'close')
      if (refusal?.code === 'unavailable') throw refusal
      // Not before the body is there: bodies that do not come must keep out nobody.
      if (underWay >= MOST_UNDER_WAY && tool !== undefined && adapterBySlug(tool)?.repeats) {
        const message = 'More comes in at once than can be answered in time: send it again.'
        throw new TocsinError('unavailable', message, { retryAfterSeconds: 1 })
      }

      const request: HookRequest = {
        method: req.method,
        path: req.path,
        query: isGet ? new URLSearchParams() : query,
        headers,
        // What a GET says stands in its query.
        rawBody: isGet ? Buffer.from(query.toString()) : bytes,
        receivedAt: tocsin.now().toISOString(),
        ip: senderIp(req),
      }
      underWay += 1
      const receiving = tocsin.receive(request, toAddress(req.params, query), refusal).finally(() => {
        underWay -= 1
      })
      const received = await within(longestMs, receiving, tooLate)
      const { status, body } = envelopeAt(req.path).received(received)
      answerJson(res, status, body, { 'X-Request-Id': received.requestId })
    }

    const onlyIf = (method: string) => (req: Request<WebhookParams>, res: Response, next: NextFunction) =>
      req.method === method && methodsOf(toolOf(req)).includes(method) ? receive(req, res) : next()

    router.post(path, receive)
    for (const method of methodsOf(adapter)) {
      if (method === 'PUT') router.put(path, onlyIf('PUT'))
      if (method === 'GET') router.get(path, onlyIf('GET'))
      if (method === 'OPTIONS') router.options(path, answerHandshake)
    }
    router.all(path, (req: Request<WebhookParams>, res: Response) => {
      const allow = ['POST', ...methodsOf(toolOf(req))]
      const message = `Webhooks come here by ${allow.join(' or ')} with a JSON body, not by ${req.method}.`
      answerMethodNotAllowed(res, allow, message, envelopeAt(req.path))
    })
  }

  router.use(receivingErrorHandler(log))
  return router

  /**
   * A sender of CloudEvents asks first whether it may send.
   * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection
   */
  function answerHandshake(req: Request<WebhookParams>, res: Response, next: NextFunction): void {
    const origin = req.get('webhook-request-origin')
    if (origin === undefined || !methodsOf(req.params.adapter).includes('OPTIONS')) {
      next()
      return
    }
    res.writeHead(200, {
      Allow: 'POST, OPTIONS',
      'WebHook-Allowed-Origin': origin,
      'WebHook-Allowed-Rate': '*',
      'Cache-Control': 'no-store',
      'Content-Length': 0,
    })
    res.end()
  }
}

/** Should it be stored after all, the sender's repeat is a duplicate. */
function tooLate(): TocsinError {
  return new TocsinError('unavailable', 'The database is busy or away; try again.', { retryAfterSeconds: 1 })
}

/** Methods besides POST of a tool; at the short address, which does not name it, of all of them. */
export function methodsOf(tool: string | undefined): readonly string[] {
  return tool === undefined ? ALL_METHODS : (adapterBySlug(tool)?.methods ?? [])
}

const ALL_METHODS = [...new Set(adapters.flatMap(({ methods }) => methods ?? []))]

/**
 * The sender behind trusted proxies, without the port some write, an IPv4 address in its usual form even on a double-stack
 * socket. `unknown`, which is
 * in no list, where the connection is gone or what a proxy wrote is no address.
 */
function senderIp(req: Request<WebhookParams>): string {
  const ip = bareAddress(req.ip ?? '')
  return isIP(ip) === 0 ? 'unknown' : ip
}
