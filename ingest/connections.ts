import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Requests that may wait on a connection for the answer to an earlier one. Few senders send ahead at all. */
const MOST_WAITING = 16

/** As Node says it to who takes too long. */
const REQUEST_TIMEOUT = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'

/**
 * Where a socket keeps its connection, and each connection its place in a list. A Map or Set that everything enters and
 * leaves is copied again and again; what stood in a copy of long ago keeps the next requests in memory, up to a
 * collection of everything.
 */
const CONNECTION = Symbol('connection')
type ConnectedSocket = Socket & { [CONNECTION]?: Connection | undefined }

interface Connection {
  socket: ConnectedSocket
  place: number
  /** Grows with each connection and each request. */
  lastTurn: number
  hasAsked: boolean
  /** What the application has not answered, or its sender not taken. */
  answering: ServerResponse | undefined
  waiting: [IncomingMessage, ServerResponse][]
}

/** Whose turn it is on the connections of a server. */
export interface Turns {
  /** From now on an answer that has not begun yet, and that no other is to follow, closes its connection. */
  end(): void
}

/**
 * Lets the application answer the requests of a connection one after the other: who sends on and on and reads no answer
 * would have them all in memory. A sender too far ahead is cut off. With `mostConnections`, those that have waited for
 * their senders the longest make room for new ones.
 */
export function answerInTurn(server: Server, listener: RequestListener, mostConnections: number): Turns {
  server.maxConnections = mostConnections
  const connections: Connection[] = []
  let turn = 0
  let hasEnded = false

  server.on('connection', (socket: ConnectedSocket) => {
    // One more would not be let in.
    if (connections.length >= mostConnections - 1) makeRoom()
    const place = connections.length
    const connection = { socket, place, lastTurn: ++turn, hasAsked: false, answering: undefined, waiting: [] }
    connections.push(connection)
    socket[CONNECTION] = connection
    socket.on('close', () => forget(connection))
  })

  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    const socket: ConnectedSocket = req.socket
    const connection = socket[CONNECTION]
    // After an answer that closes the connection nobody would hear another one.
    if (connection === undefined || !socket.writable) return
    connection.lastTurn = ++turn
    connection.hasAsked = true
    if (connection.answering === undefined) answer(connection, req, res)
    else if (connection.waiting.length < MOST_WAITING) connection.waiting.push([req, res])
    else socket.destroy()
  })

  function answer(connection: Connection, req: IncomingMessage, res: ServerResponse): void {
    connection.answering = res
    if (hasEnded) endWith(connection)
    // Not before the system has taken the whole answer.
    res.on('close', () => {
      connection.answering = undefined
      const next = connection.waiting.shift()
      if (next && req.socket.writable) answer(connection, ...next)
    })
    listener(req, res)
  }

  function makeRoom(): void {
    const standing = connections.filter(waitsForSender).sort((a, b) => a.lastTurn - b.lastTurn)
    // Some at once, so that a flood does not have them all looked at for each.
    for (const connection of standing.slice(0, Math.ceil(mostConnections / 40))) {
      const { socket, hasAsked, answering } = connection
      forget(connection)
      const isHeardOut = answering ? answering.headersSent : hasAsked
      if (!isHeardOut) socket.write(REQUEST_TIMEOUT)
      socket.destroy()
    }
  }

  /** Once is enough. The last one takes its place. */
  function forget(connection: Connection): void {
    if (connections[connection.place] !== connection) return
    connection.socket[CONNECTION] = undefined
    const last = connections.pop()!
    if (last === connection) return
    connections[connection.place] = last
    last.place = connection.place
  }

  return {
    end() {
      hasEnded = true
      connections.forEach(endWith)
    },
  }
}

/** Unless the answer has begun, or others are to follow it. */
function endWith({ answering, waiting }: Connection): void {
  if (answering && !answering.headersSent && waiting.length === 0) answering.setHeader('Connection', 'close')
}

/** Idle, in the middle of a request, or with an answer that is not taken. */
function waitsForSender({ answering }: Connection): boolean {
  return answering === undefined || !answering.req.complete || answering.writableEnded
}
