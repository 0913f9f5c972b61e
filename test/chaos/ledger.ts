import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { adapters } from '@tocsin/core'
import type { Random } from '../support/random.ts'
import { scratchDir } from '../support/scratch.ts'
import type { World } from './world.ts'

/** What one alert says once: its id fires, or recovers. */
export interface Alert {
  id: string
  adapter: string
  kind: 'fire' | 'recover'
  /** When it began to fire. */
  at: string
}

/** The sender's own record, on disk before anything goes out and as soon as an answer is in. */
export interface Ledger {
  /** Half of the time something new fires; else something that fires recovers, so that incidents come and go. */
  next(random: Random): Alert
  sent(alert: Alert): void
  /** A 2xx came. */
  acknowledged(alert: Alert): void
  isAcknowledged(alert: Alert): boolean
  /** Was sent, and nobody knows what became of it. */
  open(): Alert[]
  /** What may be sent again and must change nothing: after its recovery the same fire may be a new one. */
  repeatable(): Alert[]
  allSent(): Alert[]
  allAcknowledged(): Alert[]
  /** How many alerts fire when everything sent has been taken. */
  firing(): number
}

/** Tools whose alerts recover, and those that only fire. */
const FIRING = adapters.map(({ slug }) => slug)
const RECOVERING = adapters.filter(({ says }) => says.resolves !== null).map(({ slug }) => slug)

export async function openLedger(world: Pick<World, 'afterwards'>): Promise<Ledger> {
  const dir = await scratchDir()
  const path = join(dir.path, 'ledger')
  const file = openSync(path, 'a')
  world.afterwards(() => {
    closeSync(file)
    dir.remove()
  })
  const write = (word: string, { id, adapter, kind, at }: Alert) => {
    writeSync(file, `${word} ${id} ${adapter} ${kind} ${at}\n`)
    fsyncSync(file)
  }
  /** As they were made: a piece of what was read would hold all that was read. */
  const alerts = new Map<string, Alert>()
  const read = (word: string): Alert[] => {
    const lines = readFileSync(path, 'utf8').split('\n')
    const found = lines.map((line) => line.split(' ')).filter((parts) => parts[0] === word)
    // Sent twice is still one alert.
    return [...new Set(found.map(([, id, , kind]) => alerts.get(`${id} ${kind}`)!))]
  }

  let ids = 0
  /** Fires for certain, and nobody has told it to recover. */
  const firing: Alert[] = []
  const known = new Set<string>()
  return {
    next: (random) => {
      const at = random.below(firing.length)
      if (random.below(2) === 0 && firing.length > 0 && RECOVERING.includes(firing[at]!.adapter)) {
        return { ...firing.splice(at, 1)[0]!, kind: 'recover' }
      }
      ids += 1
      // The clock gives the seconds, the number an order within them, so that no two alerts began at the same time.
      const began = Math.floor(Date.now() / 1000) * 1000 + (ids % 1000)
      return {
        id: `alert-${ids}`,
        adapter: random.pick(FIRING),
        kind: 'fire',
        at: new Date(began).toISOString(),
      }
    },
    sent: (alert) => {
      alerts.set(keyOf(alert), alert)
      write('sent', alert)
    },
    isAcknowledged: (alert) => known.has(keyOf(alert)),
    acknowledged: (alert) => {
      write('acknowledged', alert)
      known.add(keyOf(alert))
      if (alert.kind === 'fire') firing.push(alert)
    },
    open: () => read('sent').filter((alert) => !known.has(keyOf(alert))),
    repeatable: () => {
      const fires = new Set(firing.map(({ id }) => id))
      return read('acknowledged').filter(({ id, kind }) => kind === 'recover' || fires.has(id))
    },
    allSent: () => read('sent'),
    allAcknowledged: () => read('acknowledged'),
    firing: () => firing.length,
  }
}

export function keyOf({ id, kind }: Pick<Alert, 'id' | 'kind'>): string {
  return `${id} ${kind}`
}
