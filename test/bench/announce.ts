import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Target } from './alert-request.ts'

/** Lets a reference server listen on a free port and tells its parent where to send. */
export function announce(server: Server, { path, secret }: Pick<Target, 'path' | 'secret'>): void {
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    const target: Target = { host: '127.0.0.1', ports: [port], path, secret, body: 'webhook' }
    process.stdout.write(`${JSON.stringify(target)}\n`)
  })
  process.once('SIGTERM', () => process.exit())
}
