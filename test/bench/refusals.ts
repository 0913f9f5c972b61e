/**
 * `npm run bench:refusals -- [--pairs 10000]`
 *
 * Whether the time of a refusal tells a stranger anything: interleaved pairs of requests to a real process, on one
 * connection, and the difference of their medians. Exits with 1 where one is 50 µs or more. The first pair compares a
 * request with itself, which shows what the machine adds of its own.
 */
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { parseArgs } from 'node:util'
import type { ApiProject } from '@tocsin/core'
import { startTocsin } from '../support/tocsin-process.ts'

const MOST_US = 50
const BODY = '{"title":"x"}'

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '10000' } } })
const pairs = Number(values.pairs)
if (!Number.isInteger(pairs) || pairs < 1) {
  console.error('Usage: npm run bench:refusals -- [--pairs 10000]')
  process.exit(2)
}

const tocsin = await startTocsin()
const agent = new Agent({ keepAlive: true, maxSockets: 1 })
const { port } = new URL(tocsin.address)
const { project } = await tocsin.api<{ project: ApiProject }>('POST', '/projects', { name: 'Guessed' })
const { secret = '' } = await tocsin.createSource({ adapter: 'generic' }, project.id)
const wrongAt = (at: number) => secret.slice(0, at) + (secret[at] === 'a' ? 'b' : 'a') + secret.slice(at + 1)
const unknown = `${project.id.slice(0, -1)}${project.id.endsWith('0') ? '1' : '0'}`
const sendTo = (id: string, credential: string) => () =>
  refusedIn(`/api/v1/webhooks/${id}/generic`, credential)

const cases: [name: string, one: () => Promise<number>, other: () => Promise<number>][] = [
  ['the same twice', sendTo(unknown, secret), sendTo(unknown, secret)],
  [
    'first byte wrong / last byte wrong',
    sendTo(project.id, wrongAt(0)),
    sendTo(project.id, wrongAt(secret.length - 1)),
  ],
  ['project known / unknown', sendTo(project.id, wrongAt(0)), sendTo(unknown, wrongAt(0))],
]

let passed = true
try {
  for (const [name, one, other] of cases) {
    const [ones, others]: [number[], number[]] = [[], []]
    for (let n = 0; n < pairs; n++) {
      // Which of the two goes first changes, so that what the one leaves behind meets both alike.
      const first = n % 2 === 0
      const [a, b] = first ? [one, other] : [other, one]
      const [timeA, timeB] = [await a(), await b()]
      ones.push(first ? timeA : timeB)
      others.push(first ? timeB : timeA)
    }
    const difference = median(ones) - median(others)
    passed &&= Math.abs(difference) < MOST_US
    console.log(
      `${name}: ${median(ones).toFixed(1)} µs, ${median(others).toFixed(1)} µs, difference ${difference.toFixed(1)} µs`,
    )
  }
} finally {
  agent.destroy()
  await tocsin.dispose()
}
console.log(passed ? `Every difference is below ${MOST_US} µs.` : `A difference reaches ${MOST_US} µs.`)
process.exit(passed ? 0 : 1)

/** Microseconds until the answer, which must be a 401. */
async function refusedIn(path: string, credential: string): Promise<number> {
  const startedAt = performance.now()
  const sent = request({
    host: '127.0.0.1',
    port,
    path,
    method: 'POST',
    agent,
    headers: {
      'Content-Type': 'application/json',
      'Content-Length': BODY.length,
      'X-Webhook-Secret': credential,
    },
  })
  sent.end(BODY)
  const [response] = await once(sent, 'response')
  const took = (performance.now() - startedAt) * 1000
  if (response.statusCode !== 401) throw new Error(`Answered ${response.statusCode} instead of 401.`)
  response.resume()
  await once(response, 'end')
  return took
}

function median(times: number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1]!
}
