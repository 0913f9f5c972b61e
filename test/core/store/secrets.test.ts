import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashToken, keyCheck, newSecret, openSecret, sealSecret } from '../../../core/store/secrets.ts'

const key = Buffer.alloc(32, 1)
const otherKey = Buffer.alloc(32, 2)
const place = 'source_credential/018f/sealed'

test('a sealed secret opens with its key, at its place', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (plain) => {
      expect(openSecret(key, sealSecret(key, plain, place), place)).toBe(plain)
    }),
  )
})

test('a sealed secret shows nothing of the plain one, and is another each time', () => {
  const first = sealSecret(key, 'tell nobody', place)
  expect(first).toMatch(/^1\.[\w-]{8}\.[\w-]+$/)
  expect(Buffer.from(first.split('.')[2]!, 'base64url').includes('tell nobody')).toBe(false)
  expect(sealSecret(key, 'tell nobody', place)).not.toBe(first)
})

test('another key is told apart and named', () => {
  const sealed = sealSecret(key, 'tell nobody', place)
  expect(() => openSecret(otherKey, sealed, place)).toThrow(
    'source_credential/018f/sealed was sealed with another key: TOCSIN_SECRET_KEY must be the one it was stored with.',
  )
})

test('a secret moved to another row does not open', () => {
  const sealed = sealSecret(key, 'tell nobody', place)
  expect(() => openSecret(key, sealed, 'source_credential/0190/sealed')).toThrow('or belongs elsewhere')
})

test('any changed, cut or foreign text is refused, and the error tells nothing of it', () => {
  const sealed = sealSecret(key, 'tell nobody', place)
  const head = sealed.lastIndexOf('.') + 1
  const bytes = Buffer.from(sealed.slice(head), 'base64url')
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Buffer.from(bytes)
      changed[at]! ^= change
      expect(() => openSecret(key, sealed.slice(0, head) + changed.toString('base64url'), place)).toThrow(
        place,
      )
      const cut = sealed.slice(0, head) + bytes.subarray(0, at).toString('base64url')
      expect(() => openSecret(key, cut, place)).toThrow(place)
    }),
  )
  for (const foreign of ['', 'tell nobody', '2.x.y', '1.x']) {
    expect(() => openSecret(key, foreign, place)).toThrow(`${place} is not a sealed secret.`)
  }
})

test('a key is 32 bytes', () => {
  expect(() => sealSecret(Buffer.alloc(16), 'x', place)).toThrow('TOCSIN_SECRET_KEY must be 32 bytes.')
})

test('the key check is the same for one key, and different for another', () => {
  expect(keyCheck(key)).toBe(keyCheck(Buffer.from(key)))
  expect(keyCheck(key)).not.toBe(keyCheck(otherKey))
})

test('a token is stored as its SHA-256', () => {
  // Of "abc", as FIPS 180-2 gives it.
  expect(hashToken('abc')).toBe(
    Buffer.from('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'hex').toString(
      'base64url',
    ),
  )
})

test('a new secret has 256 bits and fits a URL', () => {
  expect(newSecret(randomBytes)).toMatch(/^[\w-]{43}$/)
})
