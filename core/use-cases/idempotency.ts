import { hash } from 'node:crypto'
import { TocsinError } from '../errors.ts'
import type { MatchContext } from '../matcher/state.ts'
import { forgetOldKeys, idempotencyByKey, type KeyRow, keepAnswer, takeKey } from '../store/idempotency.ts'
import { openSecret, sealSecret } from '../store/secrets.ts'
import type { Work } from '../store/statement.ts'
import type { Caller, Log, OnceAnswer, OnceRequest, OpenedTocsin, Tocsin } from '../tocsin.ts'
import { type Core, change, type Once } from './core.ts'

const KEPT_MS = 24 * 3_600_000

/** What is sealed under a key: the answer, or, until that is kept, what the changes of the write answered. */
type Kept = OnceAnswer | { values: unknown[] }

/** Writes under an `Idempotency-Key` (tocsin.ts). */
export function createOnce(
  core: Core,
  actingAs: (core: Core, caller: Caller) => Tocsin,
  log: Log,
): OpenedTocsin['once'] {
  /** Request hashes by key, of what this process runs right now. */
  const underWay = new Map<string, string>()

  return async (caller, request, write) => {
    const key = hash('sha256', `${caller.keyId}\n${request.key}`, 'base64url')
    const running = underWay.get(key)
    if (running !== undefined) {
      refuseOther(running, request)
      throw new TocsinError('conflict', 'Idempotency-Key: the same request is still under way; try again.', {
        retryAfterSeconds: 1,
      })
    }
    underWay.set(key, request.requestHash)
    try {
      for (;;) {
        try {
          return await runOrRepeat(key, caller, request, write)
        } catch (error) {
          // By now the key says what the other process has done.
          if (!(error instanceof TakenMeanwhile)) throw error
        }
      }
    } finally {
      underWay.delete(key)
    }
  }

  async function runOrRepeat(
    key: string,
    caller: Caller,
    request: OnceRequest,
    write: (tocsin: Tocsin) => Promise<OnceAnswer>,
  ): Promise<OnceAnswer & { replayed: boolean }> {
    const now = core.now().getTime()
    const before = new Date(now - KEPT_MS).toISOString()
    const [known] = await core.database.query(idempotencyByKey, { key, before })
    if (known) refuseOther(known.request_hash, request)
    const kept: Kept = known ? open(known) : { values: [] }
    if ('status' in kept) return { ...kept, replayed: true }

    const turn = new Turn(
      core,
      known ?? {
        key,
        project_id: request.projectId,
        request_hash: request.requestHash,
        created_at: new Date(now).toISOString(),
        answer: null,
      },
      kept.values,
      before,
    )
    const answer = await write(actingAs({ ...core, once: turn }, caller))
    // What is done is done, and must be answered so; a repeat comes to the same answer by itself.
    await turn.keep(answer).catch((error: unknown) => log('warn', 'an answer was not kept', { err: error }))
    return { ...answer, replayed: known !== undefined }
  }

  function open({ key, answer }: KeyRow): Kept {
    return JSON.parse(openSecret(core.secretKey, answer!, place(key))) as Kept
  }
}

class Turn implements Once {
  readonly #core: Core
  readonly #before: string
  /** As it is stored; without an answer where it is not. */
  #row: KeyRow
  /** What the changes answered, in their order. */
  #values: unknown[]
  #answered = 0

  constructor(core: Core, row: KeyRow, values: unknown[], before: string) {
    this.#core = core
    this.#row = row
    this.#values = values
    this.#before = before
  }

  async change<T>(run: (context: MatchContext) => Work<T>): Promise<T> {
    if (this.#answered < this.#values.length) return this.#values[this.#answered++] as T
    const [before, row, values] = [this.#before, this.#row, this.#values]
    const seal = (value: unknown) => this.#sealed({ values: [...values, value] })
    const made = await change(this.#core, function* (context) {
      // First, so that a repeat waits here for who has it, and is not refused for what that one does.
      if (!(yield* takeKey(row, before))) throw new TakenMeanwhile()
      const value = yield* run(context)
      const kept = { ...row, answer: seal(value) }
      yield* keepAnswer(kept)
      return { value, kept }
    })
    this.#row = made.kept
    this.#values = [...values, made.value]
    this.#answered++
    return made.value
  }

  /** Keeps the answer; does nothing where another process has. */
  async keep(answer: OnceAnswer): Promise<void> {
    const [before, row] = [this.#before, this.#row]
    const kept = { ...row, answer: this.#sealed(answer) }
    await change(this.#core, function* () {
      if (yield* takeKey(row, before)) yield* keepAnswer(kept)
      yield* forgetOldKeys(before)
    })
  }

  /** Answers hold secrets that are shown once. */
  #sealed(kept: Kept): string {
    const { secretKey, random } = this.#core
    return sealSecret(secretKey, JSON.stringify(kept), place(this.#row.key), random)
  }
}

/** Another process has done it, or a part of it, since the key was looked at. */
class TakenMeanwhile extends Error {
  override readonly name = 'TakenMeanwhile'
}

function refuseOther(requestHash: string, request: OnceRequest): void {
  if (requestHash === request.requestHash) return
  throw new TocsinError(
    'conflict',
    'Idempotency-Key: used for another request in the last 24 hours. Send a new one with every new request.',
  )
}

function place(key: string): string {
  return `idempotency/${key}/answer`
}
