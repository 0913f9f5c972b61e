import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { HookRequest } from '../types.ts'
import { readTime } from './read-time.ts'

/** Known to nobody outside this process, so that how far two digests agree tells an observer nothing. */
const COMPARISON_KEY = randomBytes(32).toString('hex')

/** How far a signed time may be from the arrival: what is older may be a replay of a request somebody caught. */
const SIGNED_TIME_TOLERANCE_MS = 300_000

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

/** Whether a signed time, as sent, is within five minutes of the arrival. */
export function isRecent(request: HookRequest, sentAt: string | undefined): boolean {
  const time = readTime(sentAt)
  return (
    time !== null && Math.abs(Date.parse(request.receivedAt) - Date.parse(time)) <= SIGNED_TIME_TOLERANCE_MS
  )
}

/**
 * Whether the three headers of Standard Webhooks vouch for the body, under a secret of that form (`whsec_…`).
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function hasStandardSignature(request: HookRequest, secret: string): boolean {
  const [id, sentAt, signatures] = STANDARD_HEADERS.map((name) => header(request, name))
  if (id === undefined || signatures === undefined || !secret.startsWith('whsec_')) return false
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  if (key.length === 0 || !isRecent(request, sentAt)) return false

  const expected = `v1,${createHmac('sha256', key).update(`${id}.${sentAt}.`).update(request.rawBody).digest('base64')}`
  return signatures.split(' ').some((signature) => sameText(signature, expected))
}

/** The id, the time and the signature of a Standard Webhook. */
export const STANDARD_HEADERS = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const

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
