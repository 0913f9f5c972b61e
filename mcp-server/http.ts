import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Log, type Tocsin, TocsinError } from '@tocsin/core'
import { withObjectArguments } from './object-arguments.ts'
import { answer2025 } from './sdk-2025.ts'
import {
  createHandler2026,
  hostHeaderValidation,
  isLegacyRequest,
  originValidation,
  toNodeHandler,
} from './sdk-2026.ts'
import { createSurface, type Surface } from './surface.ts'
import { wrongParams } from './wrong-params.ts'

export interface McpOptions {
  /** The use-cases as the owner of this key has them; undefined where it is unknown or expired. */
  authenticate(key: string): Promise<Tocsin | undefined>
  /** Names the server may be called by, without port; pages of other hosts are refused, too. */
  hosts: readonly string[]
  readOnly?: boolean
  log: Log
  /** As in SurfaceOptions. */
  isAddressGuessed?: boolean
  serverUrl?: string | null
}

/** What may stand before `/mcp`: a request of a key, answered by the version of the protocol it speaks. */
export interface Eras {
  methods: readonly string[]
  /** Protocols up to 2025-11-25. */
  legacy(request: Request, surface: Surface): Promise<Response>
  /** Revision 2026-07-28. */
  modern(request: Request, surface: Surface): Promise<Response>
}

export type McpHandler = (req: IncomingMessage, res: ServerResponse) => Promise<void>

/** Answers `/mcp`, whichever version of the protocol is spoken; keeps nothing between requests. */
export function mcpHandler(options: McpOptions): McpHandler {
  const modern = createHandler2026((error) => options.log('debug', 'mcp request refused', { err: error }))
  return guardedHandler(options, {
    // No streams and no sessions to read or end: neither version needs them where nothing is kept.
    methods: ['POST'],
    legacy: answer2025,
    modern: (request, surface) => modern.fetch(request, { authInfo: authInfoOf(surface) }),
  })
}

/** Everything that holds whatever is served: host, origin, method, key, size. */
export function guardedHandler(options: McpOptions, eras: Eras): McpHandler {
  const { authenticate, hosts, readOnly, log, isAddressGuessed, serverUrl } = options
  const isHostAllowed = hostHeaderValidation([...LOOPBACK, ...hosts])
  const isOriginAllowed = originValidation([...LOOPBACK, ...hosts])
  const serve = toNodeHandler(
    {
      fetch: async (received, given) => {
        const surface = given?.authInfo?.extra?.surface as Surface
        const text = received.body === null ? null : await received.text()
        const refusal = text === null ? undefined : wrongParams(text)
        if (refusal !== undefined)
          return new Response(refusal, { headers: { 'Content-Type': 'application/json' } })
        const request = text === null ? received : new Request(received, { body: withObjectArguments(text) })
        return (await isLegacyRequest(request))
          ? eras.legacy(request, surface)
          : eras.modern(request, surface)
      },
    },
    {
      maxRequestBodySize: MOST_BYTES,
      onerror: (error) => log('error', 'mcp request failed', { err: error }),
    },
  )

  return async (req, res) => {
    if (!isHostAllowed(req, res) || !isOriginAllowed(req, res)) {
      log(
        'warn',
        'mcp refused a host or page it does not know; TOCSIN_ALLOWED_HOSTS or --allow-host names more',
      )
      return
    }
    if (!eras.methods.includes(req.method ?? '')) {
      return refuse(res, 405, 'This address takes POST.', { Allow: eras.methods.join(', ') })
    }
    const key = bearerOf(req)
    const tocsin = key === undefined ? undefined : await authenticated(authenticate, key)
    if (tocsin === 'unavailable') {
      return refuse(res, 503, 'Tocsin is busy or away: try again.', { 'Retry-After': '1' })
    }
    if (!tocsin) {
      return refuse(res, 401, 'Send Authorization: Bearer <key> with a valid API key of Tocsin.', {
        'WWW-Authenticate': `Bearer realm="tocsin"${key === undefined ? '' : ', error="invalid_token"'}`,
      })
    }
    const surface = createSurface({
      tocsin,
      readOnly: readOnly ?? false,
      log,
      now: () => new Date(),
      random: randomUUID,
      ...(isAddressGuessed !== undefined && { isAddressGuessed }),
      ...(serverUrl !== undefined && { serverUrl }),
    })
    res.setHeader('Cache-Control', 'no-store')
    await serve(Object.assign(req, { auth: authInfoOf(surface) }), res)
  }
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']
const MOST_BYTES = 1024 * 1024

/** The SDK's place for what belongs to a request; the key itself is not handed on. */
function authInfoOf(surface: Surface) {
  return { token: '', clientId: 'tocsin', scopes: [], extra: { surface } }
}

function bearerOf(req: IncomingMessage): string | undefined {
  // Sent twice, it would be joined or dropped elsewhere.
  const lines = req.rawHeaders.filter(
    (_, i) => i % 2 === 1 && req.rawHeaders[i - 1]!.toLowerCase() === 'authorization',
  )
  return lines.length === 1 ? /^Bearer +(\S{1,500})$/i.exec(lines[0]!)?.[1] : undefined
}

async function authenticated(
  authenticate: McpOptions['authenticate'],
  key: string,
): Promise<Tocsin | undefined | 'unavailable'> {
  try {
    return await authenticate(key)
  } catch (error) {
    if (error instanceof TocsinError && error.code === 'unavailable') return 'unavailable'
    throw error
  }
}

function refuse(res: ServerResponse, status: number, message: string, headers: Record<string, string>): void {
  const body = JSON.stringify({ jsonrpc: '2.0', error: { code: -32000, message }, id: null })
  res.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    ...headers,
  })
  res.end(body)
}
