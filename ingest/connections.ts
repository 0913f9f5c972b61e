import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Requests that may wait on a connection for the answer to an earlier one. Few senders send ahead at all. */
const MOST_WAITING = 16

interface Connection {
  /** What the application has not answered, or its sender not taken. */
  answering: ServerResponse | undefined
  waiting: [IncomingMessage, ServerResponse][]
}

/**
 * Lets the application answer the requests of a connection one after the other: who sends on and on and reads no answer
 * would have them all in memory. A sender too far ahead is cut off.
 */
export function answerInTurn(server: Server, listener: RequestListener): void {
  const connections = new WeakMap<Socket, Connection>()

  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    const { socket } = req
    let connection = connections.get(socket)
    if (connection === undefined) {
      connection = { answering: undefined, waiting: [] }
      connections.set(socket, connection)
    }
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
}
