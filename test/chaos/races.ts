import type { ApiProject, ApiReceived, ApiSource } from '@tocsin/core'
import { openSender } from '../support/sender.ts'
import { openRows, type Rows } from './audit.ts'
import type { Fault } from './fault.ts'
import { liveMixed } from './mixture.ts'

/** First alerts of a group that come at the same moment. */
const AT_ONCE = 8
/** Rounds under way at a time. */
const ROUNDS_AT_ONCE = 4
/** How long several projects are mixed. */
const MIXED_MS_PER_RUN = 20

/** What the requests of one round are, and what must have come of it. */
interface Race {
  bodies(round: string): object[]
  /** How often each outcome must have been answered; absent where any order is right. */
  outcomes?: Record<string, number>
  events: number
  firing: number
  status: 'open' | 'resolved'
  transitions: string[]
}

const FIRST_ALERTS: Race = {
  bodies: (round) => each((n) => ({ id: `${round}-${n}`, title: `Alert ${n}`, labels: { round } })),
  outcomes: { opened: 1, attached: AT_ONCE - 1 },
  events: AT_ONCE,
  firing: AT_ONCE,
  status: 'open',
  transitions: ['opened'],
}

const SAME_EVENT: Race = {
  bodies: (round) => each(() => ({ id: round, title: 'The alert', labels: { round } })),
  outcomes: { opened: 1, duplicate: AT_ONCE - 1 },
  events: 1,
  firing: 1,
  status: 'open',
  transitions: ['opened'],
}

/** Whichever arrives first, the end is what happened last. */
const TRIGGER_THEN_RESOLVE: Race = {
  bodies: (round) => inOrder(round, ['trigger', 'resolve']),
  events: 2,
  firing: 0,
  status: 'resolved',
  transitions: ['opened', 'resolved'],
}

const RESOLVE_THEN_TRIGGER: Race = {
  bodies: (round) => inOrder(round, ['resolve', 'trigger']),
  events: 2,
  firing: 1,
  status: 'open',
  transitions: ['opened'],
}

export const races: Fault = {
  id: 'T7',
  promise:
    'processes that race over one incident open it once, tell all of it and end as the times of the sender say; they never wait for each other in a circle',
  databases: ['sqlite', 'postgres'],
  runs: 5_000,
  async run(world, runs) {
    const databaseUrl = await world.newDatabase()
    const count = world.kind === 'sqlite' ? 2 : 4
    const processes = [await world.start(databaseUrl)]
    while (processes.length < count) processes.push(await world.start(databaseUrl))
    const addresses = processes.map(({ address }) => address)
    const db = await openRows(databaseUrl)
    world.afterwards(() => db.close())

    const fewer = Math.ceil((runs * 2) / 5)
    const plan: [string, Race, number, number][] = [
      ['first alerts, 2 processes', FIRST_ALERTS, Math.ceil(runs / 2), 2],
      [`first alerts, ${count} processes`, FIRST_ALERTS, Math.floor(runs / 2), count],
      ['trigger against resolve', TRIGGER_THEN_RESOLVE, fewer, count],
      ['resolve against trigger', RESOLVE_THEN_TRIGGER, fewer, count],
      ['the same event', SAME_EVENT, fewer, count],
    ]
    const wrong: string[] = []
    for (const [name, race, rounds, among] of plan) {
      const { project } = await processes[0]!.api<{ project: ApiProject }>('POST', '/projects', { name })
      const { source, secret } = await processes[0]!.api<{ source: ApiSource; secret: string }>(
        'POST',
        `/projects/${project.id}/sources`,
        { adapter: 'generic', settings: { grouping: 'key', groupBy: ['round'] } },
      )
      const path = new URL(source.url).pathname
      const found = await runRaces(
        race,
        rounds,
        addresses.slice(0, among).map((address) => address + path),
        secret,
      )
      found.push(...(await judge(db, project.id, race, rounds)))
      wrong.push(...found.map((line) => `${name}: ${line}`))
      world.say(`${name}: ${rounds} rounds`)
    }
    const figures = [
      `${plan.map(([name, , rounds]) => `${name} ${rounds} rounds`).join('; ')}: ` +
        `${wrong.length === 0 ? 'each is one incident that ended as the times of its sender say, its timeline complete; 0 answers but 2xx' : 'see below'}`,
    ]
    if (world.kind === 'postgres') {
      const mixed = await liveMixed(world, databaseUrl, processes, Math.max(2_000, runs * MIXED_MS_PER_RUN))
      for (const process of processes) await process.stop()
      // What a connection counted is there for certain when it has ended.
      const [row] = await db.rows('select deadlocks from pg_stat_database where datname = current_database()')
      const deadlocks = Number(row!.deadlocks)
      figures.push(mixed.figure, `${deadlocks} deadlocks`)
      wrong.push(...mixed.wrong)
      if (deadlocks > 0) wrong.push(`PostgreSQL ended ${deadlocks} deadlocks`)
    }
    return { figure: figures.join('; '), wrong }
  },
}

/** Sends every body of a round at the same moment, to the processes in turns. */
async function runRaces(race: Race, rounds: number, urls: string[], secret: string): Promise<string[]> {
  const sender = openSender()
  const headers = { 'content-type': 'application/json', 'x-webhook-secret': secret }
  const wrong: string[] = []
  let next = 0
  const worker = async () => {
    while (next < rounds) {
      const round = next++
      const answers = await Promise.all(
        race
          .bodies(`round-${round}`)
          .map((body, n) =>
            sender.post({ url: urls[(round + n) % urls.length]!, headers, body: JSON.stringify(body) }),
          ),
      )
      const refused = answers.filter(({ status }) => status !== 200)
      if (refused.length > 0) wrong.push(`round ${round}: ${refused[0]!.status} ${refused[0]!.body}`)
      const outcomes = Object.groupBy(answers, ({ body }) => (JSON.parse(body) as ApiReceived).outcome)
      for (const [outcome, times] of Object.entries(race.outcomes ?? {})) {
        const had = outcomes[outcome as ApiReceived['outcome']]?.length ?? 0
        if (had !== times) wrong.push(`round ${round}: "${outcome}" ${had} times instead of ${times}`)
      }
    }
  }
  await Promise.all(Array.from({ length: ROUNDS_AT_ONCE }, worker))
  sender.close()
  return wrong
}

/** Reads what was stored: one incident per round, all its events told of, its end as the times say. */
async function judge(db: Rows, projectId: string, race: Race, rounds: number): Promise<string[]> {
  const incidents = await db.rows(
    `select id, status, event_count,
       firing_critical + firing_high + firing_medium + firing_low + firing_info as firing
     from incident where project_id = '${projectId}'`,
  )
  const events = await db.rows(`select id, incident_id from event where project_id = '${projectId}'`)
  const entries = await db.rows(
    `select incident_id, kind, event_ids, sequence from timeline_entry where project_id = '${projectId}' order by id`,
  )
  const wrong: string[] = []
  if (incidents.length !== rounds) wrong.push(`${incidents.length} incidents after ${rounds} rounds`)
  if (events.length !== rounds * race.events) wrong.push(`${events.length} events after ${rounds} rounds`)

  const eventsOf = Map.groupBy(events, (event) => event.incident_id)
  const entriesOf = Map.groupBy(entries, (entry) => entry.incident_id)
  const right = { status: race.status, firing: race.firing, transitions: race.transitions, isComplete: true }
  const others = incidents.flatMap(({ id, status, firing, event_count }) => {
    const own = (eventsOf.get(id) ?? []).map((event) => event.id)
    const timeline = entriesOf.get(id) ?? []
    const transitions = timeline.filter(({ sequence }) => sequence !== null)
    const told = timeline
      .filter(({ kind }) => kind === 'context')
      .flatMap(({ event_ids }) => JSON.parse(event_ids as string) as string[])
    const isComplete =
      Number(event_count) === own.length &&
      JSON.stringify(told.toSorted()) === JSON.stringify(own.toSorted()) &&
      transitions.every(({ sequence }, at) => Number(sequence) === at + 1)
    const is = {
      status,
      firing: Number(firing),
      transitions: transitions.map(({ kind }) => kind),
      isComplete,
    }
    return JSON.stringify(is) === JSON.stringify(right) ? [] : [is]
  })
  if (others.length > 0) {
    const [is, must] = [others[0], right].map((one) => JSON.stringify(one))
    wrong.push(`${others.length} incidents did not end as they must, such as ${is} instead of ${must}`)
  }
  return wrong
}

function each<T>(make: (n: number) => T): T[] {
  return Array.from({ length: AT_ONCE }, (_, n) => make(n))
}

/** These words of one alert, each a second later than the one before. */
function inOrder(round: string, actions: string[]): object[] {
  const began = Date.now() - 60_000
  return actions.map((action, at) => ({
    id: round,
    title: 'The alert',
    labels: { round },
    action,
    time: new Date(began + at * 1000).toISOString(),
  }))
}
