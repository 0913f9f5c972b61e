import {
  adapterBySlug,
  type HookRequest,
  type Log,
  type OpenedTocsin,
  type ReceiveAddress,
} from '@tocsin/core'
import { type NextFunction, type Request, type Response, Router } from 'express'
import { answerJson, answerMethodNotAllowed } from '../answer.ts'
import { receivingErrorHandler } from '../error-handler.ts'
import { collectBody, findHeaderFault, queryOf, readHeaders } from '../read-body.ts'

type WebhookParams = Record<string, string>

/** One kind of address that receives webhooks; the router answers at it, the OpenAPI document describes it. */
export interface WebhookAddress {
  id: string
  path: string
  summary: string
  /** Where the credential is: among what the tool sends, or the token in the address. */
  credential: 'request' | 'address'
  toAddress(params: WebhookParams, query: URLSearchParams): ReceiveAddress
}

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
    summary: 'Receive a webhook at the short address, where the source knows its tool',
    credential: 'address',
    toAddress: ({ token }) => ({ kind: 'token', token: token!, adapter: null }),
  },
]

/** Answers 200 once what a webhook says is committed. */
export function webhookRoutes(tocsin: OpenedTocsin, log: Log, now: () => Date): Router {
  const router = Router({ caseSensitive: true })

  for (const { path, toAddress } of webhookAddresses) {
    const receive = async (req: Request<WebhookParams>, res: Response) => {
      const query = queryOf(req)
      const headers = readHeaders(req.rawHeaders)
      const { bytes, refusal, cutOff } = await collectBody(req, findHeaderFault(headers))
      if (cutOff) res.setHeader('Connection', 'close')

      const request: HookRequest = {
        method: req.method,
        path: req.path,
        query,
        headers,
        rawBody: bytes,
        receivedAt: now().toISOString(),
        ip: senderIp(req),
      }
      const received = await tocsin.receive(request, toAddress(req.params, query), refusal)
      answerJson(res, 200, received, { 'X-Request-Id': received.requestId })
    }

    router.post(path, receive)
    router.put(path, (req: Request<WebhookParams>, res: Response, next: NextFunction) =>
      takesPut(req.params.adapter) ? receive(req, res) : next(),
    )
    router.all(path, (req: Request<WebhookParams>, res: Response) => {
      const allow = takesPut(req.params.adapter) ? ['POST', 'PUT'] : ['POST']
      const message = `Webhooks come here by ${allow.join(' or ')} with a JSON body, not by ${req.method}.`
      answerMethodNotAllowed(res, allow, message)
    })
  }

  router.use(receivingErrorHandler(log))
  return router
}

/** Some tools can be set to PUT. At the short address the tool is not known yet. */
function takesPut(adapter: string | undefined): boolean {
  return adapter === undefined || adapterBySlug(adapter)?.methods?.includes('PUT') === true
}

/** The sender behind trusted proxies, an IPv4 address in its usual form even on a double-stack socket. */
function senderIp(req: Request<WebhookParams>): string | null {
  return req.ip?.replace(/^::ffff:(?=\d+\.)/i, '') ?? null
}
