import { randomBytes, randomUUID } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { signedHeaders } from '../../core/delivery/sign.ts'
import { verify } from '../../n8n-nodes/nodes/TocsinTrigger/verify.ts'

const secret = newSecret()
const now = Date.parse('2026-11-21T08:00:00.000Z')
const body = '{"type":"incident.opened","data":{"title":"Ümlaut ✓"}}'

function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

/** Headers as the official library makes them. */
function headersBy(key: string, { id = randomUUID() as string, at = now, text = body } = {}) {
  return {
    'webhook-id': id,
    'webhook-timestamp': `${Math.floor(at / 1000)}`,
    'webhook-signature': new Webhook(key).sign(id, new Date(at), text),
  }
}

const check = (headers: Record<string, string | string[] | undefined>, text = body, key = secret) =>
  verify({ headers, rawBody: Buffer.from(text) }, key, now)

describe('a signature of Standard Webhooks', () => {
  test('made by the official library holds, and tells id and time', () => {
    const headers = headersBy(secret)
    expect(check(headers)).toEqual({ id: headers['webhook-id'], timestamp: headers['webhook-timestamp'] })
  })

  test('made by Tocsin holds, also while two secrets sign', () => {
    const at = now
    const signed = (secrets: string[]) => signedHeaders({ id: 'm1', at, body, secrets, signature: null })
    expect(check(signed([secret]))?.id).toBe('m1')
    expect(check(signed([newSecret(), secret]))?.id).toBe('m1')
    expect(check(signed([newSecret(), newSecret()]))).toBeUndefined()
  })

  test('of another body, id, time or secret does not hold', () => {
    const headers = headersBy(secret)
    expect(check(headers, body.replace('✓', '!'))).toBeUndefined()
    expect(check({ ...headers, 'webhook-id': 'other' })).toBeUndefined()
    expect(check({ ...headers, 'webhook-timestamp': '1795248001' })).toBeUndefined()
    expect(check(headers, body, newSecret())).toBeUndefined()
  })

  test.each([
    ['five minutes old', -300_000, true],
    ['older', -301_000, false],
    ['five minutes ahead', 300_000, true],
    ['further ahead', 301_000, false],
  ])('%s: %d ms, %s', (_, offset, holds) => {
    expect(check(headersBy(secret, { at: now + offset })) !== undefined).toBe(holds)
  })

  test.each([
    ['no id', { 'webhook-id': undefined }],
    ['no time', { 'webhook-timestamp': undefined }],
    ['no signature', { 'webhook-signature': undefined }],
    ['a time in words', { 'webhook-timestamp': 'now' }],
    ['a time with a tail', { 'webhook-timestamp': '1795248000 ' }],
    ['a negative time', { 'webhook-timestamp': '-1' }],
    ['two ids', { 'webhook-id': ['a', 'b'] }],
    ['an empty signature', { 'webhook-signature': 'v1,' }],
    ['a signature cut short', { 'webhook-signature': headersBy(secret)['webhook-signature'].slice(0, 20) }],
    ['nothing but spaces', { 'webhook-signature': '   ' }],
  ])('%s is refused', (_, change) => {
    expect(check({ ...headersBy(secret), ...change })).toBeUndefined()
  })

  test('another version of the scheme is not taken for the first', () => {
    const headers = headersBy(secret)
    const renamed = headers['webhook-signature'].replace('v1,', 'v2,')
    expect(check({ ...headers, 'webhook-signature': renamed })).toBeUndefined()
    expect(
      check({ ...headers, 'webhook-signature': `${renamed} ${headers['webhook-signature']}` }),
    ).toBeDefined()
  })

  test('nothing holds without a body or with a secret that is none', () => {
    const headers = headersBy(secret)
    expect(verify({ headers, rawBody: undefined }, secret, now)).toBeUndefined()
    for (const key of ['', 'whsec_', 'whsec_c2hvcnQ=', secret.slice('whsec_'.length)]) {
      expect(check(headers, body, key)).toBeUndefined()
    }
  })

  test('the official library agrees on each of a hundred messages, whole and altered', () => {
    for (let round = 0; round < 100; round++) {
      const key = newSecret()
      const text = JSON.stringify(randomBytes(round).toString('base64'))
      const headers = headersBy(key, { text, at: Date.now() })
      const received = round % 2 === 0 ? text : `${text} `
      let official = true
      try {
        new Webhook(key).verify(received, headers)
      } catch {
        official = false
      }
      const ours = verify({ headers, rawBody: Buffer.from(received) }, key, Date.now())
      expect(ours !== undefined).toBe(official)
    }
  })
})
