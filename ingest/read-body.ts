import type { IncomingMessage } from 'node:http'
import { TocsinError } from '@tocsin/core'

/** The largest body taken; one byte more is refused. */
export const MAX_BODY_BYTES = 1024 * 1024

/** What of a refused body is kept, so that the owner of a source can see what was sent. */
const KEPT_BYTES = 4 * 1024

// Past this a sender is cut off rather than heard out: it would not stop to read the answer before anyway.
const DROPPED_BYTES = 8 * 1024 * 1024

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
    const chunks: Buffer[] = []
    let size = 0

    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size <= MAX_BODY_BYTES) chunks.push(chunk)
      else refusal ??= tooLarge()
      if (size > DROPPED_BYTES) finish(true)
    }
    const onEnd = () => finish(false)
    const onGone = () => {
      stopListening()
      reject(new SenderGone('The sender went away in the middle of its body.'))
    }
    const finish = (cutOff: boolean) => {
      stopListening()
      if (cutOff) req.pause()
      const whole = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      // A copy, so that 4 KiB do not keep a megabyte alive.
      resolve({ bytes: refusal ? Buffer.from(whole.subarray(0, KEPT_BYTES)) : whole, refusal, cutOff })
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

function ignore(): void {}
