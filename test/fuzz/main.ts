import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { adapterSlugs } from '@tocsin/core'
import { scratchDir } from '../support/scratch.ts'
import { fuzz, MOST_GROWTH_BYTES, MOST_MS } from './fuzz.ts'

/**
 * `npm run fuzz`: 100,000 spoiled bodies per adapter.
 * `npm run fuzz -- --runs 5000 --adapter sentry --seed 7`; DATABASE_URL names another database than a scratch SQLite file.
 */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    adapter: { type: 'string', multiple: true, default: [...adapterSlugs] },
  },
})

console.log(`seed ${values.seed}, ${values.runs} runs each`)
const dir = await scratchDir()
const { reports, longestMs, growthBytes } = await fuzz({
  databaseUrl: process.env.DATABASE_URL ?? `sqlite:${join(dir.path, 'tocsin.db')}`,
  adapters: values.adapter,
  runs: Number(values.runs),
  seed: Number(values.seed),
})
dir.remove()
for (const { adapter, requests, statuses, failures } of reports) {
  console.log(`${adapter}: ${requests} requests, ${JSON.stringify(statuses)}, ${failures.length} failures`)
  for (const failure of failures) console.log(JSON.stringify(failure))
}
console.log(`The process was busy for at most ${longestMs.toFixed(0)} ms at a stretch.`)
if (growthBytes !== null)
  console.log(`It held ${(growthBytes / 1024 / 1024).toFixed(0)} MiB more at the end than after 20,000.`)
const failed = reports.some(({ failures }) => failures.length > 0)
if (failed || longestMs > MOST_MS || (growthBytes ?? 0) > MOST_GROWTH_BYTES) process.exitCode = 1
