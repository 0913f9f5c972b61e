import { hash } from 'node:crypto'
import { type OnceRequest, TocsinError } from '@tocsin/core'

/** One write as it came in. */
export interface Write {
  method: string
  /** Path and query, as sent. */
  url: string
  body: Buffer
  projectId: string | null
}

/** The header `Idempotency-Key` of a write; undefined where there is none. Throws `invalid_request`. */
export function idempotencyKeyOf(
  method: string,
  headers: ReadonlyMap<string, readonly string[]>,
): string | undefined {
  const values = headers.get('idempotency-key')
  if (!values || method === 'GET' || method === 'HEAD') return undefined
  const [key] = values
  if (values.length === 1 && key !== undefined && /^[\x20-\x7e]{1,255}$/.test(key)) return key
  throw new TocsinError(
    'invalid_request',
    'The header Idempotency-Key must come once and hold 1 to 255 characters of ASCII, such as a UUID.',
  )
}

/** What core knows a write under a key by. */
export function onceRequest(key: string, { method, url, body, projectId }: Write): OnceRequest {
  const bytes = Buffer.concat([Buffer.from(`${method} ${url}\n`), body])
  return { key, requestHash: hash('sha256', bytes, 'base64url'), projectId }
}
