import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { World } from './world.ts'

/** How a receiver treats a webhook; of those that were not taken nobody knows. */
export type Treatment = 'take' | 'refuse' | 'gone' | 'reset'

const STATUS = { take: 204, refuse: 503, gone: 410 } as const

/** A webhook that was taken. */
export interface Taken {
  path: string
  id: string
  body: string
}

/** A receiver that keeps nothing by itself, for more webhooks than memory holds. Answers its address. */
export async function startCounting(
  world: Pick<World, 'afterwards'>,
  treat: (path: string) => Treatment | Promise<Treatment>,
  took: (taken: Taken) => void,
): Promise<string> {
  const server = createServer(async (req, res) => {
    const body = await text(req).catch(() => undefined)
    // Cut off in the middle of its request.
    if (body === undefined) return
    const path = req.url!
    const treatment = await treat(path)
    if (treatment === 'reset') {
      req.socket.destroy()
      return
    }
    if (treatment === 'take') took({ path, id: String(req.headers['webhook-id']), body })
    res.writeHead(STATUS[treatment]).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  world.afterwards(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
