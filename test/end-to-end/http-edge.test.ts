import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import type { ApiProject } from '@tocsin/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { peakMemoryOf, percentile } from '../bench/measures.ts'
import { printFigure } from '../support/figure.ts'
import { rawExchange, rawPost } from '../support/raw-http.ts'
import { type Reading, reading } from '../support/reading.ts'
import { openSender } from '../support/sender.ts'
import { type SendingSource, startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'

// What a sender with the right secret gets for a body that is wrong stands in bad-input.test.ts.

const MIB = 1024 * 1024
const ALERT = '{"title":"Checkout is down"}'

let tocsin: TocsinProcess
beforeAll(async () => {
  tocsin = await startTocsin()
})
afterAll(() => tocsin.dispose())

describe('bytes that two servers could read differently', () => {
  const chunked = 'Transfer-Encoding: chunked'
  const length = `Content-Length: ${ALERT.length}`
  const inChunks = `${ALERT.length.toString(16)}\r\n${ALERT}\r\n0\r\n\r\n`

  const refused: [string, string[], string][] = [
    ['a length and chunks', [length, chunked], inChunks],
    ['chunks and a length', [chunked, length], inChunks],
    ['two lengths', [length, 'Content-Length: 0'], ALERT],
    ['the same length twice', [length, length], ALERT],
    ['a list of lengths', [`${length}, ${ALERT.length}`], ALERT],
    ['a length with a sign', [`Content-Length: +${ALERT.length}`], ALERT],
    ['a length in hexadecimal', ['Content-Length: 0x1c'], ALERT],
    ['a length that no number holds', [`Content-Length: 1${'0'.repeat(40)}`], ALERT],
    ['a coding nobody knows', ['Transfer-Encoding: xchunked'], inChunks],
    ['chunks that are not the last coding', ['Transfer-Encoding: chunked, identity'], inChunks],
    ['a coding before the chunks', ['Transfer-Encoding: gzip, chunked'], inChunks],
    ['a coding in a line before the chunks', ['Transfer-Encoding: gzip', chunked], inChunks],
    ['chunks in chunks', [chunked, chunked], inChunks],
    ['chunks twice', [chunked, chunked, 'Transfer-Encoding: identity'], inChunks],
    ['a chunk whose size is no number', [chunked], `zz\r\n${ALERT}\r\n0\r\n\r\n`],
    ['a chunk whose size has a prefix', [chunked], `0x1c\r\n${ALERT}\r\n0\r\n\r\n`],
    ['a chunk whose size no number holds', [chunked], `${'f'.repeat(20)}\r\n${ALERT}\r\n0\r\n\r\n`],
    ['a chunk longer than it says', [chunked], `2\r\n${ALERT}\r\n0\r\n\r\n`],
    ['a bare line feed after a chunk size', [chunked], inChunks.replace('\r\n', '\n')],
    ['a bare line feed in a chunk extension', [chunked], inChunks.replace('\r\n', ';a=b\nc\r\n')],
    ['a folded line', [length, 'X-One: a\r\n b'], ALERT],
    ['a folded first line', [' X-One: a', length], ALERT],
    ['a space before the colon', [length, 'X-One : a'], ALERT],
    ['a space before the colon of the chunks', ['Transfer-Encoding : chunked', length], inChunks],
    ['a bare carriage return', [length, 'X-One: a\rX-Two: b'], ALERT],
    ['a NUL', [length, 'X-One: a\0b'], ALERT],
    ['a name with a bracket', [length, 'X(One): a'], ALERT],
    ['a line without a colon', [length, 'X-One'], ALERT],
  ]

  test.each(refused)('%s are 400, and nothing after them is heard', async (_what, lines, body) => {
    const { source, read } = await freshProject()
    const second = postBytes(source, [length], ALERT)
    const answer = await rawExchange(source.url, postBytes(source, lines, body) + second)
    expect(statusesOf(answer)).toEqual([400])
    expect(await read.incidents()).toEqual([])
  })

  const cases: [string, (whole: string) => string][] = [
    ['bare line feeds', (whole) => whole.replaceAll('\r\n', '\n')],
    ['no host', (whole) => whole.replace(/^Host: .*\r\n/m, '')],
    ['two hosts', (whole) => whole.replace(/^Host: /m, 'host: elsewhere.example\r\nHost: ')],
    ['a space in the path', (whole) => whole.replace('/webhooks/', '/web hooks/')],
    ['a version that is none', (whole) => whole.replace('HTTP/1.1', 'HTTP/1.9')],
    ['the greeting of HTTP/2', (whole) => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${whole}`],
    ['the greeting of TLS', (whole) => `\x16\x03\x01\x02\x00\x01${whole}`],
  ]

  test.each(cases)('a request with %s is 400', async (_what, spoil) => {
    const { source, read } = await freshProject()
    const answer = await rawExchange(source.url, spoil(postBytes(source, [length], ALERT)))
    expect(statusesOf(answer)).toEqual([400])
    expect(await read.incidents()).toEqual([])
  })

  test('larger headers than 16 KiB are 431', async () => {
    const { source, read } = await freshProject()
    const bytes = postBytes(source, [length, `X-One: ${'a'.repeat(17_000)}`], ALERT)
    expect(statusesOf(await rawExchange(source.url, bytes))).toEqual([431])
    expect(await read.incidents()).toEqual([])
  })

  test('an expectation that is known is met, another is 417', async () => {
    const { source, read } = await freshProject()
    const with100 = postBytes(source, [length, 'Connection: close', 'Expect: 100-continue'], ALERT)
    expect(statusesOf(await rawExchange(source.url, with100))).toEqual([100, 200])
    const other = postBytes(source, [length, 'Connection: close', 'Expect: a miracle'], ALERT)
    expect(statusesOf(await rawExchange(source.url, other))).toEqual([417])
    expect(await read.incidents()).toMatchObject([{ eventCount: 1 }])
  })

  test('chunks without a length, extensions and trailers among them, hold 1 MiB and no more', async () => {
    const { source, read } = await freshProject()
    const post = async (body: string) =>
      statusesOf(
        await rawExchange(source.url, postBytes(source, [chunked, 'Connection: close'], inPieces(body))),
      )
    expect(await post(sized(MIB))).toEqual([200])
    expect(await post(sized(MIB + 1))).toEqual([413])
    expect(await read.incidents()).toMatchObject([{ eventCount: 1 }])
  })

  test('two requests sent at once are answered one after the other', async () => {
    const { source, read } = await freshProject()
    const first = postBytes(source, [length], ALERT)
    const last = postBytes(source, [length, 'Connection: close'], ALERT)
    expect(statusesOf(await rawExchange(source.url, first + last))).toEqual([200, 200])
    expect(await read.incidents()).toMatchObject([{ status: 'open' }])
  })
})

describe('bodies that would grow', () => {
  const zeros = Buffer.alloc(128 * MIB)
  const bombs: [string, () => Uint8Array][] = [
    ['gzip', () => gzipSync(zeros)],
    ['deflate', () => deflateSync(zeros)],
    ['br', () => brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
    ['zstd', () => zstdCompressSync(zeros)],
    ['gzip, gzip', () => gzipSync(gzipSync(zeros))],
  ]

  test('are refused unopened wherever they come, ten at once, in no more memory than before', async () => {
    const { source, read, projectId } = await freshProject()
    const irm = await tocsin.createSource({ adapter: 'grafana-irm' }, projectId)
    const admin = `Authorization: Bearer ${tocsin.adminKey}`
    const places: [string, string[], number][] = [
      [source.url, [`X-Webhook-Secret: ${source.secret}`], 415],
      [source.url, [], 415],
      [`${tocsin.address}/api/v1/projects`, [admin], 415],
      [`${tocsin.address}/mcp`, [admin, 'Accept: application/json, text/event-stream'], 400],
      // Declares an incident whatever the body is, even this.
      [irm.url, [`Authorization: Bearer ${irm.secret}`], 200],
    ]
    const packed = bombs.map(([encoding, pack]) => ({ encoding, body: pack() }))

    const before = peakMemoryOf(tocsin.pid)
    for (const [url, credential, status] of places) {
      for (const { encoding, body } of packed) {
        const lines = ['Content-Type: application/json', `Content-Encoding: ${encoding}`, ...credential]
        const answers = await Promise.all(Array.from({ length: 10 }, () => rawPost(url, lines, body)))
        expect(new Set(answers.map((answer) => answer.status)), `${url} ${encoding}`).toEqual(
          new Set([status]),
        )
      }
    }
    // One of them opened would be 128 MiB.
    if (before !== undefined) {
      const more = peakMemoryOf(tocsin.pid)! - before
      expect(more).toBeLessThan(100 * MIB)
      printFigure(
        `${10 * places.length * bombs.length} bodies that would grow to 128 MiB: ${Math.round(more / MIB)} MiB more memory`,
      )
    }
    const senders = (await read.incidents()).map(({ signals }) => signals[0]!.source.adapter)
    expect(new Set(senders)).toEqual(new Set(['grafana-irm']))
  })

  test('are no JSON where they do not say what they are', async () => {
    const { source } = await freshProject()
    const lines = ['Content-Type: application/json', `X-Webhook-Secret: ${source.secret}`]
    for (const [, pack] of bombs) expect((await rawPost(source.url, lines, pack())).status).toBe(400)
  })
})

describe('requests sent ahead of their answers', () => {
  const get = (path: string, count: number) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(count)

  test('are answered in turn up to 17; with more the sender is cut off', async () => {
    const last = 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    const answer = await rawExchange(tocsin.address, get('/healthz', 16) + last)
    expect(statusesOf(answer)).toEqual(Array(17).fill(200))

    const ahead = await openSlow(tocsin.address, get('/healthz', 500))
    await until('it is cut off', () => ahead.socket.closed)
    expect(statusesOf(ahead.answer()).length).toBeLessThan(17)
  })

  test('cost no memory though nobody reads the answers', async () => {
    await fetch(`${tocsin.address}/api/v1/openapi.json`)
    const before = peakMemoryOf(tocsin.pid)
    const sockets = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const { socket } = await openSlow(tocsin.address, '')
        socket.pause()
        // Every other one stays below what is cut off.
        for (let sent = 0; sent < 10; sent++) socket.write(get('/api/v1/openapi.json', n % 2 === 0 ? 1 : 17))
        return socket
      }),
    )
    await until('all is written', () =>
      sockets.every((socket) => socket.writableLength === 0 || socket.closed),
    )
    for (let n = 0; n < 5; n++) expect((await fetch(`${tocsin.address}/healthz`)).status).toBe(200)
    // Each answer is 200 KB.
    if (before !== undefined) expect(peakMemoryOf(tocsin.pid)! - before).toBeLessThan(100 * MIB)
    for (const socket of sockets) socket.destroy()
  })
})

describe('bodies in single bytes', () => {
  const inBytes = (count: number) => '1\r\n \r\n'.repeat(count)

  test('are taken in up to 16,384 pieces; with more the sender is cut off', async () => {
    const { source, read } = await freshProject()
    const post = async (pieces: number) => {
      const before = inBytes(pieces - 1)
      const body = `${before}${ALERT.length.toString(16)}\r\n${ALERT}\r\n0\r\n\r\n`
      const lines = ['Transfer-Encoding: chunked']
      // The second is heard only where the first did not end the connection.
      const last = postBytes(source, [`Content-Length: ${ALERT.length}`, 'Connection: close'], ALERT)
      return statusesOf(await rawExchange(source.url, postBytes(source, lines, body) + last))
    }
    expect(await post(16_384)).toEqual([200, 200])
    expect(await post(16_385)).toEqual([413])
    expect(await read.incidents()).toMatchObject([{ eventCount: 2 }])
  })

  test('cost no more memory than their bytes while they are waited for', async () => {
    const { source } = await freshProject()
    const before = peakMemoryOf(tocsin.pid)
    const bytes = postBytes(source, ['Transfer-Encoding: chunked'], inBytes(15_000))
    const sockets = await Promise.all(Array.from({ length: 50 }, () => openSlow(source.url, bytes)))
    await until('all is written', () => sockets.every(({ socket }) => socket.writableLength === 0))
    // With each of these it has read once more what there is.
    for (let n = 0; n < 5; n++) expect((await fetch(`${tocsin.address}/healthz`)).status).toBe(200)
    for (const { socket } of sockets) expect(socket.closed).toBe(false)
    // Each byte kept by itself takes some hundreds.
    if (before !== undefined) expect(peakMemoryOf(tocsin.pid)! - before).toBeLessThan(100 * MIB)
    for (const { socket } of sockets) socket.destroy()
  })
})

test('bodies of which the end does not come cost 32 MiB together: the first give way', async () => {
  const { source, read } = await freshProject()
  const whole = postBytes(source, [`Content-Length: ${MIB}`], sized(MIB))
  const before = peakMemoryOf(tocsin.pid)
  const sockets: Awaited<ReturnType<typeof openSlow>>[] = []
  for (let n = 0; n < 250; n++) sockets.push(await openSlow(source.url, whole.slice(0, -1)))
  await until('all is written', () =>
    sockets.every(({ socket }) => socket.writableLength === 0 || socket.closed),
  )
  await until('the first have given way', () => sockets.filter(({ socket }) => socket.closed).length > 210)
  const answers = sockets.filter(({ socket }) => socket.closed).map(({ answer }) => answer())
  // A reset may overtake the answer where more of the body was on its way.
  const heard = answers.filter((answer) => answer !== '')
  expect(heard.length).toBeGreaterThan(100)
  for (const answer of heard) {
    expect(statusesOf(answer)).toEqual([503])
    expect(answer).toMatch(/^Retry-After: 1\r$/m)
    expect(answer).toMatch(/^Connection: close\r$/m)
  }
  if (before !== undefined) {
    const more = peakMemoryOf(tocsin.pid)! - before
    printFigure(`250 bodies of 1 MiB that do not end: ${Math.round(more / MIB)} MiB more memory`)
    expect(more).toBeLessThan(100 * MIB)
  }

  const last = sockets.at(-1)!
  last.socket.write(whole.slice(-1))
  await until('the last is answered', () => statusesOf(last.answer())[0])
  expect(statusesOf(last.answer())).toEqual([200])
  expect(await read.incidents()).toMatchObject([{ eventCount: 1 }])
  for (const { socket } of sockets) socket.destroy()
})

test('63 levels are read, whatever they are made of', async () => {
  const { source } = await freshProject()
  const lines = ['Content-Type: application/json', `X-Webhook-Secret: ${source.secret}`]
  for (const [open, inner, close] of [
    ['[', '', ']'],
    ['{"a":', '1', '}'],
    ['{"__proto__":', '1', '}'],
  ] as const) {
    const metadata = open.repeat(62) + inner + close.repeat(62)
    expect((await rawPost(source.url, lines, `{"title":"Deep","metadata":${metadata}}`)).status).toBe(200)
  }
})

// More of them: TOCSIN_SLOW_SOCKETS=3000 npx vitest run test/end-to-end/http-edge.test.ts -t 'slow senders'
test('hundreds of slow senders are cut off in time, and an honest one is served meanwhile', async () => {
  const count = Number(process.env.TOCSIN_SLOW_SOCKETS ?? 500)
  const { source } = await freshProject()
  const head = postBytes(source, ['Content-Length: 1000'], '')
  // Slow in the first line, in the headers and in the body; one says nothing at all.
  const starts = [head.slice(0, 8), head.slice(0, -10), `${head}{`, '']
  const sockets = await Promise.all(
    Array.from({ length: count }, (_, n) => openSlow(source.url, starts[n % starts.length]!)),
  )
  const drip = setInterval(() => {
    for (const { socket, start } of sockets) if (start !== '' && socket.writable) socket.write('x')
  }, 500)
  try {
    const times: number[] = []
    const sender = openSender()
    const alert = {
      url: source.url,
      headers: { 'Content-Type': 'application/json', 'X-Webhook-Secret': source.secret! },
      body: JSON.stringify({ title: 'Checkout is down' }),
    }
    await until(
      'all slow senders are cut off',
      async () => {
        const start = performance.now()
        expect((await sender.post(alert)).status).toBe(200)
        times.push(performance.now() - start)
        return sockets.every(({ socket }) => socket.closed)
      },
      // Bodies get 15 s, looked at every second.
      { withinMs: 25_000 },
    )
    sender.close()
    expect(times.length).toBeGreaterThan(20)
    for (const { answer } of sockets) expect(statusesOf(answer())).toEqual([408])
    const ms = (share: number) => percentile(times, share).toFixed(0)
    printFigure(
      `${times.length} honest requests beside ${count} slow senders: p50 ${ms(0.5)} ms, p99 ${ms(0.99)} ms`,
    )
    // Told by `npm run promises`; beside other tests it would say more about the machine.
    const most = Number(process.env.TOCSIN_HONEST_MS ?? Number.POSITIVE_INFINITY)
    expect(percentile(times, 0.99)).toBeLessThan(most)
  } finally {
    clearInterval(drip)
    for (const { socket } of sockets) socket.destroy()
  }
})

test('nothing of this was a fault of ours', () => {
  expect(tocsin.stderr().match(/receiving failed|request failed|"level":50/g)).toBeNull()
})

async function freshProject(): Promise<{ projectId: string; source: SendingSource; read: Reading }> {
  const { project } = await tocsin.api<{ project: ApiProject }>('POST', '/projects', { name: 'Edge' })
  const source = await tocsin.createSource({ adapter: 'generic' }, project.id)
  return { projectId: project.id, source, read: reading(tocsin, project.id) }
}

/** A request with the right secret that keeps its connection. */
function postBytes({ url, secret }: SendingSource, lines: readonly string[], body: string): string {
  const { host, pathname } = new URL(url)
  return [
    `POST ${pathname} HTTP/1.1`,
    `Host: ${host}`,
    'Content-Type: application/json',
    `X-Webhook-Secret: ${secret}`,
    ...lines,
    '',
    body,
  ].join('\r\n')
}

/** Status of every answer in what a connection gave back; no body of ours says such a thing. */
function statusesOf(text: string): number[] {
  return Array.from(text.matchAll(/HTTP\/1\.1 (\d{3}) /g), ([, status]) => Number(status))
}

function inPieces(body: string): string {
  const half = body.length >> 1
  const piece = (text: string) => `${text.length.toString(16)};name=value\r\n${text}\r\n`
  return `${piece(body.slice(0, half))}${piece(body.slice(half))}0\r\nX-Trailer: a\r\n\r\n`
}

function sized(bytes: number): string {
  const empty = JSON.stringify({ title: 'Large', description: '' })
  return JSON.stringify({ title: 'Large', description: 'x'.repeat(bytes - empty.length) })
}

async function openSlow(
  url: string,
  start: string,
): Promise<{ socket: Socket; start: string; answer: () => string }> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let answer = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text
  })
  // A reset is one way to be cut off.
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(start)
  return { socket, start, answer: () => answer }
}
