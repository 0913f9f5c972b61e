import { expect, test } from 'vitest'
import { ANSWERED_CODES } from '../../ingest/answer.ts'
import { readRefusal } from '../../n8n-nodes/nodes/shared/answer.ts'

const fault = (code: string) => ({
  success: false,
  error: { code, message: `About ${code}.` },
  requestId: 'r',
})

test('a success of Tocsin is no refusal, a page of someone else is', () => {
  expect(readRefusal(200, { incident: {} })).toBeUndefined()
  expect(readRefusal(204, '')).toBeUndefined()
  for (const [status, body] of [
    [200, '<html>'],
    [404, '<html>'],
    [502, ''],
    [404, { message: 'Not Found' }],
    [404, { error: 'not found' }],
  ] as const) {
    expect(readRefusal(status, body)?.description).toMatch(/Check the Base URL/)
  }
})

test.each(ANSWERED_CODES)("%s: Tocsin's own sentence, and what to do", (code) => {
  const refusal = readRefusal(400, fault(code))!
  expect(refusal.code).toBe(code)
  expect(refusal.description).not.toBe(readRefusal(400, fault('some_new_code'))!.description)
  expect(refusal.message).toBe(`About ${code}.`)
  expect(refusal.description).toMatch(/^[A-Z].+\.$/)
})
