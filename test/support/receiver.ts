import { onTestFinished } from 'vitest'
import { type Received, startReceiver } from './start-receiver.ts'

/** A receiver of outgoing webhooks on the loopback address, gone when the test is over. */
export async function openReceiver(
  answer?: (received: Received) => number | Promise<number>,
): Promise<{ url: string; received: Received[] }> {
  const { url, received, close } = await startReceiver(answer)
  onTestFinished(close)
  return { url, received }
}
