/** Codes a caller can act on. The HTTP edge maps each to a status; a new one does not compile until it has one. */
export type ErrorCode =
  | 'malformed_body'
  | 'invalid_payload'
  | 'invalid_request'
  | 'unauthorized'
  | 'forbidden'
  | 'plan_required'
  | 'ingestion_disabled'
  | 'ip_not_allowed'
  | 'not_found'
  | 'method_not_allowed'
  | 'conflict'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'rate_limited'
  | 'unavailable'

/**
 * An expected outcome: a code and a sentence that names the field, the value's problem and the remedy.
 * Never holds text of a payload or a secret. Anything else thrown is a bug.
 */
export class TocsinError extends Error {
  readonly code: ErrorCode
  /** Seconds until another try makes sense (429, 503). */
  readonly retryAfterSeconds: number | undefined
  /** Where the request log tells more about a refused webhook. */
  readonly requestId: string | undefined
  /** Further members of the error answer, such as `duplicate: true`. */
  readonly details: Record<string, unknown> | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      cause?: unknown
      retryAfterSeconds?: number
      requestId?: string
      details?: Record<string, unknown>
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'TocsinError'
    this.code = code
    this.retryAfterSeconds = options.retryAfterSeconds
    this.requestId = options.requestId
    this.details = options.details
  }
}
