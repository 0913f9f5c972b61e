/**
 * `npm run bench -- ingest [--rounds 7] [--case 'keep-alive c=64']… [--json file]`
 *
 * Prints a table per case and, without --json, the figures as one line of JSON at the end. Exits with 1 when a gate is
 * missed, a case fails, or the machine was too restless for the figures to mean anything.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { benchIngest, CASES, type CaseName } from './ingest.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    case: { type: 'string', multiple: true },
    json: { type: 'string' },
  },
})
const names = CASES.map(({ name }) => name)
const cases = values.case ?? names
const rounds = Number(values.rounds)

if (positionals.join() !== 'ingest' || !cases.every(isCase) || !Number.isInteger(rounds) || rounds < 1) {
  console.error(`Usage: npm run bench -- ingest [--rounds 7] [--json file] [--case '${names.join("' | '")}']`)
  process.exit(2)
}

// Ends by 'exit', which ends the servers and removes their data.
process.once('SIGINT', () => process.exit(130))

const { passed, json } = await benchIngest({ rounds, cases, print: console.log })
if (values.json) writeFileSync(values.json, `${JSON.stringify(json, null, 2)}\n`)
else console.log(JSON.stringify(json))
process.exit(passed ? 0 : 1)

function isCase(name: string): name is CaseName {
  return names.some((known) => known === name)
}
