import { expect, test } from 'vitest'
import {
  cleanId,
  cleanLabels,
  cleanMetadata,
  cleanServices,
  cleanText,
  cleanUrl,
  wholeId,
} from '../../../core/adapters/clean.ts'

const NUL = String.fromCharCode(0)

test("a sender's own id is shown whole", () => {
  expect(wholeId(`a${NUL}${'x'.repeat(9000)}`)).toBe(`a${'x'.repeat(9000)}`)
  expect(wholeId('x'.repeat(10_001))).toMatch(/^sha256:[0-9a-f]{64}$/)
  expect([wholeId(7), wholeId(' '), wholeId({})]).toEqual(['7', null, null])
})

test('text loses NULs, lone surrogates and what is beyond its limit', () => {
  expect(cleanText(` a${NUL}b\ud800c `, 10)).toBe('ab\ufffdc')
  expect(cleanText('abcdef', 3)).toBe('abc')
  expect(cleanText('ab😀', 3)).toBe('ab')
  expect(cleanText(NUL, 3)).toBeNull()
})

test('numbers and booleans are text, other things are none', () => {
  expect([cleanText(0, 9), cleanText(false, 9), cleanText(1.5, 9)]).toEqual(['0', 'false', '1.5'])
  for (const value of [null, undefined, {}, [], Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(cleanText(value, 9)).toBeNull()
  }
})

test('an id is unchanged, and a very long one stays distinct', () => {
  expect(cleanId(' a b ')).toBe(' a b ')
  expect(cleanId(42)).toBe('42')
  expect(cleanId('  ')).toBeNull()
  expect(cleanId(`${'x'.repeat(600)}1`)).not.toBe(cleanId(`${'x'.repeat(600)}2`))
  expect(cleanId('x'.repeat(100_000))?.length).toBeLessThan(100)
})

test('labels are texts, at most 64, and never a prototype', () => {
  expect(cleanLabels({ a: 1, b: true, c: { d: 1 }, e: null, f: ['x'], g: '' })).toEqual({
    a: '1',
    b: 'true',
    c: '{"d":1}',
    f: '["x"]',
    g: '',
  })
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`l${index}`, 'x']))
  expect(Object.keys(cleanLabels(many))).toHaveLength(64)
  const hostile = cleanLabels(JSON.parse('{"__proto__":{"polluted":1},"constructor":"x"}'))
  expect(hostile).toEqual({ constructor: 'x' })
  expect(Object.getPrototypeOf(hostile)).toBe(Object.prototype)
  for (const value of [null, 'x', 3, ['a']]) expect(cleanLabels(value)).toEqual({})
})

test('only links a person may safely click are kept', () => {
  const good = ['https://a.example/x?y=1#z', 'HTTP://a.example', 'mailto:ops@example.com']
  for (const url of good) expect(cleanUrl(url)).toBe(url)
  const bad = [
    'javascript:alert(1)',
    ' java\nscript:x',
    'data:text/html,x',
    'ftp://a',
    '/path',
    'https://a b',
    '',
    3,
  ]
  for (const url of bad) expect(cleanUrl(url)).toBeNull()
  expect(cleanUrl(`https://a.example/${'x'.repeat(3000)}`)).toBeNull()
})

test('a relative link is resolved against its base, another scheme never', () => {
  expect(cleanUrl('?orgId=1', 'https://grafana.example.com/x/')).toBe(
    'https://grafana.example.com/x/?orgId=1',
  )
  expect(cleanUrl('/d/1', 'https://grafana.example.com/x/')).toBe('https://grafana.example.com/d/1')
  for (const url of ['javascript:alert(1)', 'DATA:x', 'vbscript:x']) {
    expect(cleanUrl(url, 'https://grafana.example.com/')).toBeNull()
  }
  expect(cleanUrl('/d/1', null)).toBeNull()
})

test('services come from texts and lists, in order, each once', () => {
  expect(cleanServices(['web'], 'api, web ,', undefined, [1, null, 'db'])).toEqual(['web', 'api', '1', 'db'])
})

test('metadata is cleaned all the way down and never grows without end', () => {
  expect(cleanMetadata({ a: { b: [`x${NUL}`, { c: null }] }, [`k${NUL}`]: 1 })).toEqual({
    a: { b: ['x', { c: null }] },
    k: 1,
  })
  const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`m${index}`, 'x'.repeat(5000)]))
  expect(JSON.stringify(cleanMetadata(wide)).length).toBeLessThan(500_000)
  expect(cleanMetadata(['a'])).toEqual({})
})
