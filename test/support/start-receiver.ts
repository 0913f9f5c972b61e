import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface Received {
  headers: IncomingHttpHeaders
  body: string
  path: string
}

export interface Receiver {
  url: string
  /** All it was sent, in order. */
  received: Received[]
  close(): void
}

/** A receiver of outgoing webhooks on the loopback address. */
export async function startReceiver(
  answer: (received: Received) => number | Promise<number> = () => 204,
): Promise<Receiver> {
  const received: Received[] = []
  const server = createServer(async (req, res) => {
    let body: string
    try {
      body = await text(req)
    } catch {
      // Cut off in the middle of its request.
      return
    }
    const one = { headers: req.headers, body, path: req.url ?? '' }
    received.push(one)
    res.writeHead(await answer(one)).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
