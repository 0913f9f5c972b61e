import { closeSync, existsSync, openSync } from 'node:fs'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { errorForLog, openLines, toLog } from '../../ingest/log.ts'

describe('an error in the log', () => {
  test('keeps what helps to find it', () => {
    const cause = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
    expect(errorForLog(new TypeError('no database', { cause }))).toMatchObject({
      type: 'TypeError',
      message: 'no database',
      frames: expect.arrayContaining([expect.stringContaining('log.test.ts')]),
      cause: { message: 'connection refused', code: 'ECONNREFUSED' },
    })
  })

  test('loses bodies, rows and quoted text that libraries hang on it', () => {
    const error = Object.assign(new Error('bad'), {
      body: 'hunter2',
      detail: 'hunter2',
      parameters: ['hunter2'],
    })
    error.cause = syntaxErrorOf('hunter2')
    expect(JSON.stringify(errorForLog(error))).not.toContain('hunter2')
  })

  test('need not be an error', () => {
    expect(errorForLog('hunter2')).toEqual({ type: 'string' })
  })
})

test('a line is JSON with level, sentence and fields', () => {
  const lines: string[] = []
  const log = toLog(
    pino({ level: 'info', serializers: { err: errorForLog } }, { write: (line) => lines.push(line) }),
  )
  log('debug', 'too fine')
  log('warn', 'slow\nwrite', { ms: 7, err: new Error('bad') })
  expect(lines).toHaveLength(1)
  expect(JSON.parse(lines[0]!)).toMatchObject({
    level: 40,
    msg: 'slow\nwrite',
    ms: 7,
    err: { message: 'bad' },
  })
})

// Only Linux has such a device; what comes after it has room again is part of T3 (test/chaos/disk.ts).
test.skipIf(!existsSync('/dev/full'))('a full disk under the log ends nothing', () => {
  const descriptor = openSync('/dev/full', 'w')
  const log = toLog(pino(openLines(descriptor)))
  // More than may wait.
  for (let n = 0; n < 3; n++) log('info', 'x'.repeat(2 ** 19))
  closeSync(descriptor)
})

function syntaxErrorOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    return error
  }
}
