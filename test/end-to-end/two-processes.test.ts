import type { ApiProject, ApiReceived } from '@tocsin/core'
import { describe, expect, test } from 'vitest'
import { type DatabaseKind, databaseKinds } from '../support/databases.ts'
import { reading } from '../support/reading.ts'
import { type Answer, send, type TocsinProcess } from '../support/tocsin-process.ts'
import { startOn, startSeveral } from './start-on.ts'

const ROUNDS = 5
const ALERTS = 64

/** As many processes as may share the database. */
const start: Record<DatabaseKind, () => Promise<TocsinProcess[]>> = {
  sqlite: async () => [await startOn('sqlite')],
  postgres: () => startSeveral(2),
}

describe.each(databaseKinds)(`${ALERTS} first alerts at the same time, on %s`, (kind) => {
  test('open one incident that holds them all', async () => {
    const processes = await start[kind]()
    const tocsin = processes[0]!

    for (let round = 0; round < ROUNDS; round++) {
      const { source, projectId } = await freshSource(tocsin)
      const answers = await Promise.all(
        Array.from({ length: ALERTS }, (_, n) =>
          send(sourceAt(processes[n % processes.length]!), { id: `alert-${n}`, title: `Alert ${n}` }),
        ),
      )

      expect(outcomes(answers)).toEqual({ '200 opened': 1, '200 attached': ALERTS - 1 })
      const { incidents, signals, events } = reading(tocsin, projectId)
      const found = await incidents()
      expect(found).toMatchObject([
        { status: 'open', signalCount: ALERTS, firingCount: ALERTS, eventCount: ALERTS },
      ])
      const { id } = found[0]!
      expect(new Set((await signals(id)).map(({ title }) => title)).size).toBe(ALERTS)
      expect(await events(id)).toHaveLength(ALERTS)

      function sourceAt({ address }: TocsinProcess) {
        return { ...source, url: source.url.replace(tocsin.address, address) }
      }
    }
  })

  test('of one and the same alert are stored once', async () => {
    const processes = await start[kind]()
    const { source, projectId } = await freshSource(processes[0]!)
    const answers = await Promise.all(
      Array.from({ length: ALERTS }, (_, n) => {
        const { address } = processes[n % processes.length]!
        const url = source.url.replace(processes[0]!.address, address)
        return send({ ...source, url }, { id: 'the-alert', title: 'The alert' })
      }),
    )

    expect(outcomes(answers)).toEqual({ '200 opened': 1, '200 duplicate': ALERTS - 1 })
    expect(await reading(processes[0]!, projectId).incidents()).toMatchObject([
      { signalCount: 1, eventCount: 1 },
    ])
  })
})

describe.each(databaseKinds)('alerts and recoveries that race, on %s', (kind) => {
  test('leave incidents that agree with their members', async () => {
    const processes = await start[kind]()
    const tocsin = processes[0]!

    for (let round = 0; round < ROUNDS; round++) {
      const { source, projectId } = await freshSource(tocsin)
      const answers = await Promise.all(
        Array.from({ length: ALERTS }, (_, n) => {
          // Both words of every alert go to every process.
          const id = `alert-${n % 4}`
          const action = n % 3 === 0 ? 'resolve' : 'trigger'
          const { address } = processes[(n >> 2) % processes.length]!
          const url = source.url.replace(tocsin.address, address)
          return send({ ...source, url }, { id, title: id, action })
        }),
      )
      expect(answers.filter(({ status }) => status !== 200)).toEqual([])

      const { incidents, signals, events, timeline } = reading(tocsin, projectId)
      const found = await incidents()
      expect(found.filter(({ status }) => status === 'open').length).toBeLessThanOrEqual(1)
      for (const { id, status, firingCount, eventCount } of found) {
        const firing = (await signals(id)).filter((signal) => signal.status === 'firing')
        expect(firing).toHaveLength(firingCount)
        expect(status).toBe(firingCount === 0 ? 'resolved' : 'open')
        expect(await events(id)).toHaveLength(eventCount)
        const transitions = (await timeline(id)).flatMap(({ sequence }) => sequence ?? [])
        expect(transitions).toEqual(transitions.map((_, index) => index + 1))
      }
    }
  })
})

async function freshSource(tocsin: TocsinProcess) {
  const { project } = await tocsin.api<{ project: ApiProject }>('POST', '/projects', { name: 'Race' })
  return { projectId: project.id, source: await tocsin.createSource({ adapter: 'generic' }, project.id) }
}

function outcomes(answers: readonly Answer<ApiReceived>[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { status, body } of answers) {
    const key = `${status} ${body.outcome}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}
