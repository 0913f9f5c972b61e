/**
 * `npm run bench -- ingest|growth|delivery|pg|peers [--rounds 7] [--case 'keep-alive c=64']… [--write] [--json file]`
 *
 * Prints a table per case and, without --json or --write, the figures as one line of JSON at the end. With --write
 * docs/performance.md is renewed. Exits with 1 when a gate is missed, a case fails, or the machine was too restless for
 * the figures to mean anything.
 */
import { writeFileSync } from 'node:fs'
import { readCommandLine, refuse } from '../support/command-line.ts'
import { writeBlock } from '../support/generated-blocks.ts'
import { endInGoodOrder } from '../support/leftovers.ts'
import { delivery } from './delivery.ts'
import { figuresPage } from './figures-page.ts'
import { growth } from './growth.ts'
import { ingest } from './ingest.ts'
import { peers } from './peers.ts'
import { pg } from './pg.ts'
import type { Suite } from './suite.ts'

const SUITES: Record<string, Suite> = { ingest, growth, delivery, pg, peers }

const USAGE = Object.entries(SUITES)
  .map(
    ([name, { names }]) =>
      `Usage: npm run bench -- ${name} [--rounds 7] [--write] [--json file] [--case '${names.join("' | '")}']`,
  )
  .join('\n')

const { values, positionals } = readCommandLine(USAGE, {
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    case: { type: 'string', multiple: true },
    json: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})
const name = positionals.join()
const suite = Object.hasOwn(SUITES, name) ? SUITES[name] : undefined
const names = values.case ?? suite?.names ?? []
const rounds = Number(values.rounds)

if (!suite || !names.every((one) => suite.names.includes(one)) || !Number.isInteger(rounds) || rounds < 1) {
  refuse(USAGE)
}

endInGoodOrder()

const { passed, json, figures } = await suite.bench({ rounds, names, print: console.log })
if (values.json) writeFileSync(values.json, `${JSON.stringify(json, null, 2)}\n`)
if (values.write) {
  const ordered = figures.map((one) => ({ ...one, order: suite.names.indexOf(one.case) }))
  writeBlock(figuresPage, name, ordered)
}
if (!values.json && !values.write) console.log(JSON.stringify(json))
process.exit(passed ? 0 : 1)
