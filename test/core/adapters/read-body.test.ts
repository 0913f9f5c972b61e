import { describe, expect, test } from 'vitest'
import { readBody, readJsonBody } from '../../../core/adapters/read-body.ts'
import { TocsinError } from '../../../core/errors.ts'
import { hookRequest } from './payload.ts'

function read(text: string): unknown {
  return readJsonBody(Buffer.from(text))
}

function refusal(body: Buffer | string): TocsinError {
  try {
    readJsonBody(Buffer.from(body))
  } catch (error) {
    if (error instanceof TocsinError) return error
    throw error
  }
  throw new Error('The body was read.')
}

test('a body is read as the JSON it holds', () => {
  expect(read('{"a":[1,-2.5,true,null,"é\\n"]}')).toEqual({ a: [1, -2.5, true, null, 'é\n'] })
  expect(read(' "text" ')).toBe('text')
})

test('a byte order mark of UTF-8 is skipped', () => {
  expect(readJsonBody(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('{"a":1}')]))).toEqual({
    a: 1,
  })
})

test('UTF-16 and broken UTF-8 are refused with the remedy', () => {
  const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('{"a":1}', 'utf16le')])
  for (const body of [utf16, Buffer.from([0x22, 0xc3, 0x28, 0x22])]) {
    expect(refusal(body)).toMatchObject({ code: 'malformed_body', message: expect.stringContaining('UTF-8') })
  }
  expect(refusal(Buffer.from('{"a":1}', 'utf16le')).code).toBe('malformed_body')
})

test('an empty body and broken JSON are refused without quoting them', () => {
  expect(refusal('')).toMatchObject({ code: 'malformed_body', message: expect.stringContaining('empty') })
  const broken = refusal('{"password":"hunter2",}')
  expect(broken.code).toBe('malformed_body')
  expect(`${broken.message} ${broken.stack} ${String(broken.cause)}`).not.toContain('hunter2')
  for (const text of ['{', '[1', '"', '"\\', '{"a":1} x', 'nul', '\ufeff\ufeff1'])
    expect(refusal(text).code).toBe('malformed_body')
})

test('64 levels are read and 65 are refused', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  expect(read(nested(64))).toBeInstanceOf(Array)
  expect(refusal(nested(65)).message).toContain('64')
  expect(refusal(`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`).message).toContain('64')
  expect(refusal('['.repeat(500_000)).message).toContain('64')
})

test('brackets inside strings are text', () => {
  const text = `${'['.repeat(100)}\\" \\\\ ${'{'.repeat(100)}`
  expect(read(JSON.stringify({ text, after: '\\' }))).toEqual({ text, after: '\\' })
  expect(read(JSON.stringify(Array.from({ length: 200 }, () => [{}])))).toHaveLength(200)
})

test('prototype keys are removed and the rest is read', () => {
  const body = read(
    '{"a":1,"__proto__":{"polluted":true},"b":{"constructor":{"prototype":{"polluted":true}},"c":2},"\\u005f_proto__":{}}',
  )
  expect(body).toEqual({ a: 1, b: { c: 2 } })
  expect(Object.getPrototypeOf(body)).toBe(Object.prototype)
  expect(read('{"constructor":"Ada"}')).toEqual({ constructor: 'Ada' })
})

test('an integer too large for a number keeps its digits', () => {
  expect(read('{"groupKey":12345678901234567890,"minus":-9007199254740993}')).toEqual({
    groupKey: '12345678901234567890',
    minus: '-9007199254740993',
  })
  expect(read('[9007199254740991,1000000000000000,0.1234567890123456,1e3,1.5]')).toEqual([
    9007199254740991, 1000000000000000, 0.1234567890123456, 1000, 1.5,
  ])
  expect(read('{"text":"12345678901234567890"}')).toEqual({ text: '12345678901234567890' })
})

test('a body made to be slow is read in no time', () => {
  const bodies = [
    JSON.stringify('\\"'.repeat(200_000)),
    `[${'12345678901234567890,'.repeat(40_000)}1]`,
    `{${'"a":{"b":[1]},'.repeat(60_000)}"z":1}`,
  ]
  const start = performance.now()
  for (const body of bodies) read(body)
  expect(performance.now() - start).toBeLessThan(1000)
})

describe('a body by its type', () => {
  const read = (type: string | undefined, body: string, method = 'POST') =>
    readBody({ ...hookRequest({ ...(type && { headers: { 'content-type': type } }), body }), method })

  test.each([
    ['application/json', '{"a":1}', { a: 1 }],
    [undefined, '{"a":1}', { a: 1 }],
    ['application/x-www-form-urlencoded', 'a=1&b=x+y%C3%A9', { a: '1', b: 'x yé' }],
    ['application/x-www-form-urlencoded', 'payload=%7B%22a%22%3A1%7D', { a: 1 }],
    ['application/x-www-form-urlencoded', '{"a":1}', { a: 1 }],
    ['application/x-www-form-urlencoded', '__proto__=x&constructor=y&a=1', { a: '1' }],
    ['text/plain; charset=utf-8', ' {"a":1}', { a: 1 }],
  ])('%s %s', (type, body, expected) => {
    expect(read(type, body)).toEqual(expected)
  })

  test('a GET says it in its query', () => {
    expect(read(undefined, 'a=1&b=2', 'GET')).toEqual({ a: '1', b: '2' })
  })

  test.each([
    ['application/x-www-form-urlencoded', 'data=%7Bbroken'],
    ['text/plain', 'no JSON'],
  ])('%s %s is malformed', (type, body) => {
    expect(() => read(type, body)).toThrow('not valid JSON')
  })
})
