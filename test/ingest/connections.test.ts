import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { createServer } from '../../ingest/app.ts'

test('requests sent ahead reach the application one after the other, none after the last answer', async () => {
  const seen: string[] = []
  const { open } = await start((req, res) => {
    seen.push(`${req.url} came`)
    setImmediate(() => {
      seen.push(`${req.url} answered`)
      if (req.url === '/2') res.setHeader('Connection', 'close')
      res.end()
    })
  })
  const socket = await open()
  socket.write(`${get('/1')}${get('/2')}${get('/3')}`)
  expect((await text(socket)).match(/HTTP\/1.1 200/g)).toHaveLength(2)
  expect(seen).toEqual(['/1 came', '/1 answered', '/2 came', '/2 answered'])
})

test('a connection is ended where nobody takes the answer, and one that is only idle is not', async () => {
  const { open, sockets } = await start(
    (req, res) => res.end(Buffer.alloc(req.url === '/' ? 0 : 64_000_000)),
    {
      stillMs: 200,
    },
  )
  const idle = await open()
  idle.write(get('/'))
  await once(idle, 'data')

  const still = await open()
  still.pause()
  still.write(get('/large'))
  await once(sockets[1]!, 'close')
  expect(sockets[0]!.destroyed).toBe(false)
})

test('connections that wait for their senders the longest make room for new ones', async () => {
  const { open, sockets } = await start(
    (req, res) => {
      if (req.url === '/') res.end()
    },
    { mostConnections: 5 },
  )
  const [answering, silent, idle, body] = [await open(), await open(), await open(), await open()]
  answering.write(get('/long'))
  const answers = [text(silent), text(idle), text(body)]
  idle.write(get('/'))
  await once(idle, 'data')
  body.write('POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{')

  for (let n = 0; n < 20; n++) {
    const honest = await open()
    honest.write(get('/'))
    expect(String((await once(honest, 'data'))[0])).toMatch(/^HTTP\/1.1 200 /)
  }
  const [toSilent, toIdle, toBody] = await Promise.all(answers)
  expect(toSilent).toMatch(/^HTTP\/1.1 408 /)
  expect(toIdle!.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200'])
  expect(toBody).toMatch(/^HTTP\/1.1 408 /)
  expect(sockets[0]!.destroyed).toBe(false)
})

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
}

async function start(listener: RequestListener, options?: Parameters<typeof createServer>[1]) {
  const server = createServer(listener, options)
  const sockets: Socket[] = []
  server.on('connection', (socket) => sockets.push(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const clients: Socket[] = []
  onTestFinished(() => {
    for (const client of clients) client.destroy()
    server.close()
  })
  return {
    sockets,
    open: async () => {
      const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
      clients.push(client)
      // A reset is one way to be cut off.
      client.on('error', () => {})
      await once(client, 'connect')
      return client
    },
  }
}
