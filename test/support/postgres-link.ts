import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** What becomes of a connection, or of its next COMMIT; from then on the link is down until it is open again. */
type LinkState = 'open' | 'refusing' | 'black hole' | 'cut after COMMIT' | 'cut before COMMIT'

/** A simple query, as PostgreSQL's protocol writes it. */
const COMMIT = Buffer.from('Q\0\0\0\x0bcommit\0')

/** A way to a server that can be broken. */
export async function openLink(
  serverUrl: string,
): Promise<{ url: string; become(state: LinkState): void; close(): void }> {
  const target = new URL(serverUrl)
  const sockets = new Set<Socket>()
  let state: LinkState = 'open'
  const cutAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  const proxy = createServer((client) => {
    if (state === 'refusing') {
      client.destroy()
      return
    }
    const server = connect(Number(target.port), target.hostname)
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        server.destroy()
      })
    }
    client.on('data', (bytes) => {
      if (state === 'black hole') return
      if (state !== 'open' && bytes.includes(COMMIT)) {
        if (state === 'cut before COMMIT') return cutAll()
        // The server carries it out, and nobody hears of it.
        server.write(bytes, cutAll)
        server.removeAllListeners('data')
        return
      }
      server.write(bytes)
    })
    server.on('data', (bytes) => {
      if (state !== 'black hole') client.write(bytes)
    })
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const url = new URL(serverUrl)
  url.port = String((proxy.address() as AddressInfo).port)
  return {
    url: url.href,
    become: (next) => {
      // What a hole has swallowed is gone for good, and so are the connections it came on.
      if ((state === 'black hole' && next === 'open') || next === 'refusing') cutAll()
      state = next
    },
    close: () => {
      proxy.close()
      cutAll()
    },
  }
}
