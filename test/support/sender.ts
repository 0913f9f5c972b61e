import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { ApiReceived } from '@tocsin/core'
import type { SendingSource } from './tocsin-process.ts'

export interface Sender {
  /** Posts one body; throws only where no whole answer came. */
  post(body: unknown): Promise<{ status: number; body: ApiReceived }>
  close(): void
}

/** A monitoring tool that keeps its connections, and unlike fetch never repeats a request by itself. */
export function openSender({ url, secret }: SendingSource): Sender {
  const agent = new Agent({ keepAlive: true })
  const headers = { 'Content-Type': 'application/json', 'X-Webhook-Secret': secret }

  return {
    close: () => agent.destroy(),
    post: (body) =>
      new Promise((resolve, reject) => {
        const outgoing = request(url, { method: 'POST', agent, headers }, (incoming) => {
          text(incoming)
            .then((answer) => resolve({ status: incoming.statusCode!, body: JSON.parse(answer) }))
            .catch(reject)
        })
        outgoing.on('error', reject)
        outgoing.end(JSON.stringify(body))
      }),
  }
}
