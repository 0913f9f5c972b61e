import { connect } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface RawAnswer {
  status: number
  headers: Map<string, string>
  body: string
}

/** Sends one POST exactly as given, header lines and all, where fetch would tidy up; reads until the server closes. */
export async function rawPost(
  url: string,
  headerLines: readonly string[],
  body: string | Uint8Array,
): Promise<RawAnswer> {
  const { host, pathname, search } = new URL(url)
  const bytes = Buffer.from(body)
  const head = [
    `POST ${pathname}${search} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: close',
    `Content-Length: ${bytes.length}`,
    ...headerLines,
  ]
  return readAnswer(
    await rawExchange(url, Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes])),
  )
}

/** Writes these bytes to the server of an address and reads until it closes the connection. */
export async function rawExchange(url: string, bytes: string | Uint8Array): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.write(bytes)
  return (await buffer(socket)).toString('utf8')
}

function readAnswer(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n')
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  return { status: Number(statusLine.split(' ')[1]), headers: new Map(headers), body: text.slice(end + 4) }
}
