import { setTimeout as wait } from 'node:timers/promises'
import type { ApiIncident } from '@tocsin/core'
import { openSender } from '../support/sender.ts'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import { audit, untilDelivered } from './audit.ts'
import { startCounting } from './counting-receiver.ts'
import type { Finding } from './fault.ts'
import { openLedger } from './ledger.ts'
import {
  exchange,
  newTally,
  openEndpoint,
  openPlace,
  type Place,
  resend,
  type Tally,
  underLoad,
} from './load.ts'
import type { World } from './world.ts'

const PROJECTS = 4
const PER_SECOND = 50

/**
 * Several projects at once over several processes: webhooks of every tool, some that are refused, messages that go out,
 * and people and programs who change things meanwhile. Nothing may be refused for want of the database.
 */
export async function liveMixed(
  world: World,
  databaseUrl: string,
  processes: readonly TocsinProcess[],
  ms: number,
): Promise<Finding> {
  const addresses = processes.map(({ address }) => address)
  const taken: string[] = []
  const receiver = await startCounting(
    world,
    () => 'take',
    ({ id }) => void taken.push(id),
  )
  const lives = []
  for (let n = 0; n < PROJECTS; n++) {
    const place = await openPlace(processes[0]!)
    const endpoint = await openEndpoint(processes[0]!, place, `${receiver}/${n}`)
    lives.push({ place, ledger: await openLedger(world), endpoint })
  }

  const refusals = newTally()
  const changes: Record<string, number> = {}
  const tallies = await Promise.all(
    lives.map(({ place, ledger, endpoint }) => {
      const load = { place, ledger, random: world.random, addresses, perSecond: PER_SECOND }
      return underLoad(load, async () => {
        const stop = AbortSignal.timeout(ms)
        await Promise.all([
          refuse(stop, world, place, addresses, refusals),
          change(stop, world, place, endpoint, processes, changes),
        ])
      })
    }),
  )
  const wrong: string[] = []
  const judge = (what: string, counts: Readonly<Record<string, number>>, right: RegExp) => {
    for (const [word, count] of Object.entries(counts))
      if (!right.test(word)) wrong.push(`${count} ${what} were answered with ${word}`)
  }
  for (const { statuses, cutOff } of tallies) judge('alerts', { ...statuses, ...cutOff }, /^20[02]$/)
  judge('bodies that nobody can read', { ...refusals.statuses, ...refusals.cutOff }, /^40[01]$/)
  // Some incidents have ended by themselves meanwhile.
  judge('changes', changes, /^20[01]$|^409$/)
  let [alerts, lost, doubled] = [0, 0, 0]
  const ids: string[] = []
  for (const { place, ledger, endpoint } of lives) {
    wrong.push(...(await resend({ place, ledger, random: world.random, address: addresses[0]! })))
    ids.push(...(await untilDelivered(databaseUrl, place.projectId)))
    const found = await audit(databaseUrl, place.projectId, ledger, [{ endpoint, after: '' }])
    wrong.push(...found.wrong)
    alerts += ledger.allAcknowledged().length
    lost += found.lost
    doubled += found.doubled
  }
  if (JSON.stringify(taken.toSorted()) !== JSON.stringify(ids.toSorted()))
    wrong.push(`${ids.length} messages were delivered, but ${taken.length} arrived`)
  return {
    figure:
      `${PROJECTS} projects at once over ${processes.length} processes for ${ms / 1000} s: ${alerts} alerts, ${lost} lost, ` +
      `${doubled} doubled; ${ids.length} messages delivered, each once; ${countOf(refusals.statuses)} bodies refused, ` +
      `${countOf(changes)} changes by the API`,
    wrong,
  }
}

/** Senders that send what nobody can read, and some without the secret. */
async function refuse(
  stop: AbortSignal,
  world: World,
  place: Place,
  addresses: readonly string[],
  tally: Tally,
): Promise<void> {
  const sender = openSender()
  const alert = { id: 'alert-0', adapter: 'generic', kind: 'fire', at: new Date().toISOString() } as const
  while (!stop.aborted) {
    const request = place.request(alert, world.random.pick(addresses))
    const isStranger = world.random.below(2) === 0
    await exchange(
      sender,
      isStranger
        ? { ...request, headers: { ...request.headers, 'x-webhook-secret': 'not the secret' } }
        : { ...request, body: '{"title":' },
      tally,
    )
    await wait(world.random.below(50))
  }
  sender.close()
}

/** People acknowledge and write, programs change their endpoints. */
async function change(
  stop: AbortSignal,
  world: World,
  { projectId }: Place,
  endpoint: string,
  processes: readonly TocsinProcess[],
  statuses: Record<string, number>,
): Promise<void> {
  const project = `/projects/${projectId}`
  for (let n = 0; !stop.aborted; n++) {
    const tocsin = world.random.pick(processes)
    const { incidents } = await tocsin.api<{ incidents: ApiIncident[] }>(
      'GET',
      `${project}/incidents?status=open&limit=20`,
    )
    const incident = incidents.length === 0 ? undefined : world.random.pick(incidents).id
    const [method, path, body] =
      // After each of these every process reads the project anew.
      incident === undefined || n % 10 === 0
        ? world.random.pick([
            ['PATCH', '', { name: `Change ${n}` }],
            ['PATCH', `/endpoints/${endpoint}`, { description: `Change ${n}` }],
            ['POST', `/endpoints/${endpoint}/rotate`, { overlapMinutes: 1 }],
          ] as const)
        : world.random.pick([
            ['POST', `/incidents/${incident}/acknowledge`, {}],
            ['POST', `/incidents/${incident}/notes`, { text: `Note ${n}` }],
          ] as const)
    const { status } = await tocsin.call(method, project + path, body)
    statuses[status] = (statuses[status] ?? 0) + 1
    await wait(world.random.below(50))
  }
}

function countOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
