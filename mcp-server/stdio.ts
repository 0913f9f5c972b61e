import { once } from 'node:events'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { serve2025 } from './sdk-2025.ts'
import { serve2026 } from './sdk-2026.ts'
import type { Surface } from './surface.ts'

/** A first line longer than this is no greeting. */
const MOST_BYTES = 1024 * 1024

/**
 * Serves one client over a pair of streams. Its first line says which version of the protocol it speaks. Answers how
 * to stop; undefined where the input ends before a first line.
 */
export async function serveStdio(
  surface: Surface,
  input: Readable,
  output: Writable,
): Promise<(() => Promise<void>) | undefined> {
  const first = await firstLine(input)
  if (!first) return undefined

  const whole = new PassThrough()
  const stop = isInitialize(first.line)
    ? await serve2025(surface, whole, output)
    : serve2026(surface, whole, output)
  whole.write(first.read)
  input.pipe(whole)
  input.resume()
  return stop
}

async function firstLine(input: Readable): Promise<{ line: string; read: Buffer } | undefined> {
  let read = Buffer.alloc(0)
  for (;;) {
    const chunk: Buffer | null = input.read()
    if (chunk === null) {
      if (input.readableEnded || input.destroyed) return undefined
      await Promise.race([once(input, 'readable'), once(input, 'end')])
      continue
    }
    read = Buffer.concat([read, chunk])
    const line = read.toString('utf8').trimStart()
    if (line.includes('\n')) return { line: line.slice(0, line.indexOf('\n')), read }
    if (read.length > MOST_BYTES) throw new Error('The first line is too long for a message of the protocol.')
  }
}

/** Clients before 2026-07-28 begin with it; later ones never send it. */
function isInitialize(line: string): boolean {
  try {
    return (JSON.parse(line) as { method?: unknown }).method === 'initialize'
  } catch {
    return false
  }
}
