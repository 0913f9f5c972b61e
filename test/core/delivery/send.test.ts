import { type AddressInfo, createServer, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createSender, isSuccess, type SendLimits } from '../../../core/delivery/send.ts'
import { inRepository, pinnedNode, startChild } from '../../support/child.ts'
import { until } from '../../support/until.ts'

const LIMITS = { connectMs: 500, headersMs: 1_000, totalMs: 400, readBytes: 16 * 1024, keepBytes: 4 * 1024 }

const AT_ONCE = 100

function open(limits: Partial<SendLimits> = LIMITS) {
  const sender = createSender({ rules: { allow: [], loopback: true }, limits, connections: AT_ONCE })
  onTestFinished(() => sender.close())
  return sender
}

/** A receiver that answers with bytes as given, by whatever this does with the socket; gone when the test is over. */
async function receiver(answer: (socket: Socket, request: string) => void): Promise<{
  url: string
  open(): number
}> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
      const head = text.indexOf('\r\n\r\n')
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
      if (head === -1 || text.length < head + 4 + length) return
      const request = text
      text = ''
      answer(socket, request)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=canary`,
    open: () => sockets.size,
  }
}

const head = (status: number, headers: string[] = []) =>
  [`HTTP/1.1 ${status} Whatever`, ...headers, '', ''].join('\r\n')
const outgoing = (url: string) => ({ url, headers: { 'content-type': 'application/json' }, body: '{"a":1}' })

/** Writes something every few milliseconds until the socket is gone. */
function drip(socket: Socket, text: string, everyMs = 20): void {
  const timer = setInterval(() => socket.write(text), everyMs)
  socket.on('close', () => clearInterval(timer))
}

test('posts the body and answers status, time and the beginning of the answer', async () => {
  let seen = ''
  const { url } = await receiver((socket, request) => {
    seen = request
    socket.write(`${head(202, ['Content-Length: 5'])}Taken`)
  })
  const result = await open().send(outgoing(url))
  expect(result).toEqual({
    status: 202,
    durationMs: expect.any(Number),
    error: null,
    excerpt: 'Taken',
    retryAfterMs: null,
  })
  expect(isSuccess(result)).toBe(true)
  expect(seen).toMatch(/^POST \/hook\?token=canary HTTP\/1\.1\r\n/)
  expect(seen).toMatch(/\r\n\r\n\{"a":1\}$/)
})

test('keeps a connection for the next message', async () => {
  const sockets = new Set<Socket>()
  const { url } = await receiver((socket) => {
    sockets.add(socket)
    socket.write(head(204))
  })
  const sender = open()
  for (let i = 0; i < 6; i++) expect((await sender.send(outgoing(url))).status).toBe(204)
  // The first may not be free again at once.
  expect(sockets.size).toBeLessThanOrEqual(2)
})

test.each([
  [200, true],
  [204, true],
  [299, true],
  [301, false],
  [304, false],
  [400, false],
  [404, false],
  [410, false],
  [429, false],
  [500, false],
])('%i is a success: %s', async (status, wanted) => {
  const { url } = await receiver((socket) => {
    socket.end(head(status, ['Location: http://127.0.0.1:1/', 'Content-Length: 0', 'Connection: close']))
  })
  const result = await open().send(outgoing(url))
  expect(result.status).toBe(status)
  expect(isSuccess(result)).toBe(wanted)
})

test('reads what the receiver asks for', async () => {
  const { url } = await receiver((socket) =>
    socket.write(head(503, ['Retry-After: 120', 'Content-Length: 0'])),
  )
  expect((await open().send(outgoing(url))).retryAfterMs).toBe(120_000)
})

test('decompresses nothing', async () => {
  const bomb = gzipSync(Buffer.alloc(10_000_000))
  const { url } = await receiver((socket) => {
    socket.write(head(200, ['Content-Encoding: gzip', `Content-Length: ${bomb.length}`]))
    socket.write(bomb)
  })
  const result = await open().send(outgoing(url))
  expect(result.status).toBe(200)
  expect(Buffer.byteLength(result.excerpt!)).toBeLessThanOrEqual(3 * 4096)
})

describe('a hostile answer ends in time and leaves nothing open (T15)', () => {
  const cases: [string, (socket: Socket) => void][] = [
    ['says nothing', () => {}],
    [
      'drips its headers',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n')
        drip(socket, 'X-Drip: a\r\n')
      },
    ],
    [
      'drips its body',
      (socket) => {
        socket.write(head(200, ['Content-Length: 1000000']))
        drip(socket, 'a')
      },
    ],
    [
      'drips chunks',
      (socket) => {
        socket.write(head(200, ['Transfer-Encoding: chunked']))
        drip(socket, '1\r\na\r\n')
      },
    ],
    [
      'never ends its body',
      (socket) => {
        socket.write(head(200))
      },
    ],
    ['says "continue" for ever', (socket) => drip(socket, 'HTTP/1.1 100 Continue\r\n\r\n')],
    ['announces hints for ever', (socket) => drip(socket, 'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n')],
    [
      'has 10 MB of headers',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n')
        const line = `X-Long: ${'a'.repeat(1_000)}\r\n`
        for (let i = 0; i < 10_000 && !socket.destroyed; i++) socket.write(line)
      },
    ],
    [
      'has a broken chunk',
      (socket) => {
        socket.write(`${head(200, ['Transfer-Encoding: chunked'])}zz\r\nbad\r\n`)
      },
    ],
    [
      'ends within its body',
      (socket) => {
        socket.end(`${head(200, ['Content-Length: 100'])}short`)
      },
    ],
    [
      'speaks HTTP/0.9',
      (socket) => {
        socket.end('<html>hello</html>')
      },
    ],
    [
      'sends noise',
      (socket) => {
        socket.write(Buffer.alloc(100_000, 0xff))
      },
    ],
    [
      'resets',
      (socket) => {
        socket.resetAndDestroy()
      },
    ],
  ]

  test.each(cases)('one that %s', async (_what, answer) => {
    const { url, open: openSockets } = await receiver(answer)
    const sender = open()
    const startedAt = performance.now()
    const results = await Promise.all(Array.from({ length: AT_ONCE }, () => sender.send(outgoing(url))))
    expect(performance.now() - startedAt).toBeLessThan(LIMITS.totalMs + 3_000)
    for (const result of results) {
      expect(isSuccess(result)).toBe(false)
      expect(result.error).toBeTruthy()
      expect(result.error).not.toContain('canary')
    }
    // Slots are free again: the same receiver's next answer comes through a new connection.
    await sender.close()
    await expect.poll(openSockets).toBe(0)
  })

  test.each([
    ['/body', 200],
    ['/chunks', 200],
    ['/headers', null],
    ['/encodings', 200],
    ['/drip', 200],
  ])('a hundred at once of %s take no memory', async (path, status) => {
    const child = await startChild(pinnedNode, [inRepository('test/core/delivery/hostile-receiver.ts')], {
      cwd: inRepository('.'),
    })
    onTestFinished(async () => {
      await child.end('SIGKILL')
    })
    const port = await until(
      'the receiver listens',
      () => /^\d+\n/.test(child.stdout()) && Number(child.stdout()),
    )
    const sender = open({ ...LIMITS, totalMs: 3_000 })
    // What the first connections cost once is not what is asked here.
    await sender.send(outgoing(`http://127.0.0.1:${port}/encodings`))
    const before = process.memoryUsage().rss
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss - before)
    }, 20)
    const results = await Promise.all(
      Array.from({ length: AT_ONCE }, () => sender.send(outgoing(`http://127.0.0.1:${port}${path}`))),
    )
    clearInterval(watch)
    expect(most).toBeLessThan(50 * 1024 * 1024)
    for (const result of results) {
      expect(result.status).toBe(status)
      expect(result.durationMs).toBeLessThan(3_500)
      expect(Buffer.byteLength(result.excerpt ?? '')).toBeLessThanOrEqual(4096)
    }
  })

  test('an endless body is read to 16 KiB, kept to 4 KiB, and no memory grows', async () => {
    let written = 0
    const megabyte = Buffer.alloc(1024 * 1024, 'a')
    const { url } = await receiver((socket) => {
      socket.write(head(200, ['Content-Length: 1073741824']))
      const more = () => {
        while (!socket.destroyed && written < 1073741824) {
          written += megabyte.length
          if (!socket.write(megabyte)) {
            socket.once('drain', more)
            return
          }
        }
      }
      more()
    })
    const result = await open({ ...LIMITS, totalMs: 5_000 }).send(outgoing(url))
    expect(result).toMatchObject({ status: 200, error: null })
    expect(result.excerpt).toBe('a'.repeat(4096))
    expect(written).toBeLessThan(64 * 1024 * 1024)
  })

  test.each([
    ['bytes that are no text', Buffer.alloc(20_000, 0xff)],
    ['long characters', Buffer.from('a🚨漢'.repeat(2_000))],
  ])('%s take 4 KiB at most, whole characters', async (_what, body) => {
    const { url } = await receiver((socket) => {
      socket.end(Buffer.concat([Buffer.from(head(200, [`Content-Length: ${body.length}`])), body]))
    })
    const { excerpt } = await open().send(outgoing(url))
    expect(Buffer.byteLength(excerpt!)).toBeLessThanOrEqual(4096)
    expect(Buffer.byteLength(excerpt!)).toBeGreaterThan(4090)
    if (body[0] !== 0xff) expect(excerpt).not.toContain('\uFFFD')
  })

  test('nobody there', async () => {
    const { url } = await receiver(() => {})
    const gone = new URL(url)
    gone.port = '1'
    expect(await open().send(outgoing(gone.href))).toMatchObject({
      status: null,
      error: 'The connection was refused.',
      excerpt: null,
    })
  })
})
