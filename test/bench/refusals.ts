/**
 * `npm run bench:refusals -- [--pairs 10000] [--write]`
 *
 * Whether the time of a refusal tells a stranger anything: at every address interleaved pairs of requests to a real
 * process, on one connection, and the difference of their medians. Exits with 1 where one is 50 µs or more. The first pair
 * compares a request with itself, which shows what the machine adds of its own. 10,000 pairs take some minutes. With --write
 * docs/reliability.md is renewed.
 */
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import type { ApiProject, ApiSource } from '@tocsin/core'
import { readCommandLine, refuse } from '../support/command-line.ts'
import { type Knock, type KnockPair, knockPairs } from '../support/knocks.ts'
import { hereAndNow, writeReliability } from '../support/reliability-page.ts'
import { startTocsin } from '../support/tocsin-process.ts'

const MOST_US = 50
const ADAPTERS_AT_PROJECT = ['generic', 'sentry']

const USAGE = 'Usage: npm run bench:refusals -- [--pairs 10000] [--write]'

const { values } = readCommandLine(USAGE, {
  options: { pairs: { type: 'string', default: '10000' }, write: { type: 'boolean', default: false } },
})
const pairs = Number(values.pairs)
if (!Number.isInteger(pairs) || pairs < 1) refuse(USAGE)

const tocsin = await startTocsin()
const agent = new Agent({ keepAlive: true, maxSockets: 1 })
const { port } = new URL(tocsin.address)
const tokenOf = (url: string) => url.split('/').at(-1)!
const pairsOfAddresses = await knockPairs(async (adapter, address) => {
  const { project } = await tocsin.api<{ project: ApiProject }>('POST', '/projects', { name: 'Guessed' })
  const { id, url, secret } = await tocsin.createSource({ adapter, address }, project.id)
  const rotated = await tocsin.api<{ source: ApiSource; secret?: string }>(
    'POST',
    `/projects/${project.id}/sources/${id}/rotate`,
    { overlapMinutes: 0 },
  )
  return {
    projectId: project.id,
    secret: rotated.secret ?? tokenOf(rotated.source.url),
    rotatedOut: secret ?? tokenOf(url),
  }
}, ADAPTERS_AT_PROJECT)
const [{ one: same }] = pairsOfAddresses as [KnockPair]
const cases: KnockPair[] = [{ name: 'the same twice', one: same, other: same }, ...pairsOfAddresses]

const found: { name: string; difference: number }[] = []
try {
  for (const { name, one, other } of cases) {
    const [ones, others]: [number[], number[]] = [[], []]
    for (let n = 0; n < pairs; n++) {
      // Which of the two goes first changes, so that what the one leaves behind meets both alike.
      const first = n % 2 === 0
      const [a, b] = first ? [one, other] : [other, one]
      const [timeA, timeB] = [await refusedIn(a), await refusedIn(b)]
      ones.push(first ? timeA : timeB)
      others.push(first ? timeB : timeA)
    }
    const difference = median(ones) - median(others)
    found.push({ name, difference: Math.abs(difference) })
    console.log(
      `${name}: ${median(ones).toFixed(1)} µs, ${median(others).toFixed(1)} µs, difference ${difference.toFixed(1)} µs`,
    )
  }
} finally {
  agent.destroy()
  await tocsin.dispose()
}
const largest = found.toSorted((a, b) => b.difference - a.difference)[0]!
const passed = largest.difference < MOST_US
console.log(passed ? `Every difference is below ${MOST_US} µs.` : `A difference reaches ${MOST_US} µs.`)
if (values.write) {
  writeReliability('strangers', [
    {
      id: 'T21',
      promise: `The time of a refusal tells a stranger nothing: medians differ by less than ${MOST_US} µs.`,
      database: 'sqlite',
      test: 'test/ingest/same-refusal.test.ts',
      command: `npm run bench:refusals -- --pairs ${pairs}`,
      figure:
        `${pairs} pairs at each of ${pairsOfAddresses.length} addresses; largest difference ` +
        `${largest.difference.toFixed(1)} µs (${largest.name}), ${found[0]!.difference.toFixed(1)} µs for the same request twice`,
      passed,
      ...hereAndNow(),
    },
  ])
}
process.exit(passed ? 0 : 1)

/** Microseconds until the answer, which must be a refusal. */
async function refusedIn({ path, headers, body }: Knock): Promise<number> {
  const startedAt = performance.now()
  const sent = request({
    host: '127.0.0.1',
    port,
    path,
    method: 'POST',
    agent,
    headers: { 'content-type': 'application/json', ...headers, 'content-length': Buffer.byteLength(body) },
  })
  sent.end(body)
  const [response] = await once(sent, 'response')
  const took = (performance.now() - startedAt) * 1000
  if (![400, 401, 404].includes(response.statusCode)) {
    throw new Error(`Answered ${response.statusCode} instead of a refusal.`)
  }
  response.resume()
  await once(response, 'end')
  return took
}

function median(times: number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1]!
}
