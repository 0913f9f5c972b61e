// Receives Tocsin's webhooks and verifies them: WEBHOOK_SECRET=whsec_… node receiver.mjs
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

function verify(rawBody, headers, secret) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers
  if (!id || !timestamp || !signatures) return false
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= 300)) return false

  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  if (key.length < 24) return false
  const hmac = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(rawBody)
  const expected = Buffer.from(`v1,${hmac.digest('base64')}`)
  return signatures.split(' ').some((signature) => {
    const given = Buffer.from(signature)
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
}

const { WEBHOOK_SECRET = '', PORT = '4118' } = process.env
if (WEBHOOK_SECRET === '') throw new Error('WEBHOOK_SECRET is not set: it is the secret of the endpoint.')

// In your own receiver: a table with a unique key, written in the transaction of your work.
const seen = new Set()

function receive(rawBody, headers) {
  if (!verify(rawBody, headers, WEBHOOK_SECRET)) return 401
  if (seen.has(headers['webhook-id'])) return 204

  const { type, data } = JSON.parse(rawBody)
  console.log('verified', type, data.incident?.reference ?? '')
  seen.add(headers['webhook-id'])
  return 204
}

const server = createServer((req, res) => {
  // Tocsin's messages stay below 20 KB.
  if (!(Number(req.headers['content-length']) <= 65_536)) return res.writeHead(413).end()
  const chunks = []
  req.on('data', (chunk) => chunks.push(chunk))
  req.on('end', () => res.writeHead(receive(Buffer.concat(chunks), req.headers)).end())
})
server.listen(Number(PORT), '127.0.0.1', () => console.log(`Listening on http://127.0.0.1:${PORT}/`))
