import { createHmac, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { Webhook, WebhookVerificationError } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { isSigningSecret, newSigningSecret, signedHeaders } from '../../../core/delivery/sign.ts'

const id = '019a6d3c-5f0e-7c7a-9c55-0f7d7b0d2a11'
const body = JSON.stringify({
  type: 'test',
  timestamp: '2026-11-21T08:00:00.000Z',
  data: { text: 'Grüße 🚨' },
})

function sign(overrides: Partial<Parameters<typeof signedHeaders>[0]> = {}) {
  return signedHeaders({
    id,
    at: Date.now(),
    body,
    secrets: [newSigningSecret(randomBytes)],
    signature: null,
    ...overrides,
  })
}

describe('the official library', () => {
  test('accepts what we sign, whatever the body', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const secret = newSigningSecret(randomBytes)
        const text = JSON.stringify({ data: value })
        const headers = sign({ body: text, secrets: [secret] })
        expect(new Webhook(secret).verify(text, headers)).toEqual(JSON.parse(text))
      }),
    )
  })

  test('signs the same', () => {
    const secret = newSigningSecret(randomBytes)
    const at = Date.parse('2026-11-21T08:00:00.999Z')
    expect(sign({ secrets: [secret], at })['webhook-signature']).toBe(
      new Webhook(secret).sign(id, new Date(at), body),
    )
  })

  test('accepts the old and the new secret while a rotation overlaps', () => {
    const secrets = [newSigningSecret(randomBytes), newSigningSecret(randomBytes)]
    const headers = sign({ secrets })
    for (const secret of secrets) new Webhook(secret).verify(body, headers)
    expect(headers['webhook-signature']!.split(' ')).toHaveLength(2)
  })

  test.each([
    ['a changed body', () => ({ text: `${body} ` })],
    ['another id', () => ({ 'webhook-id': 'another' })],
    ['a changed time', () => ({ 'webhook-timestamp': String(Math.floor(Date.now() / 1000) + 1) })],
    ['a wrong secret', () => ({ secret: newSigningSecret(randomBytes) })],
    ['an attempt of six minutes ago', () => ({ at: Date.now() - 360_000 })],
  ])('refuses %s', (_what, change) => {
    const secret = newSigningSecret(randomBytes)
    const {
      text = body,
      secret: verifySecret = secret,
      at = Date.now(),
      ...headers
    } = change() as {
      text?: string
      secret?: string
      at?: number
    }
    const signed = sign({ secrets: [secret], at })
    new Webhook(secret).verify(body, sign({ secrets: [secret] }))
    expect(() => new Webhook(verifySecret).verify(text, { ...signed, ...headers })).toThrow(
      WebhookVerificationError,
    )
  })
})

test('the second header is the HMAC of the body alone, keyed with the whole secret as text', () => {
  const secret = newSigningSecret(randomBytes)
  const headers = sign({
    secrets: [secret, newSigningSecret(randomBytes)],
    signature: { header: 'X-Uptimera-Signature', format: 'hex' },
  })
  expect(headers['x-uptimera-signature']).toBe(
    createHmac('sha256', Buffer.from(secret, 'utf8')).update(body).digest('hex'),
  )
  expect(secret).toMatch(/^whsec_/)
})

test.each([
  [newSigningSecret(randomBytes), true],
  [`whsec_${randomBytes(24).toString('base64')}`, true],
  [`whsec_${randomBytes(64).toString('base64')}`, true],
  [`whsec_${randomBytes(23).toString('base64')}`, false],
  [`whsec_${randomBytes(65).toString('base64')}`, false],
  [randomBytes(32).toString('base64'), false],
  ['whsec_', false],
  [`whsec_${randomBytes(32).toString('base64').slice(0, -1)}`, false],
  [`whsec_${randomBytes(32).toString('base64')} `, false],
  [`whsec_${'-'.repeat(43)}=`, false],
])('%j can be signed with: %j', (secret, wanted) => {
  expect(isSigningSecret(secret)).toBe(wanted)
})
