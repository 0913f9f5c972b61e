import type { ApiIncident } from '@tocsin/core'
import { describe, expect, onTestFinished, test } from 'vitest'
import { findProgram } from '../support/find-program.ts'
import { type Reading, reading } from '../support/reading.ts'
import { until } from '../support/until.ts'
import { type PostedAlert, startAlertmanager } from './alertmanager-process.ts'
import { startOn } from './start-on.ts'

const program = findProgram('prometheus-alertmanager', 'Install the Debian package of that name.')

// Where a program is missing, findProgram has said which, and how to get it.
describe.runIf(program)('a real Alertmanager', () => {
  test('opens one incident for a group, repeats it in vain, and resolves it with the last alert', async () => {
    const { alertmanager, tocsin } = await start()
    const { incidents, incident } = reading(tocsin)

    await alertmanager.post(alert('db-1'), alert('db-2'))
    const opened = await until('both alerts are in an incident', async () =>
      (await incidents()).find(({ firingCount }) => firingCount === 2),
    )
    expect(opened).toMatchObject({ reference: 'INC-001', status: 'open', signalCount: 2, eventCount: 2 })

    await staysSilentWhenRepeated(reading(tocsin), opened)

    await alertmanager.post(recovered('db-1'))
    const one = await until('the first alert has recovered', async () => {
      const now = await incident(opened.id)
      return now.firingCount === 1 && now
    })
    expect(one).toMatchObject({ status: 'open', resolvedAt: null, eventCount: 3 })
    await staysSilentWhenRepeated(reading(tocsin), one)

    await alertmanager.post(recovered('db-2'))
    const resolved = await until('the incident is resolved', async () => {
      const now = await incident(opened.id)
      return now.status === 'resolved' && now
    })
    expect(resolved).toMatchObject({ firingCount: 0, signalCount: 2, eventCount: 4, reopenCount: 0 })
    expect(await incidents()).toHaveLength(1)
  })

  test('loses nothing when Tocsin is away while an alert recovers and another one starts', async () => {
    const { alertmanager, tocsin } = await start()
    const { incidents, incident, events } = reading(tocsin)

    await alertmanager.post(alert('db-1'))
    const opened = await until('the alert is in an incident', async () => (await incidents())[0])
    expect(await tocsin.stop()).toEqual({ code: 0, signal: null })

    await alertmanager.post(recovered('db-1'), alert('db-3'))
    await until('Alertmanager has tried in vain', () => alertmanager.stderr().includes('connection refused'))
    await tocsin.restart()

    await until('the other alert has taken its place', async () => {
      const { signalCount, firingCount } = await incident(opened.id)
      return signalCount === 2 && firingCount === 1
    })
    const read = (await events(opened.id)).map(({ kind, labels }) => `${labels.instance} ${kind}`)
    expect(read.toSorted()).toEqual(['db-1 fire', 'db-1 recover', 'db-3 fire'])
    expect(await incidents()).toMatchObject([{ id: opened.id, status: 'open' }])
  })
})

async function start() {
  const tocsin = await startOn('sqlite')
  const source = await tocsin.createSource({ adapter: 'alertmanager', name: 'Production' })
  const alertmanager = await startAlertmanager(program!, source)
  onTestFinished(() => alertmanager.dispose())
  return { tocsin, alertmanager }
}

const startsAt = new Date(Date.now() - 60_000)

function alert(instance: string): PostedAlert {
  return {
    labels: { alertname: 'InstanceDown', instance, severity: 'critical' },
    annotations: { summary: `${instance} is down` },
    startsAt,
  }
}

function recovered(instance: string): PostedAlert {
  return { ...alert(instance), endsAt: new Date(Date.now() - 1_000) }
}

async function staysSilentWhenRepeated(
  { requests, incident, timeline, events }: Reading,
  before: ApiIncident,
): Promise<void> {
  const entries = await timeline(before.id)
  const seen = (await requests('outcome=duplicate')).length
  await until('the notification was repeated twice', async () => {
    const repeated = await requests('outcome=duplicate')
    return repeated.length >= seen + 2
  })
  expect(await incident(before.id)).toEqual(before)
  expect(await timeline(before.id)).toEqual(entries)
  expect(await events(before.id)).toHaveLength(before.eventCount)
}
