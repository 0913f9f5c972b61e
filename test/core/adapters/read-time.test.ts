import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readTime } from '../../../core/adapters/read-time.ts'

test.each([
  ['2026-03-04T10:00:00Z', '2026-03-04T10:00:00.000Z'],
  ['2026-03-04t10:00:00.5z', '2026-03-04T10:00:00.500Z'],
  ['2026-03-04T10:00:00.123456789Z', '2026-03-04T10:00:00.123Z'],
  ['2026-03-04T10:00:00.999999999+02:00', '2026-03-04T08:00:00.999Z'],
  ['2026-03-04T10:00:00-0330', '2026-03-04T13:30:00.000Z'],
  ['2026-03-04T10:00:00+0000', '2026-03-04T10:00:00.000Z'],
  ['2026-03-04T10:00Z', '2026-03-04T10:00:00.000Z'],
  ['2024-02-29T23:59:60Z', '2024-03-01T00:00:00.000Z'],
  [' 2026-03-04T10:00:00Z ', '2026-03-04T10:00:00.000Z'],
])('RFC 3339 %s', (text, expected) => expect(readTime(text)).toBe(expected))

test.each([
  ['2026-03-04 10:00:00', '2026-03-04T10:00:00.000Z'],
  ['2026-03-04 10:00:00.25', '2026-03-04T10:00:00.250Z'],
  ['2026-03-04T10:00:00', '2026-03-04T10:00:00.000Z'],
])('without a zone it is UTC: %s', (text, expected) => expect(readTime(text)).toBe(expected))

test.each([
  ['2025-01-15 10:30:00 +0000 UTC', '2025-01-15T10:30:00.000Z'],
  ['2025-01-15 10:30:00.999 -0700 MST', '2025-01-15T17:30:00.999Z'],
  ['2025-01-15 10:30:00 +0530 +0530', '2025-01-15T05:00:00.000Z'],
  ['2025-01-15 10:30:00.123456789 +0100 CET m=+0.000012345', '2025-01-15T09:30:00.123Z'],
])('as Go prints it: %s', (text, expected) => expect(readTime(text)).toBe(expected))

test.each([
  ['2026-11-27', '2026-11-27T00:00:00.000Z'],
  ['20261127', '2026-11-27T00:00:00.000Z'],
  ['20261127T101500Z', '2026-11-27T10:15:00.000Z'],
  ['20261127T101500.25Z', '2026-11-27T10:15:00.250Z'],
  ['20261127T101500', '2026-11-27T10:15:00.000Z'],
  ['20261127T1015+0100', '2026-11-27T09:15:00.000Z'],
  ['2026-11-27T10Z', '2026-11-27T10:00:00.000Z'],
  ['2026-11-27T24:00:00Z', '2026-11-28T00:00:00.000Z'],
  ['2026-12-31T24:00Z', '2027-01-01T00:00:00.000Z'],
  ['20261127T240000Z', '2026-11-28T00:00:00.000Z'],
  ['2026-11-27T10:15:00−05:00', '2026-11-27T15:15:00.000Z'],
  ['2026-11-27T10:15:00+01:00[Europe/Paris]', '2026-11-27T09:15:00.000Z'],
  ['2026-11-27T10:15:00Z[UTC]', '2026-11-27T10:15:00.000Z'],
])('other forms of ISO 8601: %s', (text, expected) => expect(readTime(text)).toBe(expected))

test.each([
  1767225600,
  1767225600000,
  1767225600000000,
  '1767225600',
  '1767225600.0',
  '1767225600000',
  '1767225600000000000',
])('Unix time in any unit: %s', (value) => expect(readTime(value)).toBe('2026-01-01T00:00:00.000Z'))

test('a fraction of a second is kept to the millisecond', () => {
  expect(readTime(1603322712.317751)).toBe('2020-10-21T23:25:12.318Z')
})

test.each([
  '0001-01-01T00:00:00Z',
  '1999-12-31T23:59:59Z',
  '1970-01-01T00:00:00Z',
  '9999-12-31T23:59:59-01:00',
  '2026-02-30T00:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-01-01T24:00:01Z',
  '2026-01-01T24:00:00.5Z',
  '2026-01-01T25:00:00Z',
  '2026-01-01T00:60:00Z',
  '2026-01',
  '2026-0101',
  '2026-01-01T',
  '2026-01-01Z',
  '20260230T101500Z',
  '2026-01-01T10:1500Z',
  20260101,
  '<no value>',
  'yesterday',
  '',
  '0',
  0,
  -1,
  12,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1e300,
  null,
  undefined,
  true,
  {},
  `2026-01-01T00:00:00.${'0'.repeat(1000)}Z`,
])('not a usable time: %s', (value) => expect(readTime(value)).toBeNull())

test('every moment of our years survives being written and read', () => {
  const noInvalidDate = true
  const date = fc.date({ min: new Date('2000-01-01'), max: new Date('9999-12-31'), noInvalidDate })
  fc.assert(
    fc.property(date, (moment) => {
      expect(readTime(moment.toISOString())).toBe(moment.toISOString())
      expect(readTime(moment.getTime())).toBe(moment.toISOString())
    }),
  )
})

test('any text gives a time or null', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      expect(readTime(value) ?? '').toMatch(/^(|\d{4}-.*Z)$/)
    }),
  )
})
