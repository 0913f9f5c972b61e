import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import { parseArgs } from 'node:util'
import type { Log } from '@tocsin/core'
import { loadSettingsFile } from '@tocsin/ingest/settings-file'
import { onceOrphaned, stopSignalHandler, takeStopSignals } from '@tocsin/ingest/stop-signal'
import { type Connection, connect } from './connection.ts'
import { mcpHandler } from './http.ts'
import { type Served, serveStdio } from './stdio.ts'
import { createSurface } from './surface.ts'

const USAGE = `Serves Tocsin to AI assistants over MCP.

  npm run --silent mcp                                 over stdio
  npm run mcp -- --http --port 4118                    over HTTP at /mcp, a key per request
  --host <address>    where --http listens; 127.0.0.1 unless told
  --allow-host <name> a name it may be called by; may be repeated
  --read-only         nothing can be changed

Works on the server at TOCSIN_URL with TOCSIN_API_KEY, else on the database of this machine.
`

const log: Log = (level, message, fields) => {
  if (level === 'debug') return
  const { err, ...rest } = fields ?? {}
  const error = err instanceof Error ? err.message : err
  process.stderr.write(
    `${JSON.stringify({ level, message, ...rest, ...(error !== undefined && { error }) })}\n`,
  )
}

process.umask(0o077)
try {
  await start()
} catch (error) {
  process.stderr.write(`MCP did not start: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}

async function start(): Promise<void> {
  const { values } = parseArgs({
    options: {
      http: { type: 'boolean', default: false },
      port: { type: 'string', default: '4118' },
      host: { type: 'string', default: '127.0.0.1' },
      'allow-host': { type: 'string', multiple: true, default: [] },
      'read-only': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stderr.write(USAGE)
    return
  }
  loadSettingsFile()
  if (values.http) refuseOpenBind(values.host)
  const connection = await connect(process.env, log)
  const readOnly = values['read-only']
  let stopServing = async () => {}
  let isStopping = false
  const stop = async () => {
    isStopping = true
    await stopServing()
    await connection.close()
  }
  const onSignal = stopSignalHandler(stop, process.exit, () => performance.now())
  takeStopSignals(onSignal)

  if (values.http) {
    // Over stdio the end of the input tells the same.
    if (process.env.npm_lifecycle_event === 'mcp') onceOrphaned(() => isStopping || onSignal())
    stopServing = await startHttp(connection, {
      host: values.host,
      port: readPort(values.port),
      hosts: values['allow-host'],
      readOnly,
    })
    return
  }
  const served = await startStdio(connection, readOnly)
  stopServing = served.stop
  // A client that goes away closes our input; one that only has no more to ask still reads.
  await served.finished
  if (!isStopping) onSignal()
}

async function startStdio(connection: Connection, readOnly: boolean): Promise<Served> {
  const { isAddressGuessed, serverUrl } = connection
  const surface = createSurface({
    tocsin: await connection.own(),
    readOnly,
    log,
    now: () => new Date(),
    random: randomUUID,
    isAddressGuessed,
    serverUrl,
  })
  return serveStdio(surface, process.stdin, process.stdout)
}

async function startHttp(
  { authenticate, isAddressGuessed, serverUrl }: Connection,
  { host, port, hosts, readOnly }: { host: string; port: number; hosts: string[]; readOnly: boolean },
): Promise<() => Promise<void>> {
  const handle = mcpHandler({
    authenticate,
    hosts: isIP(host) === 6 ? [...hosts, `[${host}]`] : [...hosts, host],
    readOnly,
    log,
    isAddressGuessed,
    serverUrl,
  })
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 15_000 }, (req, res) => {
    if (req.url?.split('?')[0] !== '/mcp') {
      res.writeHead(404, { 'Content-Type': 'application/json' }).end('{"error":"MCP is at /mcp"}')
      return
    }
    handle(req, res).catch((error: unknown) => {
      log('error', 'mcp request failed', { err: error })
      if (!res.headersSent) res.writeHead(500)
      res.end()
    })
  })
  server.listen(port, host)
  await once(server, 'listening')
  const { port: chosen } = server.address() as AddressInfo
  process.stderr.write(`MCP is at http://${isIP(host) === 6 ? `[${host}]` : host}:${chosen}/mcp\n`)
  return async () => {
    server.close()
    server.closeIdleConnections()
    await once(server, 'close')
  }
}

/**
 * Keys come from the server at TOCSIN_URL. Those of the local database may be the only ones of a machine that was never
 * meant to be reached from outside, so there the user has to name the server.
 */
function refuseOpenBind(host: string): void {
  const isLoopback = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
  if (isLoopback || process.env.TOCSIN_URL) return
  throw new Error(
    `--host is ${host}, which others can reach, but TOCSIN_URL is not set: name the server whose keys are valid here.`,
  )
}

function readPort(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port
  throw new Error(`--port is "${text}", but must be a whole number from 0 to 65535.`)
}
