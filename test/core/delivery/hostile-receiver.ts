import { type AddressInfo, createServer, type Socket } from 'node:net'

/** A receiver of its own process, so that its memory is not taken for that of the sender; the path says what it does. */

const MEGABYTE = Buffer.alloc(1024 * 1024, 'a')
const BODY_BYTES = 1024 * MEGABYTE.length
const LINE = Buffer.from(`X-Long: ${'a'.repeat(1_000)}\r\n`)

const answers: Record<string, (socket: Socket) => void> = {
  '/body': (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`)
    pour(socket, MEGABYTE, BODY_BYTES)
  },
  '/chunks': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    pour(socket, Buffer.concat([Buffer.from('100000\r\n'), MEGABYTE, Buffer.from('\r\n')]), BODY_BYTES)
  },
  '/headers': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    pour(socket, LINE, 10_000_000)
  },
  '/encodings': (socket) => {
    const list = Array(5_000).fill('br').join(',')
    socket.end(`HTTP/1.1 200 OK\r\nContent-Encoding: ${list}\r\nContent-Length: 1\r\n\r\na`)
  },
  '/drip': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n')
    const timer = setInterval(() => socket.write('a'), 100)
    socket.on('close', () => clearInterval(timer))
  },
}

const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', (request: Buffer) => answers[request.toString('latin1').split(' ')[1]!]?.(socket))
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))

/** Writes as fast as the other side reads. */
function pour(socket: Socket, part: Buffer, most: number): void {
  let written = 0
  const more = () => {
    while (!socket.destroyed && written < most) {
      written += part.length
      if (!socket.write(part)) {
        socket.once('drain', more)
        return
      }
    }
  }
  more()
}
