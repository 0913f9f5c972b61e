import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer as createProxy, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { scratchDir } from '../support/scratch.ts'

export interface OutsideRequest {
  host: string
  method: string
  path: string
  headers: IncomingMessage['headers']
  /** Parsed where it is JSON, else as text. */
  body: unknown
}

/** JSON to answer with; undefined is 404, OUT_OF_ORDER is 500. */
export type Answer = (request: OutsideRequest) => unknown

export const OUT_OF_ORDER = Symbol('out of order')

/** The services of the world as n8n sees them: a proxy on loopback that answers in their place and lets nothing out. */
export interface Outside {
  proxy: string
  /** Settings that make n8n trust our certificate. */
  env: Record<string, string>
  received: OutsideRequest[]
  /** Hosts that were asked for and that nobody plays. */
  refused: string[]
  /** Plays one host until it is told otherwise. */
  play(host: string, answer: Answer): void
  close(): void
}

/** Plays these hosts; they have to be named first, since the certificate names them. */
export async function openOutside(hosts: readonly string[]): Promise<Outside> {
  const dir = await scratchDir()
  const { key, cert, certFile } = makeCertificate(dir.path, hosts)
  const received: OutsideRequest[] = []
  const refused: string[] = []
  const plays = new Map<string, Answer>()
  const sockets = new Set<Socket>()

  const services = createTlsServer({ key, cert }, async (req, res) => {
    const host = req.headers.host ?? ''
    const request = {
      host,
      method: req.method ?? '',
      path: req.url ?? '',
      headers: req.headers,
      body: readBody(await text(req)),
    }
    received.push(request)
    const answer = plays.get(host)?.(request)
    const status = answer === undefined ? 404 : answer === OUT_OF_ORDER ? 500 : 200
    res.writeHead(status, { 'Content-Type': 'application/json' })
    res.end(JSON.stringify(status === 200 ? answer : { message: 'not played, or out of order' }))
  })
  const proxy = createProxy((req, res) => {
    refused.push(req.url ?? '')
    res.writeHead(502).end()
  })
  proxy.on('connect', (req, socket: Socket) => {
    const host = req.url?.split(':')[0] ?? ''
    if (!plays.has(host)) {
      refused.push(host)
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
      return
    }
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    services.emit('connection', socket)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))

  return {
    proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    env: { NODE_EXTRA_CA_CERTS: certFile },
    received,
    refused,
    play: (host, answer) => plays.set(host, answer),
    close: () => {
      for (const socket of sockets) socket.destroy()
      proxy.close()
      proxy.closeAllConnections()
      dir.remove()
    },
  }
}

function makeCertificate(dir: string, hosts: readonly string[]) {
  const [keyFile, certFile] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const names = ['tocsin.test', ...hosts].map((host) => `DNS:${host}`).join(',')
  const made = ['-keyout', keyFile, '-out', certFile, '-days', '2', '-subj', '/CN=tocsin.test']
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...made, '-addext', `subjectAltName=${names}`],
    { stdio: 'pipe' },
  )
  return { key: readFileSync(keyFile), cert: readFileSync(certFile), certFile }
}

function readBody(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}
