/**
 * `npm run fuzz -- [--runs 100000] [--adapter sentry]… [--database sqlite|postgres] [--seed 7] [--write]`
 *
 * So many spoiled bodies per adapter. With --write docs/reliability.md is renewed. Exits with 1 where something was not
 * answered as it should be.
 */
import { adapterSlugs } from '@tocsin/core'
import { readCommandLine, refuse } from '../support/command-line.ts'
import { freshSqlite } from '../support/fresh-database.ts'
import { endInGoodOrder } from '../support/leftovers.ts'
import { startPostgres } from '../support/postgres-server.ts'
import { hereAndNow, writeReliability } from '../support/reliability-page.ts'
import { fuzz, MOST_GROWTH_BYTES, MOST_MS, WARM_AFTER } from './fuzz.ts'

const USAGE = `Usage: npm run fuzz -- [--runs 100000] [--adapter ${adapterSlugs.join('|')}] [--database sqlite|postgres] [--seed 7] [--write]`

const { values } = readCommandLine(USAGE, {
  options: {
    runs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    adapter: { type: 'string', multiple: true, default: [...adapterSlugs] },
    database: { type: 'string', default: 'sqlite' },
    write: { type: 'boolean', default: false },
  },
})
const { adapter: adapters, database } = values
const runs = Number(values.runs)
const isKnown = adapters.every((slug) => adapterSlugs.includes(slug))
if (
  !(database === 'sqlite' || database === 'postgres') ||
  !isKnown ||
  !(Number.isInteger(runs) && runs > 0)
) {
  refuse(USAGE)
}

endInGoodOrder()

console.log(`seed ${values.seed}, ${runs} runs each, on ${database}`)
const server = database === 'postgres' ? await startPostgres() : undefined
const file = server === undefined ? await freshSqlite() : undefined
const { reports, longestMs, growthBytes } = await fuzz({
  databaseUrl: (server ?? file)!.url,
  adapters,
  runs,
  seed: Number(values.seed),
})
await file?.dispose()
await server?.stop()

for (const { adapter, requests, statuses, failures } of reports) {
  console.log(`${adapter}: ${requests} requests, ${JSON.stringify(statuses)}, ${failures.length} failures`)
  for (const failure of failures) console.log(JSON.stringify(failure))
}
const failures = reports.reduce((sum, report) => sum + report.failures.length, 0)
const taken = reports.reduce((sum, { statuses }) => sum + (statuses[200] ?? 0) + (statuses[202] ?? 0), 0)
const busy = `busy for at most ${longestMs.toFixed(0)} ms at a stretch`
const growth =
  growthBytes === null
    ? 'too few requests to judge memory'
    : `${(growthBytes / 2 ** 20).toFixed(0)} MiB more at the end than after ${WARM_AFTER} requests`
console.log(`The process was ${busy}; ${growth}.`)
const passed = failures === 0 && longestMs <= MOST_MS && (growthBytes ?? 0) <= MOST_GROWTH_BYTES
if (!passed) process.exitCode = 1

if (values.write) {
  const only = adapters.length === adapterSlugs.length ? [] : adapters.map((slug) => ` --adapter ${slug}`)
  writeReliability('strangers', [
    {
      id: 'T18',
      promise:
        'Spoiled bodies get no 5xx and no late answer, and end no process; what is taken of them can be read.',
      database,
      test: 'test/fuzz/fuzz.test.ts',
      command: `npm run fuzz -- --runs ${runs} --database ${database}${only.join('')}`,
      figure:
        `${runs} bodies for each of ${adapters.length} tools, ${taken} taken: ${failures} failures; ` +
        `the process was ${busy}, ${growth}`,
      passed,
      ...hereAndNow(),
    },
  ])
}
