import { hash } from 'node:crypto'
import { type Caller, type Log, type OnceAnswer, type OpenedTocsin, TocsinError } from '@tocsin/core'

/** One write as it came in. */
export interface Write {
  method: string
  /** Path and query, as sent. */
  url: string
  body: Buffer
  projectId: string | null
}

/** The header `Idempotency-Key` of a write; undefined where there is none. Throws `invalid_request`. */
export function idempotencyKeyOf(
  method: string,
  headers: ReadonlyMap<string, readonly string[]>,
): string | undefined {
  const values = headers.get('idempotency-key')
  if (!values || method === 'GET' || method === 'HEAD') return undefined
  const [key] = values
  if (values.length === 1 && key !== undefined && /^[\x20-\x7e]{1,255}$/.test(key)) return key
  throw new TocsinError(
    'invalid_request',
    'The header Idempotency-Key must come once and hold 1 to 255 characters of ASCII, such as a UUID.',
  )
}

/**
 * Runs a write, or answers what the same write of this caller was answered in the last 24 hours. A write that is
 * refused has done nothing, so the next one under its key runs.
 */
export async function runOnce(
  tocsin: OpenedTocsin,
  log: Log,
  caller: Caller,
  key: string,
  write: Write,
  run: () => Promise<OnceAnswer>,
): Promise<OnceAnswer & { replayed: boolean }> {
  const requestHash = hash(
    'sha256',
    Buffer.concat([Buffer.from(`${write.method} ${write.url}\n`), write.body]),
    'base64url',
  )
  const turn = await tocsin.beginOnce(caller, { key, requestHash, projectId: write.projectId })
  if (turn.answer) return { ...turn.answer, replayed: true }

  let answer: OnceAnswer
  try {
    answer = await run()
  } catch (error) {
    await turn.free().catch((fault: unknown) => log('warn', 'an idempotency key stays taken', { err: fault }))
    throw error
  }
  // What is done is done, and must be answered so.
  await turn.keep(answer).catch((fault: unknown) => log('warn', 'an answer was not kept', { err: fault }))
  return { ...answer, replayed: false }
}
