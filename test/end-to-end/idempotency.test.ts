import type { ApiIncident } from '@tocsin/core'
import { describe, expect, test } from 'vitest'
import { withHook } from '../chaos/fault.ts'
import { databaseKinds } from '../support/databases.ts'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { startOn } from './start-on.ts'

/** A worker commits by itself, and would be killed by that. */
const ROLE = { TOCSIN_ROLE: 'ingest' }

describe.each(databaseKinds)('on %s', (kind) => {
  test.each([
    ['before-commit', null],
    ['after-commit', 'true'],
    ['before-answer', 'true'],
  ])('a write killed %s is done once by its repeat, at once', async (step, replayed) => {
    const tocsin = await startOn(kind, ROLE)
    await tocsin.restart(withHook('crash-at', { CHAOS_CRASH_AT: step }))
    process.kill(tocsin.pid, 'SIGUSR2')
    await expect(open(tocsin)).rejects.toThrow()
    await until('it is killed', async () => tocsin.hasEnded())

    await tocsin.restart()
    const again = await open(tocsin)
    const { incident } = (await again.json()) as { incident: ApiIncident }
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, replayed])
    expect(await tocsin.api('GET', `/projects/${tocsin.projectId}/incidents`)).toMatchObject({
      incidents: [{ id: incident.id, title: 'Database down' }],
      total: 1,
    })
  })
})

function open(tocsin: TocsinProcess): Promise<Response> {
  return fetch(`${tocsin.address}/api/v1/projects/${tocsin.projectId}/incidents`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${tocsin.adminKey}`,
      'Content-Type': 'application/json',
      'Idempotency-Key': 'one key',
    },
    body: JSON.stringify({ title: 'Database down' }),
  })
}
