import { createHmac } from 'node:crypto'

/** Signatures of outgoing messages: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */

const PREFIX = 'whsec_'
/** What the specification wants of a key. */
const LEAST_BYTES = 24
const MOST_BYTES = 64

/** A second header for receivers built for another sender: HMAC-SHA256 of the body alone. */
export interface SignatureOption {
  header: string
  format: 'hex' | 'base64'
}

/** A new secret as receivers get it: `whsec_` and 32 random bytes in base64. */
export function newSigningSecret(random: (size: number) => Buffer): string {
  return PREFIX + random(32).toString('base64')
}

/** Whether a text is a secret we can sign with. */
export function isSigningSecret(secret: string): boolean {
  const text = secret.slice(PREFIX.length)
  if (!secret.startsWith(PREFIX) || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return false
  const bytes = Buffer.from(text, 'base64')
  // One text per key, so that the second header's key is beyond doubt.
  return bytes.length >= LEAST_BYTES && bytes.length <= MOST_BYTES && bytes.toString('base64') === text
}

/**
 * The headers of one attempt. `secrets`, newest first: all of them sign while a rotation overlaps. The second header
 * has room for one signature only, the newest; its key is the whole secret as text, `whsec_` included.
 */
export function signedHeaders(options: {
  id: string
  /** Time of this attempt, in milliseconds. */
  at: number
  body: string
  secrets: readonly string[]
  signature: SignatureOption | null
}): Record<string, string> {
  const { id, at, body, secrets, signature } = options
  const timestamp = String(Math.floor(at / 1000))
  const content = `${id}.${timestamp}.${body}`
  const headers: Record<string, string> = {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': secrets.map((secret) => `v1,${standardSignature(secret, content)}`).join(' '),
  }
  const [newest] = secrets
  if (signature && newest !== undefined) {
    headers[signature.header.toLowerCase()] = createHmac('sha256', newest)
      .update(body)
      .digest(signature.format)
  }
  return headers
}

function standardSignature(secret: string, content: string): string {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
  return createHmac('sha256', key).update(content).digest('base64')
}
