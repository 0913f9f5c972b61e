import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  hasBasic,
  hasBearer,
  hasHmacSha256,
  hasSecretHeader,
  header,
  sameText,
} from '../../../core/adapters/signatures.ts'
import { hookRequest } from './payload.ts'

const SECRET = 'pässword:with a colon'

function authorization(value: string) {
  return hookRequest({ headers: { authorization: value } })
}

function basic(pair: string) {
  return authorization(`Basic ${Buffer.from(pair).toString('base64')}`)
}

test('a header is found in any case, and not at all when it came twice', () => {
  const request = hookRequest({ headers: { 'X-Name': 'value' } })
  expect(header(request, 'x-NAME')).toBe('value')
  expect(header(request, 'x-other')).toBeUndefined()
  const twice = { ...request, headers: new Map([['x-name', ['value', 'value']]]) }
  expect(header(twice, 'x-name')).toBeUndefined()
})

test('X-Webhook-Secret must be the secret exactly', () => {
  const given = (value: string) => hookRequest({ headers: { 'x-webhook-secret': value } })
  expect(hasSecretHeader(given(SECRET), SECRET)).toBe(true)
  for (const value of ['', `${SECRET} `, SECRET.toUpperCase(), SECRET.slice(1)]) {
    expect(hasSecretHeader(given(value), SECRET)).toBe(false)
  }
  expect(hasSecretHeader(given(''), '')).toBe(false)
})

test('a bearer token is read whatever the case of its scheme', () => {
  expect(hasBearer(authorization(`bearer ${SECRET}`), SECRET)).toBe(true)
  expect(hasBearer(authorization(`BEARER  ${SECRET}`), SECRET)).toBe(true)
  for (const value of [SECRET, `Basic ${SECRET}`, 'Bearer', 'Bearer ', `Bearer${SECRET}`]) {
    expect(hasBearer(authorization(value), SECRET)).toBe(false)
  }
})

test('basic authentication takes the secret as any user’s password or as the whole pair', () => {
  expect(hasBasic(basic(`tocsin:${SECRET}`), SECRET)).toBe(true)
  expect(hasBasic(basic(`:${SECRET}`), SECRET)).toBe(true)
  expect(hasBasic(basic('user:word'), 'user:word')).toBe(true)
  expect(hasBasic(basic(SECRET), 'pässword')).toBe(false)
  expect(hasBasic(basic('no-colon'), 'no-colon')).toBe(false)
  expect(hasBasic(basic('user:'), '')).toBe(false)
  expect(hasBasic(authorization('Basic !!!'), SECRET)).toBe(false)
})

test('a signature covers the raw bytes', () => {
  const body = Buffer.from('{"text":"\\u00e9 é"}')
  const signature = createHmac('sha256', SECRET).update(body).digest('hex')
  expect(hasHmacSha256(body, signature, SECRET)).toBe(true)
  expect(hasHmacSha256(Buffer.from('{"text":"é é"}'), signature, SECRET)).toBe(false)
  expect(hasHmacSha256(body, signature, 'another')).toBe(false)
  expect(hasHmacSha256(body, undefined, SECRET)).toBe(false)
  expect(hasHmacSha256(body, createHmac('sha256', '').update(body).digest('hex'), '')).toBe(false)
})

test('a prefix is signed before the body', () => {
  const body = Buffer.from('{}')
  const signature = createHmac('sha256', SECRET).update('1780000000:{}').digest('hex')
  expect(hasHmacSha256(body, signature, SECRET, '1780000000:')).toBe(true)
  expect(hasHmacSha256(body, signature, SECRET)).toBe(false)
})

test('texts of different lengths are compared, not thrown at', () => {
  expect(sameText('a', 'a')).toBe(true)
  expect(sameText('a', 'aa')).toBe(false)
  expect(sameText('', 'a')).toBe(false)
})
