import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { percentile } from '../bench/measures.ts'
import { until } from '../support/until.ts'
import { audit, type Listening, openRows } from './audit.ts'
import { startCounting } from './counting-receiver.ts'
import type { Fault, Finding } from './fault.ts'
import { openLedger } from './ledger.ts'
import { findWrongAnswers, openEndpoint, openPlace, resend, underLoad } from './load.ts'

const PER_SECOND = 50
/** Two of three receivers come and go: the first refuses, the second cuts off, each in its own rhythm. */
const UP_MS = 20_000
const DOWN_MS = 40_000
const RECEIVERS = ['steady', 'refusing', 'resetting'] as const

const SAMPLE_MS = 5_000
/** Until then memory may still find its size. */
const SETTLED_MS = 2 * 3_600_000
const MOST_MB_PER_HOUR = 1
/** The shortest time over which a slope says anything. */
const JUDGED_MS = 3_600_000
/** Descriptors are compared between the first and the last quarter, once there has been time to lose some. */
const MOST_MORE_DESCRIPTORS = 10
const JUDGED_DESCRIPTORS_MS = 10 * 60_000

export const soak: Fault = {
  id: 'T10',
  promise:
    'under hours of load with receivers that come and go, memory and descriptors stay as they are and nothing is lost',
  databases: ['sqlite', 'postgres'],
  runs: 3_600,
  onDemand: { counts: 'seconds', file: 'test/chaos/soak.ts' },
  async run(world, seconds) {
    const databaseUrl = await world.newDatabase()
    const tocsin = await world.start(databaseUrl)
    const place = await openPlace(tocsin)
    const ledger = await openLedger(world)
    const taken = new Set<string>()
    let repeats = 0
    let flaps = true
    const began = performance.now()
    const isUp = (offsetMs: number) => (performance.now() - began + offsetMs) % (UP_MS + DOWN_MS) < UP_MS
    const receivers = await startCounting(
      world,
      (path) => {
        if (!flaps || path === '/steady') return 'take'
        if (path === '/refusing') return isUp(0) ? 'take' : 'refuse'
        return isUp(DOWN_MS) ? 'take' : 'reset'
      },
      ({ id }) => {
        if (taken.has(id)) repeats += 1
        taken.add(id)
      },
    )
    const listening: Listening[] = []
    for (const name of RECEIVERS) {
      listening.push({ endpoint: await openEndpoint(tocsin, place, `${receivers}/${name}`), after: '' })
    }

    const samples: Sample[] = []
    const load = { place, ledger, random: world.random, addresses: [tocsin.address], perSecond: PER_SECOND }
    const tally = await underLoad(load, async () => {
      const end = performance.now() + seconds * 1_000
      for (let at = performance.now(); at < end; at = performance.now()) {
        await wait(Math.min(SAMPLE_MS, end - at))
        if (tocsin.hasEnded()) throw new Error(`It ended by itself: ${tocsin.stderr().slice(-1_000)}`)
        samples.push(sampleOf(tocsin.pid))
        if (samples.length % 60 === 0) world.say(`${(samples.length * SAMPLE_MS) / 60_000} minutes`)
      }
    })
    flaps = false
    const wrong = findWrongAnswers(tally, false)
    wrong.push(...(await resend({ ...load, address: tocsin.address })))
    const sent = await messagesOf(databaseUrl, listening)
    if (sent.failed > 0) wrong.push(`${sent.failed} messages failed for good`)
    const errors = tocsin.stderr().match(/^.*("level":[56]0|unhandled).*$/gim) ?? []
    if (errors.length > 0) wrong.push(`${errors.length} errors in the log, such as ${errors[0]}`)

    const memory = memoryOver(samples, seconds * 1_000)
    const descriptors = descriptorsOver(samples, seconds * 1_000)
    wrong.push(...memory.wrong, ...descriptors.wrong)
    const { code } = await tocsin.stop()
    if (code !== 0) wrong.push(`a stop afterwards exits with ${code}`)
    const missing = (await deliveredIds(databaseUrl, place.projectId)).filter((id) => !taken.has(id))
    if (missing.length > 0)
      wrong.push(`${missing.length} messages say they were delivered, but did not arrive`)
    const found = await audit(databaseUrl, place.projectId, ledger, listening)
    return {
      figure:
        `${seconds} s at ${PER_SECOND} a second: ${ledger.allAcknowledged().length} alerts, ` +
        `${found.lost} lost, ${found.doubled} doubled, p99 of answers ${percentile(tally.tookMs, 0.99).toFixed(0)} ms; ` +
        `${sent.delivered} messages delivered, ${repeats} of them again under the same id, ` +
        `${sent.pending} on schedule for receivers that come and go, ${sent.failed} failed; ` +
        `${memory.figure}; ${descriptors.figure}; ${errors.length} errors in the log`,
      wrong: [...wrong, ...found.wrong],
    }
  },
}

interface Sample {
  at: number
  rssMb: number
  descriptors: number
}

function sampleOf(pid: number): Sample {
  const kilobytes = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+)/m)![1]
  return {
    at: performance.now(),
    rssMb: Number(kilobytes) / 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  }
}

/** Waits until the steady receiver has everything; the others may still have something to get. */
async function messagesOf(
  databaseUrl: string,
  [steady]: readonly Listening[],
): Promise<{ delivered: number; pending: number; failed: number }> {
  const db = await openRows(databaseUrl)
  const count = async (where: string) =>
    Number((await db.rows(`select count(*) as count from message where ${where}`))[0]!.count)
  try {
    await until(
      'the receiver that was always there has everything',
      async () => (await count(`endpoint_id = '${steady!.endpoint}' and status = 'pending'`)) === 0,
      { withinMs: 60_000, everyMs: 250 },
    )
    return {
      delivered: await count("status = 'delivered'"),
      pending: await count("status = 'pending'"),
      failed: await count("status = 'failed'"),
    }
  } finally {
    await db.close()
  }
}

async function deliveredIds(databaseUrl: string, projectId: string): Promise<string[]> {
  const db = await openRows(databaseUrl)
  const rows = await db.rows(
    `select id from message where project_id = '${projectId}' and status = 'delivered'`,
  )
  await db.close()
  return rows.map(({ id }) => id as string)
}

/** How memory went, and its slope where there was time for one. */
export function memoryOver(samples: readonly Sample[], durationMs: number): Finding {
  const [first, last] = [samples[0]!, samples.at(-1)!]
  const most = Math.max(...samples.map(({ rssMb }) => rssMb))
  const words = `RSS ${first.rssMb.toFixed(0)} MiB at first, ${last.rssMb.toFixed(0)} at the end, ${most.toFixed(0)} at most`
  if (durationMs < SETTLED_MS + JUDGED_MS)
    return { figure: `${words}, slope not judged: less than 3 h`, wrong: [] }
  const slope = slopePerHour(samples.filter(({ at }) => at >= first.at + SETTLED_MS))
  return {
    figure: `${words}, ${slope.toFixed(2)} MiB/h after hour 2`,
    wrong: slope > MOST_MB_PER_HOUR ? [`memory grows by ${slope.toFixed(2)} MiB/h`] : [],
  }
}

/** Of the straight line that lies nearest to them, in MiB per hour. */
function slopePerHour(samples: readonly Sample[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const hours = samples.map(({ at }) => at / 3_600_000)
  const [x, y] = [mean(hours), mean(samples.map(({ rssMb }) => rssMb))]
  const both = mean(samples.map(({ rssMb }, n) => (hours[n]! - x) * (rssMb - y)))
  return both / mean(hours.map((hour) => (hour - x) ** 2))
}

/** How many descriptors were open, and whether they became more. */
export function descriptorsOver(samples: readonly Sample[], durationMs: number): Finding {
  const quarter = Math.ceil(samples.length / 4)
  const most = (some: readonly Sample[]) => Math.max(...some.map(({ descriptors }) => descriptors))
  const [first, last] = [most(samples.slice(0, quarter)), most(samples.slice(-quarter))]
  const words = `${first} descriptors at most in the first quarter, ${last} in the last`
  if (durationMs < JUDGED_DESCRIPTORS_MS)
    return { figure: `${words}, not judged: less than 10 min`, wrong: [] }
  return {
    figure: words,
    wrong: last > first + MOST_MORE_DESCRIPTORS ? [`descriptors grew from ${first} to ${last}`] : [],
  }
}
