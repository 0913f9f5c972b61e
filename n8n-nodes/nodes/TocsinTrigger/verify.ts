import { createHmac, timingSafeEqual } from 'node:crypto'

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. Pure: the time comes in. */

const TOLERANCE_SECONDS = 300
const PREFIX = 'whsec_'
const LEAST_KEY_BYTES = 24

export interface Signed {
  headers: { [name: string]: string | string[] | undefined }
  /** The bytes as they came; undefined where n8n kept none. */
  rawBody: Buffer | undefined
}

/** What was signed; undefined unless a signature holds for these very bytes, made with this secret, in the last five minutes. */
export function verify(
  { headers, rawBody }: Signed,
  secret: string,
  nowMs: number,
): { id: string; timestamp: string } | undefined {
  const id = single(headers['webhook-id'])
  const timestamp = single(headers['webhook-timestamp'])
  const signatures = single(headers['webhook-signature'])
  const key = keyOf(secret)
  if (!id || !timestamp || !signatures || !key || !rawBody) return undefined
  if (!/^\d{1,12}$/.test(timestamp)) return undefined
  if (Math.abs(Math.floor(nowMs / 1000) - Number(timestamp)) > TOLERANCE_SECONDS) return undefined

  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(rawBody).digest()
  // While a secret is rotated there is a signature for each.
  const holds = signatures.split(' ').some((signature) => isSame(signature, expected))
  return holds ? { id, timestamp } : undefined
}

function single(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined
}

function keyOf(secret: string): Buffer | undefined {
  if (!secret.startsWith(PREFIX)) return undefined
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
  return key.length >= LEAST_KEY_BYTES ? key : undefined
}

function isSame(signature: string, expected: Buffer): boolean {
  const [version, text] = signature.split(',')
  if (version !== 'v1' || text === undefined) return false
  const given = Buffer.from(text, 'base64')
  return given.length === expected.length && timingSafeEqual(given, expected)
}
