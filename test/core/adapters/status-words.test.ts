import { describe, expect, test } from 'vitest'
import { readStatus } from '../../../core/adapters/status-words.ts'

describe('N1 status words', () => {
  test.each(
    'DOWN FIRING ALERT WARN ACTIVATED TRIGGER OPEN PROBLEM_OPEN PROBLEM CRITICAL CREATE ACTIVE FAILURE TRIGGERED'.split(
      ' ',
    ),
  )('%s fires', (word) => expect(readStatus(word).kind).toBe('fire'))

  test.each('UP RESOLVED RECOVERY CLOSED RESOLVE OK PROBLEM_CLOSE CLOSE SUCCESS'.split(' '))(
    '%s recovers',
    (word) => expect(readStatus(word).kind).toBe('recover'),
  )

  test('case, spaces and dashes do not matter, and the word is kept as sent', () => {
    expect(readStatus(' problem-close ')).toMatchObject({ kind: 'recover', sourceStatus: 'problem-close' })
    expect(readStatus('Problem Open')).toMatchObject({ kind: 'fire', sourceStatus: 'Problem Open' })
  })

  test('no word at all is a fire', () => {
    for (const word of [undefined, null, '', '  ', {}]) {
      expect(readStatus(word)).toEqual({ kind: 'fire', severity: null, sourceStatus: null, reopen: false })
    }
  })

  test('UPDATE refreshes and WARN is a fire of severity medium', () => {
    expect(readStatus('UPDATE').kind).toBe('refresh')
    expect(readStatus('warn')).toMatchObject({ kind: 'fire', severity: 'medium' })
    expect(readStatus('critical').severity).toBeNull()
  })

  test('an acknowledgement is understood in its three forms', () => {
    for (const word of ['ack', 'Acknowledge', 'acknowledged']) expect(readStatus(word).kind).toBe('ack')
  })

  test('reopened is a fire that says so', () => {
    expect(readStatus('reopened')).toMatchObject({ kind: 'fire', reopen: true })
  })

  test("a source's own words go before the built-in ones, however they are typed", () => {
    expect(readStatus('maintenance', { Maintenance: 'recover' }).kind).toBe('recover')
    expect(readStatus('UP', { up: 'info' }).kind).toBe('info')
    expect(readStatus('rolling-out', {}, { 'Rolling out': 'fire' }).kind).toBe('fire')
    expect(readStatus('warn', { WARN: 'info' })).toMatchObject({ kind: 'info', severity: null })
  })
})

test('N2 an unknown word is kept and only informs', () => {
  for (const word of ['investigating', 'pending', 'constructor', '__proto__']) {
    expect(readStatus(word)).toMatchObject({ kind: 'info', sourceStatus: word })
  }
})
