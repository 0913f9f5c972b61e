/**
 * `npm run chaos -- [T1 …] [--runs 300] [--database sqlite|postgres] [--seed 7] [--write]`
 *
 * Breaks things on purpose and says what came of it: all faults where none is named, on every database that is not told.
 * T9 to T11 are full load instead of a fault, and run only where they are named; --runs is then how many messages wait,
 * for how many seconds it is sent, and how many bursts there are. With --write docs/reliability.md is renewed. Exits with
 * 1 where a promise was broken.
 */
import { readCommandLine, refuse } from '../support/command-line.ts'
import type { DatabaseKind } from '../support/fresh-database.ts'
import { endInGoodOrder } from '../support/leftovers.ts'
import { startPostgres } from '../support/postgres-server.ts'
import { hereAndNow, type ReliabilityRow, writeReliability } from '../support/reliability-page.ts'
import type { Fault, Finding } from './fault.ts'
import { FAULTS, ON_DEMAND } from './faults.ts'
import { inWorld } from './world.ts'

const known = [...FAULTS, ...ON_DEMAND]
const USAGE = `Usage: npm run chaos -- [${[...new Set(known.map(({ id }) => id))].join('|')}] [--runs 20] [--database sqlite|postgres] [--seed 7] [--write]`

const { values, positionals } = readCommandLine(USAGE, {
  allowPositionals: true,
  options: {
    runs: { type: 'string' },
    database: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    write: { type: 'boolean', default: false },
  },
})
const chosen = positionals.length === 0 ? FAULTS : known.filter(({ id }) => positionals.includes(id))
const runs = values.runs === undefined ? undefined : Number(values.runs)
const isKnown = positionals.every((id) => known.some((fault) => fault.id === id))
const isKind = values.database === undefined || ['sqlite', 'postgres'].includes(values.database)
if (!isKnown || !isKind || (runs !== undefined && !(Number.isInteger(runs) && runs > 0))) refuse(USAGE)

endInGoodOrder()

const plan = chosen.flatMap((fault) =>
  fault.databases
    .filter((kind) => values.database === undefined || values.database === kind)
    .map((kind) => ({ fault, kind })),
)
if (plan.length === 0)
  refuse(`${positionals.join(', ')}: there is nothing of that on ${values.database}.\n${USAGE}`)
const server = plan.some(({ kind }) => kind === 'postgres') ? await startPostgres() : undefined
for (const { fault, kind } of plan) {
  const count = runs ?? fault.runs
  console.log(`${fault.id} on ${kind}, ${count} ${fault.onDemand?.counts ?? 'runs'}, seed ${values.seed}`)
  const finding = await tryFault(fault, kind, count)
  console.log(`${finding.wrong.length === 0 ? 'passed' : 'FAILED'}  ${fault.id} ${kind}: ${finding.figure}`)
  for (const line of finding.wrong) console.log(`        ${line}`)
  if (finding.wrong.length > 0) process.exitCode = 1
  if (values.write) writeReliability('chaos', [rowOf(fault, kind, count, finding)])
}
await server?.stop()

async function tryFault(fault: Fault, kind: DatabaseKind, count: number): Promise<Finding> {
  const options = { kind, seed: Number(values.seed), isTimed: true, say: (line: string) => console.log(line) }
  try {
    return await inWorld({ ...options, postgresUrl: server?.url ?? null }, (world) => fault.run(world, count))
  } catch (error) {
    console.error(error)
    return { figure: 'did not come to an end', wrong: [String(error)] }
  }
}

function rowOf(fault: Fault, kind: DatabaseKind, count: number, { figure, wrong }: Finding): ReliabilityRow {
  return {
    id: fault.id,
    promise: fault.promise,
    database: kind,
    test: fault.onDemand?.file ?? 'test/chaos/chaos.test.ts',
    command: `npm run chaos -- ${fault.id} --runs ${count} --database ${kind}`,
    figure: wrong.length === 0 ? figure : `${figure}; ${wrong.join('; ')}`,
    passed: wrong.length === 0,
    ...hereAndNow(),
  }
}
