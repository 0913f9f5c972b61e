import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Outgoing {
  url: string
  headers: Record<string, string>
  body: string
}

export interface Sender {
  /** Posts one body; throws only where no whole answer came. */
  post(outgoing: Outgoing): Promise<{ status: number; headers: IncomingHttpHeaders; body: string }>
  close(): void
}

/** A monitoring tool that keeps its connections, and unlike fetch never repeats a request by itself. */
export function openSender(): Sender {
  const agent = new Agent({ keepAlive: true })

  return {
    close: () => agent.destroy(),
    post: ({ url, headers, body }) =>
      new Promise((resolve, reject) => {
        const outgoing = request(url, { method: 'POST', agent, headers }, (incoming) => {
          text(incoming)
            .then((body) => resolve({ status: incoming.statusCode!, headers: incoming.headers, body }))
            .catch(reject)
        })
        outgoing.on('error', reject)
        outgoing.end(body)
      }),
  }
}
