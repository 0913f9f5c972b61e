import type { DatabaseKind } from '../support/fresh-database.ts'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import type { World } from './world.ts'

/** One way to break something, and what has to hold all the same. */
export interface Fault {
  /** Such as T1. */
  id: string
  promise: string
  databases: readonly DatabaseKind[]
  /** How often on demand unless told. */
  runs: number
  /** Where it takes too long or too much for `npm test`: it runs only where it is named. */
  onDemand?: {
    /** What is counted instead of runs, such as messages. */
    counts: string
    /** The file that holds it, from the root of the repository. */
    file: string
  }
  run(world: World, runs: number): Promise<Finding>
}

export interface Finding {
  /** What was found, in numbers. */
  figure: string
  /** Everything that must not be; empty where the promise holds. */
  wrong: string[]
}

/** The environment of a process that loads a file of `hooks` first. */
export function withHook(name: string, env: Record<string, string>): Record<string, string> {
  return { NODE_OPTIONS: `--import ${new URL(`./hooks/${name}.ts`, import.meta.url)}`, ...env }
}

/** Starts a process again as if so much time had passed: beside other tests nobody waits for leases to end. */
export function restartLater({ kind }: World, tocsin: TocsinProcess, ms: number): Promise<void> {
  const hook = kind === 'postgres' ? 'database-clock' : 'clock'
  return tocsin.restart(withHook(hook, { CHAOS_CLOCK_MS: `${ms}` }))
}
