/** The receiver's process: answers 204 and counts, for the deliveries of one slice, what came and when. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { carryOut } from './helper.ts'

export type SinkOrder = 'begin' | 'end'

export interface SinkReport {
  port: number
  /** Since the last `begin`. */
  requests: number
  /** Those whose `webhook-id` this process had seen before. */
  repeated: number
  /** From the first of them to the last. */
  elapsedMs: number
  /** User and system time of this process: near 1 it was the bottleneck. */
  busy: number
}

const seen = new Set<string>()
let requests = 0
let repeated = 0
let firstAt = 0
let lastAt = 0
let cpu = process.cpuUsage()
let begunAt = performance.now()

const server = createServer((req, res) => {
  req.on('data', () => {})
  req.on('end', () => {
    const id = String(req.headers['webhook-id'])
    if (seen.has(id)) repeated += 1
    seen.add(id)
    lastAt = performance.now()
    if (requests === 0) firstAt = lastAt
    requests += 1
    res.writeHead(204)
    res.end()
  })
})
const listening = new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

carryOut(async (order: SinkOrder): Promise<SinkReport> => {
  await listening
  const used = process.cpuUsage(cpu)
  const report = {
    port: (server.address() as AddressInfo).port,
    requests,
    repeated,
    elapsedMs: lastAt - firstAt,
    busy: (used.user + used.system) / 1_000 / (performance.now() - begunAt),
  }
  if (order === 'begin') {
    requests = 0
    repeated = 0
    cpu = process.cpuUsage()
    begunAt = performance.now()
  }
  return report
})
