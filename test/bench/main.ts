/**
 * `npm run bench -- ingest|growth|delivery [--rounds 7] [--case 'keep-alive c=64']… [--json file]`
 *
 * Prints a table per case and, without --json, the figures as one line of JSON at the end. Exits with 1 when a gate is
 * missed, a case fails, or the machine was too restless for the figures to mean anything.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { benchDelivery, DELIVERY_CASES } from './delivery.ts'
import { benchGrowth, GROWTH_CASES } from './growth.ts'
import { benchIngest, INGEST_CASES } from './ingest.ts'

const SUITES = new Map([
  ['ingest', { bench: benchIngest, names: INGEST_CASES.map(({ name }): string => name) }],
  ['growth', { bench: benchGrowth, names: GROWTH_CASES }],
  ['delivery', { bench: benchDelivery, names: DELIVERY_CASES }],
])

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    case: { type: 'string', multiple: true },
    json: { type: 'string' },
  },
})
const suite = SUITES.get(positionals.join())
const cases = values.case ?? suite?.names ?? []
const rounds = Number(values.rounds)

if (!suite || !cases.every((name) => suite.names.includes(name)) || !Number.isInteger(rounds) || rounds < 1) {
  for (const [name, { names }] of SUITES) {
    console.error(
      `Usage: npm run bench -- ${name} [--rounds 7] [--json file] [--case '${names.join("' | '")}']`,
    )
  }
  process.exit(2)
}

// Ends by 'exit', which ends the servers and removes their data.
process.once('SIGINT', () => process.exit(130))

const { passed, json } = await suite.bench({ rounds, cases, print: console.log })
if (values.json) writeFileSync(values.json, `${JSON.stringify(json, null, 2)}\n`)
else console.log(JSON.stringify(json))
process.exit(passed ? 0 : 1)
