import { setTimeout as wait } from 'node:timers/promises'
import type { ApiEndpoint, ApiIncident, ApiProject, ApiSource } from '@tocsin/core'
import { openSender } from '../support/sender.ts'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { audit, openRows, untilDelivered } from './audit.ts'
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
 * and people and programs who change things meanwhile; whole projects come and go beside them, with receivers that fail
 * or are gone. Nothing may be refused for want of the database, and of what was deleted nothing may be left.
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
  const passing = { count: 0, webhooks: newTally(), changes: {} as Record<string, number> }
  const failing = await startCounting(
    world,
    (path) =>
      world.random.pick(path === '/gone' ? (['take', 'gone'] as const) : (['take', 'refuse'] as const)),
    () => {},
  )
  const coming = comeAndGo(AbortSignal.timeout(ms), world, processes, failing, passing)
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
  await coming
  const wrong: string[] = []
  const judge = (what: string, counts: Readonly<Record<string, number>>, right: RegExp) => {
    for (const [word, count] of Object.entries(counts))
      if (!right.test(word)) wrong.push(`${count} ${what} were answered with ${word}`)
  }
  for (const { statuses, cutOff } of tallies) judge('alerts', { ...statuses, ...cutOff }, /^20[02]$/)
  judge('bodies that nobody can read', { ...refusals.statuses, ...refusals.cutOff }, /^40[01]$/)
  // Some incidents have ended by themselves meanwhile.
  judge('changes', changes, /^20[01]$|^409$/)
  const { webhooks } = passing
  judge('webhooks to projects that go', { ...webhooks.statuses, ...webhooks.cutOff }, /^200$|^40[01]$/)
  judge('changes of projects that go', passing.changes, /^20[0-4]$|^40[49]$/)
  wrong.push(...(await leftOvers(databaseUrl)))
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
      `${countOf(changes)} changes by the API; ${passing.count} projects made and deleted under ${countOf(webhooks.statuses)} ` +
      `webhooks and ${countOf(passing.changes)} changes, nothing left of them`,
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

/** Projects that are used by everybody at once, and in the middle of it they are deleted. */
async function comeAndGo(
  stop: AbortSignal,
  { random }: World,
  processes: readonly TocsinProcess[],
  receiver: string,
  passing: { count: number; webhooks: Tally; changes: Record<string, number> },
): Promise<void> {
  const sender = openSender()
  const call = async (method: string, path: string, body?: object) => {
    const { status } = await random.pick(processes).call(method, path, body)
    passing.changes[status] = (passing.changes[status] ?? 0) + 1
  }
  while (!stop.aborted) {
    const tocsin = random.pick(processes)
    const { project } = await tocsin.api<{ project: ApiProject }>('POST', '/projects', { name: 'Passing' })
    const at = `/projects/${project.id}`
    const { source, secret } = await tocsin.api<{ source: ApiSource; secret: string }>(
      'POST',
      `${at}/sources`,
      { adapter: 'generic', settings: { grouping: 'signal' } },
    )
    const [gone, busy] = await Promise.all(
      ['/gone', '/busy', '/told'].map(async (path) => {
        const { endpoint } = await tocsin.api<{ endpoint: ApiEndpoint }>('POST', `${at}/endpoints`, {
          url: receiver + path,
          events: ['incident.opened', 'incident.acknowledged', 'incident.resolved', 'endpoint.disabled'],
        })
        return `${at}/endpoints/${endpoint.id}`
      }),
    )
    const { pathname } = new URL(source.url)
    const knock = async (n: number) => {
      await wait(random.below(LIFE_MS))
      const headers = {
        'content-type': 'application/json',
        'x-webhook-secret': random.below(5) === 0 ? 'not the secret' : secret,
      }
      const alert = { id: `alert-${n % 8}`, title: 'T', action: random.pick(['trigger', 'resolve']) }
      const body = random.below(5) === 0 ? '{"title":' : JSON.stringify(alert)
      await exchange(
        sender,
        { url: random.pick(processes).address + pathname, headers, body },
        passing.webhooks,
      )
    }
    const act = async (run: () => Promise<unknown>, fromMs = 0) => {
      await wait(fromMs + random.below(LIFE_MS - fromMs))
      await run()
    }
    const numbers = [1, 2, 3, 4]
    await Promise.all([
      ...Array.from({ length: WEBHOOKS_OF_A_LIFE }, (_, n) => knock(n)),
      ...numbers.map((number) => act(() => call('POST', `${at}/incidents/${number}/acknowledge`, {}))),
      ...numbers.map((number) => act(() => call('POST', `${at}/incidents/${number}/resolve`, {}))),
      ...[gone, busy].map((endpoint) => act(() => call('PATCH', endpoint!, { enabled: true }))),
      ...[gone, busy].map((endpoint) =>
        act(() => call('POST', `${endpoint}/replay`, { status: ['delivered', 'failed'] })),
      ),
      act(() => call('DELETE', busy!), LIFE_MS / 2),
      act(() => call('DELETE', `${at}/sources/${source.id}`), LIFE_MS / 2),
      act(() => call('DELETE', at), LIFE_MS / 2),
    ])
    passing.count += 1
  }
  sender.close()
}

const LIFE_MS = 400
const WEBHOOKS_OF_A_LIFE = 40

/** Waits until the tables of what comes from others and goes to others know no project that is gone. */
async function leftOvers(databaseUrl: string): Promise<string[]> {
  const db = await openRows(databaseUrl)
  const orphans = LEFT.map(
    (table) => `select '${table}' as name, count(*) as count from ${table}
      where project_id is not null and not exists (select 1 from project where project.id = ${table}.project_id)`,
  )
  for (const table of ['incident_chunk', 'occurrence_chunk']) {
    orphans.push(
      `select '${table}' as name, count(*) as count from ${table}
        where not exists (select 1 from incident where incident.id = ${table}.incident_id)`,
    )
  }
  orphans.push(
    `select 'signal_second' as name, count(*) as count from signal_second
      where not exists (select 1 from signal where signal.id = signal_second.signal_id)`,
  )
  let found: string[] = []
  try {
    await until(
      'nothing is left of projects that are gone',
      async () => {
        const rows = await db.rows(orphans.join(' union all '))
        found = rows.flatMap(({ name, count }) => (Number(count) > 0 ? [`${count} rows of ${name}`] : []))
        return found.length === 0
      },
      { withinMs: 90_000 },
    )
    return []
  } catch {
    return found.map((what) => `${what} are left of projects that are gone`)
  } finally {
    await db.close()
  }
}

const LEFT = [
  'source',
  'source_credential',
  'api_key',
  'endpoint',
  'endpoint_secret',
  'message',
  'message_body',
  'attempt',
  'hook_request',
  'event',
  'signal',
  'occurrence',
  'incident',
  'timeline_entry',
  'log_entry',
  'shared_text',
]

function countOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
