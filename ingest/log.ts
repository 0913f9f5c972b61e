import type { Log } from '@tocsin/core'
import { type DestinationStream, type Logger, pino } from 'pino'
import type { LogLevel } from './config.ts'

/** JSON lines on stderr; on a terminal a readable form. */
export async function openLog(level: LogLevel): Promise<Log> {
  return toLog(pino({ level, serializers: { err: errorForLog } }, await destination()))
}

/** Core's way of logging, on a pino logger. */
export function toLog(logger: Logger): Log {
  return (level, message, fields) => logger[level](fields ?? {}, message)
}

/**
 * What of an error may be logged. Only known members: libraries hang bodies (`err.body`) and rows (PostgreSQL's
 * `detail`) on their errors. A syntax error quotes the text it could not read, so its message is left out too.
 */
export function errorForLog(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error }
  return {
    type: error.name,
    message: error instanceof SyntaxError ? 'left out: it quotes the text' : error.message,
    code: 'code' in error ? error.code : undefined,
    frames: error.stack?.split('\n').filter((line) => line.startsWith('    at ')),
    cause: error.cause === undefined ? undefined : errorForLog(error.cause),
  }
}

/**
 * Lines to an open file. Where it takes none, as on a full disk, a MiB of them waits until it takes a line again,
 * and what comes on top is lost: a log must not end what it tells of.
 */
export function openLines(descriptor: number): DestinationStream {
  // Synchronous, so that the last line before a crash is not lost.
  const lines = pino.destination({ dest: descriptor, sync: true, maxLength: MOST_WAITING })
  lines.on('error', () => {})
  return lines
}

/** In characters. */
const MOST_WAITING = 2 ** 20

async function destination() {
  if (!process.stderr.isTTY) return openLines(2)

  const { default: pretty } = await import('pino-pretty')
  return pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' })
}
