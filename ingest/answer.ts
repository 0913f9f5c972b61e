import { randomUUIDv7 } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { ErrorCode, TocsinError } from '@tocsin/core'
import { type Envelope, native } from './envelopes.ts'

/** Status of each code; a new one does not compile until it has one. */
export const STATUS = {
  malformed_body: 400,
  invalid_payload: 400,
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  plan_required: 403,
  ingestion_disabled: 403,
  ip_not_allowed: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  unavailable: 503,
} satisfies Record<ErrorCode, number>

/** Code of the edge itself. */
const EDGE_STATUS = { internal_error: 500 }

type Headers = Record<string, string | number>

/** Answers JSON without express's `res.json`: no etag, no charset lookup, one write. */
export function answerJson(res: ServerResponse, status: number, body: unknown, headers?: Headers): void {
  answerJsonText(res, status, JSON.stringify(body), headers)
}

export function answerJsonText(
  res: ServerResponse,
  status: number,
  text: string | Buffer,
  headers?: Headers,
): void {
  answerText(res, status, 'application/json', text, headers)
}

export function answerMarkdown(res: ServerResponse, status: number, text: string): void {
  answerText(res, status, 'text/markdown', text)
}

function answerText(
  res: ServerResponse,
  status: number,
  type: string,
  text: string | Buffer,
  headers?: Headers,
): void {
  res.writeHead(status, {
    'Content-Type': `${type}; charset=utf-8`,
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    ...headers,
  })
  res.end(text)
}

/** Answers an expected refusal. */
export function answerError(res: ServerResponse, error: TocsinError, envelope?: Envelope): void {
  const seconds = error.retryAfterSeconds ?? RETRY_AFTER_SECONDS[error.code]
  answerFault(res, STATUS[error.code], error.code, error.message, {
    envelope,
    requestId: error.requestId,
    details: error.details,
    headers: {
      ...(seconds !== undefined && { 'Retry-After': Math.max(1, Math.ceil(seconds)) }),
      // Core knows them where the address alone does not.
      ...(Array.isArray(error.details?.allow) && { Allow: error.details.allow.join(', ') }),
    },
  })
}

/** Answers that this address knows other methods. */
export function answerMethodNotAllowed(
  res: ServerResponse,
  allow: readonly string[],
  message: string,
  envelope?: Envelope,
): void {
  const code = 'method_not_allowed'
  answerFault(res, STATUS[code], code, message, { envelope, headers: { Allow: allow.join(', ') } })
}

/** Answers a bug of ours on a path that receives nothing. */
export function answerInternalError(res: ServerResponse, requestId: string): void {
  const code = 'internal_error'
  const message = 'Something went wrong on our side; the log of the process tells more under this request id.'
  answerFault(res, EDGE_STATUS[code], code, message, { requestId })
}

/** Every code an error answer may carry. */
export const ANSWERED_CODES: readonly string[] = [...Object.keys(STATUS), ...Object.keys(EDGE_STATUS)]

/** An id as core gives them, so that an answer does not tell whether the request log has it. */
export function newRequestId(): string {
  return randomUUIDv7()
}

// Where the error itself does not say.
const RETRY_AFTER_SECONDS: Partial<Record<ErrorCode, number>> = { rate_limited: 60, unavailable: 5 }

function answerFault(
  res: ServerResponse,
  status: number,
  code: string,
  message: string,
  more: {
    requestId?: string | undefined
    details?: Record<string, unknown> | undefined
    headers?: Headers
    envelope?: Envelope | undefined
  },
): void {
  const requestId = more.requestId ?? requestIdOf(res) ?? newRequestId()
  const answer = (more.envelope ?? native).refused({
    status,
    code,
    message,
    requestId,
    details: more.details,
  })
  answerJson(res, answer.status, answer.body, { ...more.headers, 'X-Request-Id': requestId })
}

/** The id this request already answers with. */
export function requestIdOf(res: ServerResponse): string | undefined {
  const header = res.getHeader('X-Request-Id')
  return typeof header === 'string' ? header : undefined
}
