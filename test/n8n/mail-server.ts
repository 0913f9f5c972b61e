import { type AddressInfo, createServer, type Socket } from 'node:net'

/** As much of SMTP as it takes to receive mails on loopback. Who comes first is sent away once, as busy servers do. */
export async function openMailServer(): Promise<{ port: number; mails: string[]; close(): void }> {
  const mails: string[] = []
  const sockets = new Set<Socket>()
  let isFirst = true
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    if (isFirst) {
      isFirst = false
      socket.end('421 try again later\r\n')
      return
    }
    let mail: string | undefined
    let rest = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\r\n')
      rest = lines.pop()!
      for (const line of lines) {
        if (mail !== undefined && line !== '.') mail += `${line}\n`
        else if (mail !== undefined) {
          mails.push(mail)
          mail = undefined
          socket.write('250 taken\r\n')
        } else if (line === 'DATA') {
          mail = ''
          socket.write('354 go on\r\n')
        } else if (line === 'QUIT') socket.end('221 bye\r\n')
        else socket.write('250 ok\r\n')
      }
    })
    socket.write('220 tocsin.test\r\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    mails,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
