import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createEarlierBodies, difference, patched } from '../../../core/store/earlier-body.ts'
import { idBefore } from '../../../core/store/id-time.ts'

const DAY = 24 * 3_600_000
const noon = Date.parse('2026-03-01T12:00:00Z')

test('what differs and the earlier body make the body again', () => {
  const piece = fc.uint8Array({ maxLength: 400 })
  fc.assert(
    fc.property(piece, piece, piece, piece, (start, before, after, end) => {
      const earlier = Buffer.concat([start, before, end])
      const body = Buffer.concat([start, after, end])
      const differs = difference(earlier, body)
      if (differs === null) expect(start.length + end.length).toBeLessThan(256 + after.length)
      else {
        expect(patched(earlier, differs).equals(body)).toBe(true)
        expect(differs.middle.length).toBeLessThanOrEqual(after.length)
      }
    }),
    { numRuns: 1_000 },
  )
})

test('bodies of one signal and one UTC day are found, a copy of the last of them', () => {
  const bodies = createEarlierBodies()
  const body = Buffer.alloc(300, 'a')
  bodies.remember('s', idBefore(noon), body)
  body.fill('b')
  expect(bodies.find('s', idBefore(noon + DAY / 2 - 1), body)).toEqual({
    id: idBefore(noon),
    body: Buffer.alloc(300, 'a'),
  })
  expect(bodies.find('s', idBefore(noon + DAY / 2), body)).toBeNull()
  expect(bodies.find('other', idBefore(noon), body)).toBeNull()
  bodies.remember('s', idBefore(noon + 1), body)
  expect(bodies.find('s', idBefore(noon + 1), body)?.body.toString()).toBe('b'.repeat(300))
})

test('small bodies hold no more memory than they are long', () => {
  const bodies = createEarlierBodies()
  const body = Buffer.alloc(300, 'a')
  bodies.remember('s', idBefore(noon), body)
  expect(bodies.find('s', idBefore(noon), body)?.body.buffer.byteLength).toBe(300)
})

test('no more than eight megabytes are remembered, the last ones', () => {
  const bodies = createEarlierBodies()
  const found = (n: number) => bodies.find(`s${n}`, idBefore(noon), Buffer.alloc(1)) !== null
  for (let n = 0; n < 200; n++) bodies.remember(`s${n}`, idBefore(noon), Buffer.alloc(64 * 1024))
  expect([0, 72, 73, 199].map(found)).toEqual([false, false, true, true])
  const small = Buffer.alloc(255)
  bodies.remember('small', idBefore(noon), small)
  expect(bodies.find('small', idBefore(noon), small)).toBeNull()
})

test('of a large body only the same one is found, of which no more than a hash is remembered', () => {
  const bodies = createEarlierBodies()
  const large = (fill: string) => Buffer.alloc(1024 * 1024, fill)
  for (let n = 0; n < 100; n++) bodies.remember(`s${n}`, idBefore(noon), large('a'))
  expect(bodies.find('s0', idBefore(noon + 1), large('a'))).toEqual({ id: idBefore(noon), body: large('a') })
  expect(bodies.find('s0', idBefore(noon + DAY / 2), large('a'))).toBeNull()
  expect(bodies.find('s0', idBefore(noon + 1), large('b'))).toBeNull()
  expect(bodies.find('s0', idBefore(noon + 1), large('a').subarray(1))).toBeNull()
})
