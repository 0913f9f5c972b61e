import { readFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'
import Sqlite from 'better-sqlite3'
import { inRepository } from '../support/child.ts'
import { scratchDir } from '../support/scratch.ts'
import type { CaseFigures } from './figures-page.ts'
import { loadAverage, MOST_SPREAD, machine, measureDisk, spread } from './measures.ts'

/** How one case came out, for every suite. */
export interface Outcome {
  name: string
  pinned: boolean
  /** Rates of the bare reference in the rounds that count. */
  bareRates: number[]
  /** Rounds that do not count. */
  setAside: number
  /** Why it counts for nothing; empty where all is well. */
  faults: string[]
  gates: Gate[]
  table: string
  json: object
}

export type Gate = Bound & {
  case: string
  /** Such as `product / nullStore`. */
  what: string
  value: number
}

/**
 * Where a figure has to lie, and where it should: missing the target is said, but no failure. Null where it may lie
 * anywhere.
 */
export type Bound = { atLeast: number | null; target?: number } | { atMost: number | null; target?: number }

/** What `npm run bench` can be asked for. */
export interface Suite {
  /** Of its cases. */
  names: readonly string[]
  bench(options: {
    rounds: number
    /** Of the cases to measure. */
    names: readonly string[]
    print: (text: string) => void
  }): Promise<SuiteResult>
}

export interface SuiteResult {
  passed: boolean
  json: object
  /** For the page, a case each. */
  figures: Omit<CaseFigures, 'order'>[]
}

/** Runs cases one after the other; prints them, and whether the run counts. */
export async function runSuite({
  suite,
  rounds,
  cases,
  packages,
  print,
}: {
  suite: string
  rounds: number
  cases: readonly (() => Promise<Outcome>)[]
  /** Whose versions matter. */
  packages: readonly string[]
  print: (text: string) => void
}): Promise<SuiteResult> {
  const dir = await scratchDir()
  const disk = measureDisk(dir.path)
  dir.remove()
  const before = machine()
  const versions = versionsOf(packages)
  const surroundings = [
    `${before.cpu}, ${before.cores} cores, ${before.memoryGb} GB, ${before.platform}`,
    Object.entries(versions)
      .map((pair) => pair.join(' '))
      .join(', '),
    `fdatasync of 4 KiB: p50 ${disk.p50Ms.toFixed(3)} ms, p99 ${disk.p99Ms.toFixed(3)} ms`,
  ]
  for (const line of surroundings) print(line)
  print(`Load average before: ${before.load.toFixed(2)}. ${rounds} rounds of 1 s slices per case.\n`)

  const outcomes: Outcome[] = []
  for (const measure of cases) {
    const outcome = await measure()
    outcomes.push(outcome)
    print(`${outcome.table}\n`)
  }

  const loadAfter = loadAverage()
  print(`Load average after: ${loadAfter.toFixed(2)}.`)
  if (outcomes.some(({ pinned }) => !pinned)) print('Not pinned to cores: no taskset, or one core only.')

  const gates = outcomes
    .flatMap((outcome) => outcome.gates)
    .map((gate) => ({ ...gate, passed: isWithin(gate), reached: isWithin(gate, gate.target) }))
  const faults = outcomes.flatMap((outcome) => outcome.faults)
  const invalid = outcomes
    .map(({ name, bareRates }) => ({ name, spread: spread(bareRates) }))
    .filter(({ spread }) => spread > MOST_SPREAD)
  const verdicts = new Map(outcomes.map((outcome) => [outcome.name, verdictsOf(outcome)]))
  for (const line of [...verdicts.values()].flat()) print(line)

  return {
    passed: faults.length === 0 && invalid.length === 0 && gates.every(({ passed }) => passed),
    json: {
      suite,
      at: new Date().toISOString(),
      machine: before,
      versions,
      disk,
      load: { before: before.load, after: loadAfter },
      rounds,
      cases: outcomes.map(({ json }) => json),
      gates,
      faults,
      invalid,
    },
    figures: outcomes.map(({ name, table }) => ({
      case: name,
      command: `npm run bench -- ${suite} --case '${name}' --rounds ${rounds}`,
      on: new Date().toISOString().slice(0, 10),
      surroundings,
      load: `${before.load.toFixed(2)} before, ${loadAfter.toFixed(2)} after`,
      table: stripVTControlCharacters(table),
      verdicts: verdicts.get(name)!,
    })),
  }
}

/** A line for each gate and for each reason why the case counts for nothing. */
function verdictsOf({ name, gates, faults, bareRates, setAside }: Outcome): string[] {
  const lines = gates.map(({ what, value, ...gate }) => {
    const [side, bound] = 'atLeast' in gate ? ['at least', gate.atLeast] : ['at most', gate.atMost]
    const missed = isWithin({ what, value, ...gate }, gate.target) ? '' : ' not reached'
    const limit = bound === null ? '' : `, ${side} ${bound}`
    const aim = gate.target === undefined ? '' : `, target ${side} ${gate.target}${missed}`
    const verdict = bound === null ? 'seen  ' : isWithin({ what, value, ...gate }) ? 'passed' : 'MISSED'
    return `${verdict}  ${name}: ${what} ${Number(value.toPrecision(3))}${limit}${aim}`
  })
  const spreadOfBare = spread(bareRates)
  return [
    ...lines,
    ...(setAside > 0
      ? [`seen    ${name}: ${setAside} more rounds set aside, in which the bare reference had another speed`]
      : []),
    ...faults.map((fault) => `FAILED  ${fault}`),
    ...(spreadOfBare > MOST_SPREAD
      ? [`INVALID ${name}: the bare reference varied by ${(spreadOfBare * 100).toFixed(0)} % between rounds`]
      : []),
  ]
}

function isWithin(gate: Gate, target?: number): boolean {
  const bound = target ?? ('atLeast' in gate ? gate.atLeast : gate.atMost)
  if (bound === null) return true
  return 'atLeast' in gate ? gate.value >= bound : gate.value <= bound
}

function versionsOf(packages: readonly string[]): Record<string, string> {
  const memory = new Sqlite(':memory:')
  const sqlite = memory.prepare<[], string>('select sqlite_version()').pluck().get()!
  memory.close()
  const found = packages.map((name): [string, string] => [
    name,
    JSON.parse(readFileSync(inRepository(`node_modules/${name}/package.json`), 'utf8')).version,
  ])
  return { node: process.versions.node, sqlite, ...Object.fromEntries(found) }
}
