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

/**
 * How much of bodies that are not whole yet is kept in memory, over all connections: nobody has shown a credential before
 * the last byte. Beyond it the one that began first is given up; honest ones come whole within milliseconds.
 */
const MOST_UNFINISHED_BYTES = 32 * 1024 * 1024

interface Unfinished {
  bytes: number
  giveUp(): void
}

// Of this process, as its memory is. In the order they began in.
const unfinished = new Set<Unfinished>()
let unfinishedBytes = 0

/** The sender went away before its body was whole: there is nobody to answer. */
export class SenderGone extends Error {
  override readonly name = 'SenderGone'
}

export interface CollectedBody {
  /** The raw bytes; of a refused body the first 4 KiB. */
  bytes: Buffer
  /** `unavailable` where this was no fault of the body. */
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
    const declared = Number(req.headers['content-length'])
    // What is kept are its first bytes; the rest is room.
    let held: Buffer = EMPTY
    let size = 0
    let pieces = 0

    const onData = (chunk: Buffer) => {
      pieces += 1
      if (size + chunk.length > MAX_BODY_BYTES) refuse(tooLarge())
      else if (pieces > MOST_PIECES) refuse(tooManyPieces())
      if (!refusal) held = append(held, size, chunk)
      else if (held.length < KEPT_BYTES)
        held = Buffer.concat([held, chunk.subarray(0, KEPT_BYTES - held.length)])
      size += chunk.length
      if (size > DROPPED_BYTES || pieces > MOST_PIECES) finish(true)
      // Most have come whole by now, though nobody has been told yet.
      else if (!req.complete && size !== declared) keepUnfinished(body, held.length)
    }
    const body: Unfinished = {
      bytes: 0,
      giveUp: () => {
        refuse(noRoom())
        finish(true)
      },
    }
    const refuse = (reason: TocsinError) => {
      if (refusal) return
      refusal = reason
      const whole = held
      held = Buffer.from(whole.subarray(0, Math.min(size, KEPT_BYTES)))
      release(whole)
    }
    const onEnd = () => finish(false)
    const onGone = () => {
      stopListening()
      reject(new SenderGone('The sender went away in the middle of its body.'))
    }
    const finish = (cutOff: boolean) => {
      stopListening()
      if (cutOff) req.pause()
      const hasRoom = !refusal && held.length > size
      resolve({ bytes: hasRoom ? Buffer.from(held.subarray(0, size)) : held, refusal, cutOff })
    }
    const stopListening = () => {
      if (body.bytes > 0) forgetUnfinished(body)
      req.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone)
    }

    if (req.destroyed) return onGone()
    // An error after the listeners are gone (a reset while we answer) must not end the process.
    req.on('error', ignore)
    req.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone)
  })
}

const EMPTY = Buffer.alloc(0)
const LEAST_RELEASED = 16 * 1024

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
    release(held)
  }
  chunk.copy(roomy, size)
  // Not while it is handed over: its stream would stand still.
  if (chunk.length >= LEAST_RELEASED) setImmediate(release, chunk)
  return roomy
}

/** Gives memory back that nobody reads any more: megabytes of a flood would be waiting to be collected. */
function release({ buffer, length }: Buffer): void {
  // Not of small ones, which are collected soon and may share theirs.
  if (length >= LEAST_RELEASED && length === buffer.byteLength && buffer instanceof ArrayBuffer)
    buffer.transfer(0)
}

function keepUnfinished(body: Unfinished, bytes: number): void {
  unfinished.add(body)
  unfinishedBytes += bytes - body.bytes
  body.bytes = bytes
  for (const first of unfinished) {
    if (unfinishedBytes <= MOST_UNFINISHED_BYTES) return
    first.giveUp()
  }
}

function forgetUnfinished(body: Unfinished): void {
  if (unfinished.delete(body)) unfinishedBytes -= body.bytes
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

function noRoom(): TocsinError {
  const message = 'More comes in at once than there is memory for: send it again, the whole body at once.'
  return new TocsinError('unavailable', message, { retryAfterSeconds: 1 })
}

function tooManyPieces(): TocsinError {
  return new TocsinError(
    'payload_too_large',
    `The body comes in more than ${MOST_PIECES} pieces: send it in larger chunks.`,
  )
}

function ignore(): void {}
