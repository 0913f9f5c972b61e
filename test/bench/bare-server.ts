/** Reference: what node:http alone can do. Reads the body, knows nothing, answers 204. */
import { createServer } from 'node:http'
import { announce } from './announce.ts'

const server = createServer((req, res) => {
  req.on('data', () => {})
  req.on('end', () => {
    res.writeHead(204)
    res.end()
  })
})
announce(server, { path: '/', secret: 'none' })
