import { EventEmitter } from 'node:events'
import { Agent, type Dispatcher, request } from 'undici'
import { readRetryAfter } from './retry-policy.ts'
import { guardedConnector, type Resolve, resolveByDns, TargetRefused, type TargetRules } from './targets.ts'

/** How one attempt ended. */
export interface SendResult {
  /** Null where no answer came. */
  status: number | null
  durationMs: number
  /** What went wrong, in words without any secret; null where an answer came whole. */
  error: string | null
  /** The beginning of the answer's body. */
  excerpt: string | null
  /** What the receiver asked for, in milliseconds from now. */
  retryAfterMs: number | null
}

export interface OutgoingRequest {
  url: string
  headers: Record<string, string>
  body: string
}

export interface Sender {
  send(outgoing: OutgoingRequest): Promise<SendResult>
  /** Breaks off what is under way and closes every connection. */
  close(): Promise<void>
}

/** In milliseconds and bytes (reliability.md 4). */
export interface SendLimits {
  connectMs: number
  headersMs: number
  totalMs: number
  readBytes: number
  keepBytes: number
}

export const SEND_LIMITS: SendLimits = {
  connectMs: 5_000,
  headersMs: 10_000,
  totalMs: 15_000,
  readBytes: 16 * 1024,
  keepBytes: 4 * 1024,
}

/** Success is a 2xx, whole and in time. */
export function isSuccess({ status, error }: Pick<SendResult, 'status' | 'error'>): boolean {
  return error === null && status !== null && status >= 200 && status <= 299
}

/** One agent for everything this process sends: follows no redirect, decompresses nothing, reads little. */
export function createSender(options: {
  rules: TargetRules
  resolve?: Resolve
  limits?: Partial<SendLimits>
  /** Connections to one host; what is sent at once is bounded by the worker. */
  connections?: number
  now?: () => number
}): Sender {
  const { rules, resolve = resolveByDns, connections = 50, now = Date.now } = options
  const limits = { ...SEND_LIMITS, ...options.limits }
  const agent = new Agent({
    connect: guardedConnector({ rules, timeoutMs: limits.connectMs, resolve }),
    connections,
    pipelining: 1,
    headersTimeout: limits.headersMs,
    bodyTimeout: limits.totalMs,
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 30_000,
    maxHeaderSize: 16 * 1024,
  })

  async function send(outgoing: OutgoingRequest): Promise<SendResult> {
    const startedAt = performance.now()
    const stop = new EventEmitter()
    const end = setTimeout(() => stop.emit('abort'), limits.totalMs)

    let answer: Dispatcher.ResponseData | undefined
    const result = (error: string | null, excerpt: string | null): SendResult => ({
      status: answer?.statusCode ?? null,
      durationMs: Math.round(performance.now() - startedAt),
      error,
      excerpt,
      retryAfterMs: readRetryAfter(single(answer?.headers['retry-after']), now()),
    })

    let read = ''
    try {
      answer = await request(outgoing.url, {
        dispatcher: agent,
        method: 'POST',
        headers: outgoing.headers,
        body: outgoing.body,
        signal: stop,
      })
      const { body } = answer
      // A body that is broken off reports that a second time.
      body.on('error', () => {})
      const chunks: Buffer[] = []
      let size = 0
      try {
        for await (const chunk of body) {
          chunks.push(chunk as Buffer)
          size += (chunk as Buffer).length
          if (size >= limits.readBytes) break
        }
      } finally {
        read = beginningOf(Buffer.concat(chunks), limits.keepBytes)
      }
      return result(null, read)
    } catch (error) {
      return result(describe(error), answer ? read : null)
    } finally {
      clearTimeout(end)
      if (answer && !answer.body.readableEnded) answer.body.destroy()
    }
  }

  return { send, close: () => agent.destroy() }
}

/** As much text as is that long at most, also after bytes that are none have become U+FFFD, three bytes each. */
function beginningOf(bytes: Buffer, mostBytes: number): string {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, mostBytes), {
    // Leaves out a character that is cut in half.
    stream: true,
  })
  return text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(mostBytes)).read)
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

/** Words of ours for what went wrong: texts of libraries may hold the address, and the address a token. */
function describe(error: unknown): string {
  if (error instanceof TargetRefused) return error.message
  const code = codeOf(error)
  if (code === '') return 'Sending failed.'
  return (
    TEXTS[code] ?? (/CERT|TLS|SSL|EPROTO/.test(code) ? `TLS failed (${code}).` : `Sending failed (${code}).`)
  )
}

const TEXTS: Record<string, string> = {
  UND_ERR_ABORTED: 'No whole answer in time.',
  UND_ERR_CONNECT_TIMEOUT: 'No connection in time.',
  UND_ERR_HEADERS_TIMEOUT: 'No answer in time.',
  UND_ERR_BODY_TIMEOUT: 'No whole answer in time.',
  UND_ERR_HEADERS_OVERFLOW: 'The headers of the answer are too large.',
  UND_ERR_SOCKET: 'The connection was closed before the answer was whole.',
  ECONNRESET: 'The connection was reset.',
  ECONNREFUSED: 'The connection was refused.',
  ENOTFOUND: 'The name of the host is unknown.',
  EAI_AGAIN: 'The name of the host could not be looked up.',
  EHOSTUNREACH: 'The host cannot be reached.',
  ENETUNREACH: 'The network cannot be reached.',
  ETIMEDOUT: 'No connection in time.',
}

function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof AggregateError && at.errors.length > 0) return codeOf(at.errors[0])
    if ('code' in at && typeof at.code === 'string') return at.code
  }
  return ''
}
