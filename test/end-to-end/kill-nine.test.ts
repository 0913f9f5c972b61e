import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { expect, onTestFailed, onTestFinished, test } from 'vitest'
import { reading } from '../support/reading.ts'
import { scratchDir } from '../support/scratch.ts'
import { openSender, type Sender } from '../support/sender.ts'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import { startOn } from './start-on.ts'

/** As many as asked for; else 20, or fewer where a slow machine would make everybody wait. */
const CYCLES = Number(process.env.TOCSIN_KILL_CYCLES ?? 20)
const BUDGET_MS = process.env.TOCSIN_KILL_CYCLES ? Number.POSITIVE_INFINITY : 35_000
const SEED = Number(process.env.TOCSIN_KILL_SEED ?? Math.floor(Math.random() * 2 ** 31))
const SENDERS = 8

/** What one alert says once: its id fires, or recovers. */
interface Sent {
  id: string
  kind: 'fire' | 'recover'
}

test(
  `nothing that was answered is lost or doubled by kill -9 under load`,
  async () => {
    onTestFailed(() => {
      process.stderr.write(`Seed of this run: TOCSIN_KILL_SEED=${SEED}\n`)
    })
    const random = randomNumbers(SEED)
    const tocsin = await startOn('sqlite')
    const source = await tocsin.createSource({ adapter: 'generic' })
    const ledger = await openLedger()

    const end = performance.now() + BUDGET_MS
    for (let cycle = 0; cycle < CYCLES && performance.now() < end; cycle++) {
      const sender = openSender(source)
      const load = Promise.all(Array.from({ length: SENDERS }, () => sendUntilCutOff(sender, ledger, random)))
      await wait(100 + random() * 900)
      await tocsin.kill()
      await load
      sender.close()

      await tocsin.restart()
      await resend(openSender(source), ledger, random)
    }

    await auditByApi(tocsin, ledger)
    expect(await tocsin.stop()).toEqual({ code: 0, signal: null })
    auditFile(join(tocsin.dataDir, 'tocsin.db'), ledger)
  },
  20_000 + CYCLES * 5_000,
)

/** Half of the time an alert fires that never did; else one that fires recovers, so that incidents come and go. */
async function sendUntilCutOff(sender: Sender, ledger: Ledger, random: () => number): Promise<void> {
  for (;;) {
    const firing = random() < 0.5 ? ledger.takeFiring(random) : undefined
    const sent: Sent = firing ? { id: firing, kind: 'recover' } : { id: ledger.newId(), kind: 'fire' }
    ledger.sent(sent)
    try {
      const { status } = await sender.post(bodyOf(sent))
      expect(status).toBe(200)
      ledger.answered(sent)
    } catch (error) {
      if (isCutOff(error)) return
      throw error
    }
  }
}

/** What a sender does after an outage of its receiver: all that was not answered, and for good measure some that was. */
async function resend(sender: Sender, ledger: Ledger, random: () => number): Promise<void> {
  await together(ledger.unanswered(), async (sent) => {
    expect((await sender.post(bodyOf(sent))).status).toBe(200)
    ledger.answered(sent)
  })
  const sample = ledger.repeatable().filter(() => random() < 0.05)
  await together(sample, async (sent) => {
    expect(await sender.post(bodyOf(sent))).toMatchObject({ status: 200, body: { outcome: 'duplicate' } })
  })
  sender.close()
}

/** Does it for each, as many at a time as there are senders. */
async function together<T>(list: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const left = list.values()
  const worker = async () => {
    for (const one of left) await run(one)
  }
  await Promise.all(Array.from({ length: SENDERS }, worker))
}

async function auditByApi(tocsin: TocsinProcess, ledger: Ledger): Promise<void> {
  const { incidents, events } = reading(tocsin)
  const found = await incidents()
  const stored: string[] = []
  for (const { id, eventCount } of found) {
    const read = await events(id)
    expect(read).toHaveLength(eventCount)
    stored.push(...read.map(({ externalId, kind }) => `${externalId} ${kind}`))
  }
  expect(stored.toSorted()).toEqual(ledger.all().map(keyOf).toSorted())

  const firing = found.reduce((sum, { firingCount }) => sum + firingCount, 0)
  expect(firing).toBe(ledger.firing().length)
  expect(found.filter(({ status }) => status === 'open')).toHaveLength(firing > 0 ? 1 : 0)
}

function auditFile(path: string, ledger: Ledger): void {
  const db = new Sqlite(path, { readonly: true })
  onTestFinished(() => {
    db.close()
  })
  const texts = (sql: string) => db.prepare<[], string>(sql).pluck().all()

  expect(texts('pragma integrity_check')).toEqual(['ok'])
  expect(texts("select external_id || ' ' || kind from event").toSorted()).toEqual(
    ledger.all().map(keyOf).toSorted(),
  )
  // Every event is told of once, and every incident's transitions are numbered without a gap.
  const told = texts("select event_ids from timeline_entry where kind = 'context'").flatMap((ids): string[] =>
    JSON.parse(ids),
  )
  expect(told.toSorted()).toEqual(texts('select id from event').toSorted())
  expect(
    texts(
      `select incident_id from timeline_entry where sequence is not null group by incident_id
       having count(*) <> max(sequence) or count(distinct sequence) <> count(*) or min(sequence) <> 1`,
    ),
  ).toEqual([])
}

interface Ledger {
  newId(): string
  sent(sent: Sent): void
  answered(sent: Sent): void
  /** An alert that fires for certain and that nobody has told to recover; from now on somebody has. */
  takeFiring(random: () => number): string | undefined
  firing(): string[]
  unanswered(): Sent[]
  /** What may be sent again and must change nothing: after its recovery the same fire would be a new one. */
  repeatable(): Sent[]
  all(): Sent[]
}

/** The test's own record, on disk before anything goes out and as soon as an answer is in. */
async function openLedger(): Promise<Ledger> {
  const dir = await scratchDir()
  const path = join(dir.path, 'ledger')
  const file = openSync(path, 'a')
  onTestFinished(() => {
    closeSync(file)
    dir.remove()
  })
  const write = (word: string, { id, kind }: Sent) => {
    writeSync(file, `${word} ${id} ${kind}\n`)
    fsyncSync(file)
  }
  const read = (word: string): Sent[] =>
    readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter((parts) => parts[0] === word)
      .map(([, id, kind]) => ({ id: id!, kind: kind as Sent['kind'] }))

  let ids = 0
  const firing: string[] = []
  return {
    newId: () => `alert-${ids++}`,
    sent: (sent) => write('sent', sent),
    answered: (sent) => {
      write('answered', sent)
      if (sent.kind === 'fire') firing.push(sent.id)
    },
    takeFiring: (random) => firing.splice(Math.floor(random() * firing.length), 1)[0],
    firing: () => [...firing],
    unanswered: () => {
      const answered = new Set(read('answered').map(keyOf))
      return read('sent').filter((sent) => !answered.has(keyOf(sent)))
    },
    repeatable: () => {
      const fires = new Set(firing)
      return read('answered').filter(({ id, kind }) => kind === 'recover' || fires.has(id))
    },
    all: () => read('sent'),
  }
}

function keyOf({ id, kind }: Sent): string {
  return `${id} ${kind}`
}

function bodyOf({ id, kind }: Sent) {
  return { id, title: `Alert ${id}`, action: kind === 'fire' ? 'trigger' : 'resolve' }
}

function isCutOff(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    ['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(String(error.code))
  )
}

/** Mulberry32: the same numbers for the same seed. */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
