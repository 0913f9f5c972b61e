import type { IncomingMessage } from 'node:http'
import { TocsinError } from '@tocsin/core'

/** The largest body taken; one byte more is refused. */
export const MAX_BODY_BYTES = 1024 * 1024

/** What of a refused body is kept, so that the owner of a source can see what was sent. */
const KEPT_BYTES = 4 * 1024

// Past this a sender is cut off rather than heard out: it would not stop to read the answer before anyway.
const DROPPED_BYTES = 8 * 1024 * 1024

// Each takes the time of a small request, so that a body in single bytes would keep all others waiting.
const MOST_PIECES = 16 * 1024

/** The sender went away before its body was whole: there is nobody to answer. */
export class SenderGone extends Error {
  override readonly name = 'SenderGone'
}

export interface CollectedBody {
  /** The raw bytes; of a refused body the first 4 KiB. */
  bytes: Buffer
  refusal: TocsinError | undefined
  /** The sender had more to say than we listen to: answer, then close the connection. */
  cutOff: boolean
}

/**
 * Reads the whole body as raw bytes. A body that will be refused is read and dropped, since a sender that still writes
 * would see a reset connection instead of the answer. `fault` is what its headers have told already.
 */
export function collectBody(req: IncomingMessage, fault?: TocsinError): Promise<CollectedBody> {
  return new Promise((resolve, reject) => {
    let refusal = fault
    // What is kept are its first bytes; the rest is room.
    let held: Buffer = EMPTY
    let size = 0
    let pieces = 0

    const onData = (chunk: Buffer) => {
      pieces += 1
      if (size + chunk.length > MAX_BODY_BYTES) refuse(tooLarge())
      else if (pieces > MOST_PIECES) refuse(tooManyPieces())
      if (!refusal || size < KEPT_BYTES) held = append(held, size, chunk)
      size += chunk.length
      if (size > DROPPED_BYTES || pieces > MOST_PIECES) finish(true)
    }
    const refuse = (reason: TocsinError) => {
      if (refusal) return
      refusal = reason
      // A copy, so that 4 KiB do not keep a megabyte alive.
      held = Buffer.from(held.subarray(0, Math.min(size, KEPT_BYTES)))
    }
    const onEnd = () => finish(false)
    const onGone = () => {
      stopListening()
      reject(new SenderGone('The sender went away in the middle of its body.'))
    }
    const finish = (cutOff: boolean) => {
      stopListening()
      if (cutOff) req.pause()
      const end = refusal ? Math.min(size, KEPT_BYTES) : size
      resolve({ bytes: end === held.length ? held : Buffer.from(held.subarray(0, end)), refusal, cutOff })
    }
    const stopListening = () => {
      req.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone)
    }

    if (req.destroyed) return onGone()
    // An error after the listeners are gone (a reset while we answer) must not end the process.
    req.on('error', ignore)
    req.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone)
  })
}

const EMPTY = Buffer.alloc(0)

/**
 * The first bytes of `held` and this chunk behind them, in one buffer: of a body in single bytes each would cost
 * hundreds if it was kept as it comes.
 */
function append(held: Buffer, size: number, chunk: Buffer): Buffer {
  if (size === 0) return chunk
  const needed = size + chunk.length
  let roomy = held
  if (held.length < needed) {
    roomy = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(2 * held.length, MAX_BODY_BYTES)))
    held.copy(roomy, 0, 0, size)
  }
  chunk.copy(roomy, size)
  return roomy
}

/**
 * The headers as they came: one entry per line received. Made from the raw list, since Node's own objects join or
 * drop repeats and a header may be called `__proto__`.
 */
export function readHeaders(rawHeaders: readonly string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>()
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase()
    const value = rawHeaders[at + 1]!
    const values = headers.get(name)
    if (values) values.push(value)
    else headers.set(name, [value])
  }
  return headers
}

/** The query of a request, repeats and all. */
export function queryOf({ url = '' }: IncomingMessage): URLSearchParams {
  const question = url.indexOf('?')
  return new URLSearchParams(question === -1 ? '' : url.slice(question + 1))
}

function tooLarge(): TocsinError {
  return new TocsinError(
    'payload_too_large',
    'The body is larger than 1 MiB (1048576 bytes): send less at once.',
  )
}

function tooManyPieces(): TocsinError {
  return new TocsinError(
    'payload_too_large',
    `The body comes in more than ${MOST_PIECES} pieces: send it in larger chunks.`,
  )
}

function ignore(): void {}
