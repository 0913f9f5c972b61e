import { readFileSync } from 'node:fs'
import Sqlite from 'better-sqlite3'
import { inRepository } from '../support/child.ts'
import { scratchDir } from '../support/scratch.ts'
import { type Case, type CaseResult, measureCase } from './measure-case.ts'
import { loadAverage, machine, measureDisk, spread } from './measures.ts'
import { caseTable } from './report.ts'

const keepAlive = { connections: 64, keepAlive: true, duplicates: false }

export const CASES = [
  { ...keepAlive, name: 'keep-alive c=64' },
  { ...keepAlive, name: 'close c=64', keepAlive: false },
  { ...keepAlive, name: 'duplicates 50 % c=64', duplicates: true },
  { ...keepAlive, name: 'keep-alive c=8', connections: 8 },
  { ...keepAlive, name: 'keep-alive c=1', connections: 1 },
] as const satisfies readonly Case[]

export type CaseName = (typeof CASES)[number]['name']

interface Gate {
  case: CaseName
  of: 'product'
  to: 'nullStore' | 'transaction'
  atLeast: number
}

/** Loose enough for any machine; only ratios of one run count. */
const GATES: readonly Gate[] = [
  { case: 'keep-alive c=64', of: 'product', to: 'nullStore', atLeast: 0.4 },
  { case: 'close c=64', of: 'product', to: 'nullStore', atLeast: 0.55 },
  { case: 'keep-alive c=64', of: 'product', to: 'transaction', atLeast: 4 },
]

/** How far the bare reference may vary between rounds before a run says more about the machine than about us. */
const MOST_SPREAD = 0.3

/** Measures durable ingest against its references; answers what to write as JSON, and whether all is well. */
export async function benchIngest({
  rounds,
  cases,
  print,
}: {
  rounds: number
  cases: readonly CaseName[]
  print: (text: string) => void
}) {
  const dir = await scratchDir()
  const disk = measureDisk(dir.path)
  dir.remove()
  const before = machine()
  print(`${before.cpu}, ${before.cores} cores, ${before.memoryGb} GB, ${before.platform}`)
  print(versionLine())
  print(`fdatasync of 4 KiB: p50 ${disk.p50Ms.toFixed(3)} ms, p99 ${disk.p99Ms.toFixed(3)} ms`)
  print(`Load average before: ${before.load.toFixed(2)}. ${rounds} rounds of 1 s slices per case.\n`)

  const results: CaseResult[] = []
  for (const one of CASES.filter(({ name }) => cases.includes(name))) {
    const result = await measureCase(one, { rounds })
    results.push(result)
    print(`${caseTable(result)}\n`)
  }

  const loadAfter = loadAverage()
  print(`Load average after: ${loadAfter.toFixed(2)}.`)
  if (results.some(({ pinned }) => !pinned)) print('Not pinned to cores: no taskset, or one core only.')

  const gates = GATES.flatMap((gate) => {
    const result = results.find(({ name }) => name === gate.case)
    if (!result) return []
    const ratio = result.ratio(gate.of, gate.to)
    return [{ ...gate, ratio, passed: ratio >= gate.atLeast }]
  })
  for (const { case: name, of, to, atLeast, ratio, passed } of gates) {
    print(`${passed ? 'passed' : 'MISSED'}  ${name}: ${of} / ${to} ${ratio.toFixed(2)}, gate ${atLeast}`)
  }
  const faults = results.flatMap((result) => result.faults)
  for (const fault of faults) print(`FAILED  ${fault}`)
  const invalid = results
    .map(({ name, variants }) => ({ name, spread: spread(variants.bare.rates) }))
    .filter(({ spread }) => spread > MOST_SPREAD)
  for (const { name, spread } of invalid) {
    print(`INVALID ${name}: the bare reference varied by ${(spread * 100).toFixed(0)} % between rounds`)
  }

  return {
    passed: faults.length === 0 && invalid.length === 0 && gates.every(({ passed }) => passed),
    json: {
      suite: 'ingest',
      at: new Date().toISOString(),
      machine: before,
      versions: versions(),
      disk,
      load: { before: before.load, after: loadAfter },
      rounds,
      cases: results.map(({ ratio, ...result }) => ({
        ...result,
        productToNullStore: ratio('product', 'nullStore'),
        productToTransaction: ratio('product', 'transaction'),
        productToBare: ratio('product', 'bare'),
      })),
      gates,
      faults,
      invalid,
    },
  }
}

function versionLine(): string {
  return Object.entries(versions())
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')
}

function versions(): Record<string, string> {
  const memory = new Sqlite(':memory:')
  const sqlite = memory.prepare<[], string>('select sqlite_version()').pluck().get()!
  memory.close()
  const packages = ['better-sqlite3', 'kysely', 'express'].map((name): [string, string] => [
    name,
    JSON.parse(readFileSync(inRepository(`node_modules/${name}/package.json`), 'utf8')).version,
  ])
  return { node: process.versions.node, sqlite, ...Object.fromEntries(packages) }
}
