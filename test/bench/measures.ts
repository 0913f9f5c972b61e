import { execFileSync } from 'node:child_process'
import { closeSync, fdatasyncSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** How far apart the extremes are, in proportion to the middle. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / median(values)
}

/** How far the bare reference may vary between rounds before they say more about the machine than about us. */
export const MOST_SPREAD = 0.3
/** So many times the rounds that were asked for. */
const MOST_TRIES = 4

/**
 * Runs a round to warm up and then so many that count: those in which the reference had about the same speed. On a
 * machine with other things to do there are more to choose from; where they do not suffice the steadiest are taken.
 * `runRound` gets 0 for the first and answers the rate of the reference. Answers the numbers of the rounds that count,
 * from 1, and how many were set aside.
 */
export async function untilSteady(
  rounds: number,
  runRound: (round: number) => Promise<number>,
): Promise<{ counted: number[]; setAside: number }> {
  await runRound(0)
  const rates: number[] = []
  let steadiest: number[] = []
  while (rates.length < MOST_TRIES * rounds) {
    rates.push(await runRound(rates.length + 1))
    if (rates.length < rounds) continue
    const order = rates.map((_, index) => index).sort((a, b) => rates[a]! - rates[b]!)
    const spreadOf = (chosen: readonly number[]) => spread(chosen.map((index) => rates[index]!))
    steadiest = order
      .slice(rounds - 1)
      .map((_, first) => order.slice(first, first + rounds))
      .reduce((best, chosen) => (spreadOf(chosen) < spreadOf(best) ? chosen : best))
    if (spreadOf(steadiest) <= MOST_SPREAD) break
  }
  return {
    counted: steadiest.map((index) => index + 1).sort((a, b) => a - b),
    setAside: rates.length - rounds,
  }
}

/** User and system time of a process so far, in microseconds; undefined where /proc does not tell. */
export function cpuOf(pid: number): number | undefined {
  return statOf(pid)?.ownUs
}

/** The same of a process and those it has started, also where these have ended. */
export function cpuOfFamily(pid: number): number | undefined {
  const parent = statOf(pid)
  if (parent === undefined) return undefined
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat?.parent === pid)
  return children.reduce((sum, child) => sum + child!.ownUs + child!.endedUs, parent.ownUs + parent.endedUs)
}

interface ProcessStat {
  parent: number
  ownUs: number
  /** Of its children that have ended. */
  endedUs: number
}

/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function statOf(pid: number): ProcessStat | undefined {
  const stat = readProc(pid, 'stat')
  if (stat === undefined) return undefined
  // The name in brackets may hold anything; the numbers after it do not.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const us = (at: number) => (Number(fields[at]) * 1_000_000) / ticksPerSecond
  return { parent: Number(fields[1]), ownUs: us(11) + us(12), endedUs: us(13) + us(14) }
}

/** The most memory a process has had, in bytes. */
export function peakMemoryOf(pid: number): number | undefined {
  const kilobytes = readProc(pid, 'status')?.match(/^VmHWM:\s+(\d+)/m)?.[1]
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
}

/** What one wait for this disk costs: 4 KiB appended and synced, 200 times. */
export function measureDisk(dir: string): { p50Ms: number; p99Ms: number } {
  const file = openSync(join(dir, 'fdatasync'), 'w')
  const block = Buffer.alloc(4096, 1)
  const times = Array.from({ length: 200 }, () => {
    writeSync(file, block)
    const start = performance.now()
    fdatasyncSync(file)
    return performance.now() - start
  })
  closeSync(file)
  return { p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99) }
}

export function machine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    load: loadAverage(),
  }
}

export function loadAverage(): number {
  return loadavg()[0]!
}

/** Keeps a process on one core, where the machine has `taskset` and a core to spare. */
export function pin(pid: number, core: number): boolean {
  if (availableParallelism() < 2) return false
  try {
    execFileSync('taskset', ['-a', '-c', '-p', `${core}`, `${pid}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const ticksPerSecond = readTicksPerSecond()

function readTicksPerSecond(): number {
  try {
    return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  } catch {
    return 100
  }
}

function readProc(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return undefined
  }
}
