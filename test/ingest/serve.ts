import { once } from 'node:events'
import type { Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'
import { type AppOptions, createApp, createServer } from '../../ingest/app.ts'
import { KEY } from './stub-tocsin.ts'

export interface Served {
  server: Server
  port: number
  url: string
  /** A call with a valid key and, where there is a body, JSON. */
  api(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>
  /** Bytes as written on the connection; what comes back until it ends. */
  raw(...chunks: (string | Buffer)[]): Promise<string>
}

export interface ApiAnswer {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: an answer in a test is looked into by hand
  body: any
}

type ServeOptions = Partial<AppOptions> & Pick<AppOptions, 'tocsin'>

/** Serves an app until the test is over. */
export async function serve(options: ServeOptions): Promise<Served> {
  const served = await listen(options)
  onTestFinished(() => stop(served))
  return served
}

export function stop({ server }: Served): void {
  server.close()
  server.closeAllConnections()
}

/** Serves an app until it is stopped. */
export async function listen(options: ServeOptions): Promise<Served> {
  const server = createServer(createApp({ config: { trustProxy: [] }, log: () => {}, ...options }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  return {
    server,
    port,
    url,
    api: async (method, path, body, headers) => {
      const response = await fetch(`${url}/api/v1${path}`, {
        method,
        headers: {
          Authorization: `Bearer ${KEY}`,
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const answered = await response.text()
      return {
        status: response.status,
        headers: response.headers,
        body: answered ? JSON.parse(answered) : null,
      }
    },
    raw: async (...chunks) => {
      const socket = connect(port, '127.0.0.1')
      const answer = text(socket)
      for (const chunk of chunks) socket.write(chunk)
      return answer
    },
  }
}
