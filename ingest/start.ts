import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import {
  type FirstStart,
  type Log,
  type OpenedTocsin,
  type OpenOptions,
  openTocsin,
  TocsinError,
} from '@tocsin/core'
import { answerError, answerJson } from './answer.ts'
import { createApp, createServer } from './app.ts'
import { type Config, isSqlite, openOptions, readConfig, targetRules } from './config.ts'
import { ConfigError } from './config-error.ts'
import { openDataDir } from './data-dir.ts'
import { openLog } from './log.ts'
import { reachable } from './networks.ts'
import { startUpText } from './start-up-text.ts'
import { onceOrphaned, stopSignalHandler, takeStopSignals } from './stop-signal.ts'
import { makeStoppable } from './stoppable.ts'
import { within } from './within.ts'

// Below the 10 s after which process managers kill, with a second for a machine that has much else to do.
const STOP_LIMIT_MS = 9_000
/** Of it, how long requests under way may take: longer than Tocsin asks a database that does not answer. */
const ANSWER_LIMIT_MS = 8_250
const ABOUT_TO_SHOW_MS = 5_000

try {
  await start()
} catch (error) {
  process.stderr.write(`Tocsin did not start: ${sentenceOf(error)}\n`)
  process.exit(1)
}

async function start(): Promise<void> {
  // A signal that came while all this was read is heard now, before anything is made.
  await nextTurn()
  const config = readConfig(process.env)
  const log = await openLog(config.logLevel)
  process.on('uncaughtException', (error) => {
    log('error', 'crashed', { err: error })
    process.exit(1)
  })
  const secretKey = openDataDir(config)

  // The port comes first: a start that finds it taken must not have made, and lost, the first admin key.
  let answer: RequestListener = answerStarting
  const server = createServer((req, res) => answer(req, res))
  const stoppable = makeStoppable(server, { drainMs: config.drainMs })
  const localUrl = await listen(server, config)
  const publicUrl = config.publicUrl ?? localUrl

  const stopping = new AbortController()
  const opening = open({
    ...openOptions(config),
    secretKey,
    publicUrl,
    role: config.role,
    targets: targetRules(config),
    ...(config.adminKey !== null && { adminKey: config.adminKey }),
    log,
    signal: stopping.signal,
  })
  const stop = async () => {
    const end = performance.now() + STOP_LIMIT_MS
    const answered = stoppable.stop(ANSWER_LIMIT_MS)
    // What failed, or is broken off, has nothing to close.
    const opens = opening.catch(() => undefined)
    stopping.abort()
    try {
      const opened = await within(STOP_LIMIT_MS, opens, openingTooLong)
      await opened?.close({ after: answered, limitMs: end - performance.now() })
      await answered
    } catch (error) {
      log('error', 'stopping failed', { err: error })
      throw error
    }
  }
  const onSignal = stopSignalHandler(stop, process.exit, () => performance.now())
  takeStopSignals(onSignal)
  // Only under npm: what a person or a process manager starts may outlive its parent.
  if (process.env.npm_lifecycle_event === 'start') {
    // Where a signal came as well, it stops already.
    onceOrphaned(() => stoppable.isStopping() || onSignal())
  }

  const tocsin = await opening.catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error
  })
  // Stopped before it was open: the stop ends the process.
  if (tocsin === undefined) return
  const hosts = [...config.allowedHosts, new URL(publicUrl).hostname, reachable(config.host)]
  answer = createApp({ tocsin, config, hosts, log, isStopping: stoppable.isStopping })
  // Where it cannot be printed, as on a full disk, Tocsin serves all the same.
  process.stdout.on('error', () => {})
  const firstStart = tocsin.firstStart ?? (await leftBehind(tocsin, config, log))
  const text = startUpText({ firstStart, defaultProjectId: tocsin.defaultProjectId }, { localUrl, publicUrl })
  process.stdout.write(text, (error) => {
    if (error || firstStart === null) return
    // Shown once more at the next start, then.
    tocsin
      .firstStartShown()
      .catch((fault: unknown) => log('warn', 'the first start stays to be shown', { err: fault }))
  })
}

/** What a first start that was killed has made and not shown: without it nobody has a key. */
async function leftBehind(
  tocsin: OpenedTocsin,
  { databaseUrl }: Config,
  log: Log,
): Promise<FirstStart | null> {
  // Where several processes start at once, the one that made it is about to show it.
  const end = performance.now() + (isSqlite(databaseUrl) ? 0 : ABOUT_TO_SHOW_MS)
  try {
    for (;;) {
      const left = await tocsin.firstStartLeft()
      if (left === null || performance.now() >= end) return left
      await wait(100)
    }
  } catch (error) {
    log('warn', 'it is not known whether the first start was shown', { err: error })
    return null
  }
}

/** Opens core. Drivers say what failed, but not which setting to look at. */
async function open(options: OpenOptions): Promise<OpenedTocsin> {
  try {
    return await openTocsin(options)
  } catch (error) {
    options.log?.('debug', 'opening failed', { err: error })
    if (!(error instanceof Error) || error instanceof TocsinError || !('code' in error)) throw error
    throw new ConfigError(`the database at DATABASE_URL does not open (${messageOf(error)})`)
  }
}

function openingTooLong(): Error {
  return new Error(`Broken off after ${STOP_LIMIT_MS / 1000} s: opening the database.`)
}

/** Until the database is open. */
function answerStarting(req: IncomingMessage, res: ServerResponse): void {
  if (req.url === '/healthz') answerJson(res, 200, { status: 'ok' })
  else if (req.url === '/readyz') answerJson(res, 503, { status: 'not ready', reason: 'starting' })
  else {
    answerError(
      res,
      new TocsinError('unavailable', 'Tocsin is starting: try again.', { retryAfterSeconds: 1 }),
    )
  }
}

/** Listens and returns the address to reach it at from this machine. */
function listen(server: Server, { host, port }: Config): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)))
    server.listen(port, host, () => {
      const chosen = (server.address() as AddressInfo).port
      resolve(`http://${reachable(host)}:${chosen}`)
    })
  })
}

function listenError(error: Error, host: string, port: number): Error {
  switch ('code' in error ? error.code : undefined) {
    case 'EADDRINUSE':
      return new ConfigError(
        `TOCSIN_PORT is ${port}, which another program listens on; for example TOCSIN_PORT=${port === 4117 ? 4118 : 4117}, or 0 for any free one`,
      )
    case 'EACCES':
      return new ConfigError(
        `TOCSIN_PORT is ${port}, which this user may not use; for example TOCSIN_PORT=4117`,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ConfigError(
        `TOCSIN_HOST is "${host}", which is no address of this machine; for example TOCSIN_HOST=127.0.0.1`,
      )
    default:
      return error
  }
}

function sentenceOf(error: unknown): string {
  const message = error instanceof Error ? messageOf(error) : 'for an unknown reason'
  return /[.!?]$/.test(message) ? message : `${message}.`
}

/** A refused connection comes as a bundle of errors with no message of its own. */
function messageOf(error: Error): string {
  return error.message || (error instanceof AggregateError && error.errors[0]?.message) || error.name
}
