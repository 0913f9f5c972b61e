import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

export interface Received {
  headers: IncomingHttpHeaders
  body: string
  path: string
}

/** A receiver of outgoing webhooks on the loopback address, gone when the test is over. */
export async function openReceiver(
  answer: (received: Received) => number | Promise<number> = () => 204,
): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = []
  const server = createServer(async (req, res) => {
    const one = { headers: req.headers, body: await text(req), path: req.url ?? '' }
    received.push(one)
    res.writeHead(await answer(one)).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, received }
}
