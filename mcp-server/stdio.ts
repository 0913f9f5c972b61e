import { PassThrough, type Readable, type Writable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { withObjectArguments } from './object-arguments.ts'
import { serve2025 } from './sdk-2025.ts'
import { serve2026 } from './sdk-2026.ts'
import type { Surface } from './surface.ts'
import { wrongParams } from './wrong-params.ts'

/** A beginning longer than this is no greeting. */
const MOST_BYTES = 1024 * 1024
/** For what was begun when the input ended: a draft may wait for a model. */
const MOST_WAIT_MS = 120_000

export interface Served {
  /** Resolves when the input has ended and what was asked until then is answered. */
  finished: Promise<void>
  stop(): Promise<void>
}

/**
 * Serves one client over a pair of streams. The first line that asks for more than a ping says which version of the
 * protocol it speaks. Throws where the input is no such protocol.
 */
export async function serveStdio(surface: Surface, input: Readable, output: Writable): Promise<Served> {
  const ended = new Promise<void>((resolve) => {
    const end = () => resolve()
    input.once('end', end).once('close', end).once('error', end)
  })
  const greeting = await greet(input, ended, output)
  if (!greeting) return { finished: Promise.resolve(), stop: async () => {} }

  // Streams of our own: the SDKs stop at once when theirs end.
  const read = new PassThrough()
  const asked = new PassThrough()
  const answers = new PassThrough()
  const isAnswered = watch(read, answers, output)
  eachLine(read, (line) => {
    const refusal = wrongParams(line)
    if (refusal === undefined) asked.write(`${withObjectArguments(line)}\n`)
    else answers.write(`${refusal}\n`)
  })
  const stop = greeting.isInitialize
    ? await serve2025(surface, asked, answers)
    : serve2026(surface, asked, answers)
  read.write(greeting.read)
  input.pipe(read, { end: false })
  input.resume()
  return { finished: ended.then(isAnswered), stop }
}

/** Hands answers on, and tells when every request has its own, or has waited too long. */
function watch(read: Readable, answers: Readable, output: Writable): () => Promise<void> {
  const open = new Set<unknown>()
  let check = () => {}
  eachLine(read, (line) => {
    const { id, method, params } = readMessage(line)
    if (method === 'notifications/cancelled') open.delete(params?.requestId)
    else if (method !== undefined && id !== undefined) open.add(id)
  })
  // Before the look at it, so that what is seen is written.
  answers.pipe(output)
  eachLine(answers, (line) => {
    const { id, method } = readMessage(line)
    if (method === undefined) open.delete(id)
    check()
  })
  return async () => {
    // What was read last is on its way through the stream.
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, MOST_WAIT_MS)
      check = () => {
        if (open.size > 0) return
        clearTimeout(timer)
        resolve()
      }
      check()
    })
    await new Promise<void>((resolve) => output.write('', () => resolve()))
  }
}

function eachLine(stream: Readable, take: (line: string) => void): void {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  stream.on('data', (chunk: Buffer) => {
    const lines = `${rest}${decoder.write(chunk)}`.split('\n')
    rest = lines.pop()!
    for (const line of lines) take(line)
  })
}

/** The line that says what is spoken, with all that was read after the lines before it. Undefined where none comes. */
async function greet(
  input: Readable,
  ended: Promise<void>,
  output: Writable,
): Promise<{ isInitialize: boolean; read: Buffer } | undefined> {
  let read = Buffer.alloc(0)
  for (;;) {
    const chunk: Buffer | null = input.read()
    if (chunk === null) {
      if (input.readableEnded || input.destroyed) return undefined
      await Promise.race([new Promise((resolve) => input.once('readable', resolve)), ended])
      continue
    }
    read = Buffer.concat([read, chunk])
    for (let end = read.indexOf('\n'); end >= 0; end = read.indexOf('\n')) {
      const { id, method } = readMessage(read.subarray(0, end).toString('utf8'))
      if (method !== undefined && method !== 'ping') return { isInitialize: method === 'initialize', read }
      // Both versions allow a ping before anything else; whatever else it is, it is no request.
      if (method === 'ping') output.write(`${JSON.stringify({ jsonrpc: '2.0', id, result: {} })}\n`)
      read = read.subarray(end + 1)
    }
    if (read.length > MOST_BYTES) throw new Error('The first line is too long for a message of the protocol.')
  }
}

interface Message {
  id?: string | number
  method?: string
  params?: { requestId?: unknown }
}

/** Nothing of it where it is no message. */
function readMessage(line: string): Message {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null) return {}
    const { id, method, params } = value as Record<string, unknown>
    return {
      ...((typeof id === 'string' || typeof id === 'number') && { id }),
      ...(typeof method === 'string' && { method }),
      ...(typeof params === 'object' && params !== null && { params }),
    }
  } catch {
    return {}
  }
}
