import { hash } from 'node:crypto'
import { TocsinError } from '../errors.ts'
import { freeKey, keepAnswer, takeKey } from '../store/idempotency.ts'
import { openSecret, sealSecret } from '../store/secrets.ts'
import type { Caller, OnceAnswer, OnceRequest, OnceTurn } from '../tocsin.ts'
import { type Core, change } from './core.ts'

const KEPT_MS = 24 * 3_600_000
/** No write runs for this long: its process has stopped, and the next one may try. */
const ABANDONED_MS = 60_000

/** Begins a write under an `Idempotency-Key`, or answers what the same write was answered before. */
export async function beginOnce(core: Core, caller: Caller, request: OnceRequest): Promise<OnceTurn> {
  const key = hash('sha256', `${caller.keyId}\n${request.key}`, 'base64url')
  const now = core.now().getTime()
  const createdAt = new Date(now).toISOString()
  const known = await change(core, () =>
    takeKey(
      { key, project_id: request.projectId, request_hash: request.requestHash, created_at: createdAt },
      {
        before: new Date(now - KEPT_MS).toISOString(),
        abandoned: new Date(now - ABANDONED_MS).toISOString(),
      },
    ),
  )
  if (!known) {
    return {
      answer: null,
      keep: async (answer) => {
        // Answers hold secrets that are shown once.
        const sealed = sealSecret(core.secretKey, JSON.stringify(answer), place(key), core.random)
        await change(core, () => keepAnswer({ key, createdAt, answer: sealed }))
      },
      free: () => change(core, () => freeKey(key)),
    }
  }
  if (known.request_hash !== request.requestHash) {
    throw new TocsinError(
      'conflict',
      'Idempotency-Key: used for another request in the last 24 hours. Send a new one with every new request.',
    )
  }
  if (known.answer === null) {
    throw new TocsinError('conflict', 'Idempotency-Key: the same request is still under way; try again.', {
      retryAfterSeconds: 1,
    })
  }
  return { answer: JSON.parse(openSecret(core.secretKey, known.answer, place(key))) as OnceAnswer }
}

function place(key: string): string {
  return `idempotency/${key}/answer`
}
