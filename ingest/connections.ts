import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Requests that may wait on a connection for the answer to an earlier one. Few senders send ahead at all. */
const MOST_WAITING = 16

/** As Node says it to who takes too long. */
const REQUEST_TIMEOUT = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'

interface Connection {
  /** Grows with each connection and each request. */
  lastTurn: number
  hasAsked: boolean
  /** What the application has not answered, or its sender not taken. */
  answering: ServerResponse | undefined
  waiting: [IncomingMessage, ServerResponse][]
}

/**
 * Lets the application answer the requests of a connection one after the other: who sends on and on and reads no answer
 * would have them all in memory. A sender too far ahead is cut off. With `mostConnections`, those that have waited for
 * their senders the longest make room for new ones.
 */
export function answerInTurn(server: Server, listener: RequestListener, mostConnections: number): void {
  server.maxConnections = mostConnections
  const connections = new Map<Socket, Connection>()
  let turn = 0

  server.on('connection', (socket) => {
    // One more would not be let in.
    if (connections.size >= mostConnections - 1) makeRoom()
    connections.set(socket, { lastTurn: ++turn, hasAsked: false, answering: undefined, waiting: [] })
    socket.on('close', () => connections.delete(socket))
  })

  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    const { socket } = req
    const connection = connections.get(socket)
    if (connection === undefined) return
    connection.lastTurn = ++turn
    connection.hasAsked = true
    if (connection.answering === undefined) answer(connection, req, res)
    else if (connection.waiting.length < MOST_WAITING) connection.waiting.push([req, res])
    else socket.destroy()
  })

  function answer(connection: Connection, req: IncomingMessage, res: ServerResponse): void {
    connection.answering = res
    // Not before the system has taken the whole answer.
    res.on('close', () => {
      connection.answering = undefined
      const next = connection.waiting.shift()
      // After an answer that closes the connection nobody would hear another one.
      if (next && req.socket.writable) answer(connection, ...next)
    })
    listener(req, res)
  }

  function makeRoom(): void {
    const standing = Array.from(connections).filter(([, connection]) => waitsForSender(connection))
    standing.sort(([, a], [, b]) => a.lastTurn - b.lastTurn)
    // Some at once, so that a flood does not have them all looked at for each.
    for (const [socket, { hasAsked, answering }] of standing.slice(0, Math.ceil(mostConnections / 40))) {
      connections.delete(socket)
      const isHeardOut = answering ? answering.headersSent : hasAsked
      if (!isHeardOut) socket.write(REQUEST_TIMEOUT)
      socket.destroy()
    }
  }
}

/** Idle, in the middle of a request, or with an answer that is not taken. */
function waitsForSender({ answering }: Connection): boolean {
  return answering === undefined || !answering.req.complete || answering.writableEnded
}
