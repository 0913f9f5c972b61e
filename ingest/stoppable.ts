import type { Server } from 'node:http'
import { Server as NetServer } from 'node:net'
import { setImmediate as nextTurn, setTimeout as timeout } from 'node:timers/promises'
import type { Turns } from './connections.ts'

export interface Stoppable {
  isStopping(): boolean
  /** Resolves once every request in flight is answered, or was cut off after `limitMs`. */
  stop(limitMs: number): Promise<void>
}

// How long connections are still taken, by who has not yet noticed, and then how long an open one may still bring a
// request that its sender had on the way already.
const LAST_CALL_MS = 250
// How long it may take to take in those that wait for it.
const QUEUE_MS = 1_000
// A turn in which hardly anybody can have come since it looked for connections.
const SHORT_TURN_MS = 0.3

/**
 * Lets a server stop without cutting off a request it has taken. It goes on listening for `drainMs` milliseconds, until a
 * proxy has noticed that it is no longer ready.
 */
export function makeStoppable(
  server: Server & { readonly turns: Turns },
  { drainMs = 0, wait = timeout }: { drainMs?: number; wait?: (ms: number) => Promise<unknown> } = {},
): Stoppable {
  let stopping = false
  let connections = 0
  server.on('connection', () => {
    connections += 1
  })

  return {
    isStopping: () => stopping,
    stop: async (limitMs) => {
      stopping = true
      const limit = setTimeout(() => server.closeAllConnections(), limitMs)

      await wait(Math.max(LAST_CALL_MS, drainMs))
      // Those that the system has let in but Node has not yet taken would be reset: one is taken with each turn, and while
      // a long one lasts more may come.
      const end = performance.now() + QUEUE_MS
      let nobodyWaits: boolean
      do {
        const [taken, began] = [connections, performance.now()]
        await nextTurn()
        nobodyWaits = connections === taken && performance.now() - began < SHORT_TURN_MS
      } while (!nobodyWaits && performance.now() < end)
      // Not before: who has to connect anew for each request would fill the queue of those that wait to be taken in.
      server.turns.end()
      // http's own close() also ends idle connections at once, with whatever request is on its way in them.
      const closed = new Promise<void>((resolve) => {
        NetServer.prototype.close.call(server, () => resolve())
      })

      let isClosed = false
      void closed.then(() => {
        isClosed = true
      })
      await Promise.race([closed, wait(LAST_CALL_MS)])
      // Again and again, for those whose last answer had begun before it could say "Connection: close".
      while (!isClosed) {
        // After a turn that was held up, what has come meanwhile is read before anything counts as idle.
        await nextTurn()
        server.closeIdleConnections()
        await Promise.race([closed, wait(50)])
      }
      clearTimeout(limit)
    },
  }
}
