import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { HookRequest } from '../types.ts'

/** Known to nobody outside this process, so that how far two digests agree tells an observer nothing. */
const COMPARISON_KEY = randomBytes(32).toString('hex')

/** The value of a header that came exactly once. */
export function header(request: HookRequest, name: string): string | undefined {
  const values = request.headers.get(name.toLowerCase())
  return values?.length === 1 ? values[0] : undefined
}

/** Whether `X-Webhook-Secret` is the secret. */
export function hasSecretHeader(request: HookRequest, secret: string): boolean {
  return isSecret(header(request, 'x-webhook-secret'), secret)
}

/** Whether `Authorization: Bearer` carries the secret. */
export function hasBearer(request: HookRequest, secret: string): boolean {
  return isSecret(credentials(request, 'bearer'), secret)
}

/** Whether `Authorization: Basic` carries the secret: as the password of any user, or as the whole `user:password`. */
export function hasBasic(request: HookRequest, secret: string): boolean {
  const encoded = credentials(request, 'basic')
  if (encoded === undefined) return false

  const pair = Buffer.from(encoded, 'base64').toString('utf8')
  const password = pair.slice(pair.indexOf(':') + 1)
  return pair.includes(':') && (isSecret(password, secret) || isSecret(pair, secret))
}

/** Whether the signature is the lower-case hex HMAC-SHA256 of `prefix` and the content under this secret. */
export function hasHmacSha256(
  content: Buffer,
  signature: string | undefined,
  secret: string,
  prefix = '',
): boolean {
  if (signature === undefined || secret === '') return false
  return sameText(signature, hmacSha256(content, secret, prefix))
}

/** Lower-case hex HMAC-SHA256 of `prefix` and the content. */
export function hmacSha256(content: Buffer | string, secret: string, prefix = ''): string {
  return createHmac('sha256', secret).update(prefix).update(content).digest('hex')
}

/** Compares in time that does not tell where two texts differ; their lengths may. */
export function sameText(left: string, right: string): boolean {
  return timingSafeEqual(comparisonDigest(left), comparisonDigest(right))
}

function isSecret(given: string | undefined, secret: string): boolean {
  return given !== undefined && secret !== '' && sameText(given, secret)
}

function credentials(request: HookRequest, scheme: string): string | undefined {
  const value = header(request, 'authorization')
  const space = value?.indexOf(' ') ?? -1
  if (value === undefined || value.slice(0, space).toLowerCase() !== scheme) return undefined
  return value.slice(space + 1).trim()
}

/** Digests have one length, which `timingSafeEqual` asks for. One call of `hash` is ten times faster than an HMAC. */
function comparisonDigest(text: string): Buffer {
  return hash('sha256', COMPARISON_KEY + text, 'buffer')
}
