import type { Log } from '@tocsin/core'
import { type Logger, pino } from 'pino'
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

async function destination() {
  // Synchronous, so that the last line before a crash is not lost.
  if (!process.stderr.isTTY) return pino.destination({ dest: 2, sync: true })

  const { default: pretty } = await import('pino-pretty')
  return pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' })
}
