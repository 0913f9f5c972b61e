import { randomBytes } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import { withHook } from '../chaos/fault.ts'
import { type Child, inRepository, pinnedNode, startChild, startFlags } from '../support/child.ts'
import { type DatabaseKind, databaseKinds, freshDatabase } from '../support/databases.ts'
import { scratchDir } from '../support/scratch.ts'
import { readStartUp } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'

describe.each(databaseKinds)('the first start on %s', (kind) => {
  test('killed before it printed, the next one prints the key, once', async () => {
    const start = await startsOn(kind)
    const killed = await start(
      withHook('crash-at', { CHAOS_CRASH_AT: 'before-printing', CHAOS_CRASH_FROM: 'start' }),
    )
    expect((await killed.exited).signal).toBe('SIGKILL')
    expect(killed.stdout()).not.toContain('Admin key')

    const next = await start()
    const { address, adminKey, projectId, curl } = await printed(next)
    expect(curl).toMatch(/-H 'X-Webhook-Secret: [^']+'/)
    const project = await fetch(`${address}/api/v1/projects/${projectId}`, {
      headers: { Authorization: `Bearer ${adminKey}` },
    })
    expect(project.status).toBe(200)
    await next.end('SIGTERM')

    const later = await start()
    expect((await printed(later)).adminKey).toBeUndefined()
  })
})

/** Starts the product on one fresh database, again and again. */
async function startsOn(kind: DatabaseKind): Promise<(env?: Record<string, string>) => Promise<Child>> {
  const dir = await scratchDir()
  const database = await freshDatabase(kind)
  onTestFinished(async () => {
    await database.dispose()
    dir.remove()
  })
  const shared = {
    TOCSIN_PORT: '0',
    TOCSIN_DATA_DIR: dir.path,
    DATABASE_URL: database.url,
    TOCSIN_SECRET_KEY: randomBytes(32).toString('base64'),
  }
  return async (env = {}) => {
    const child = await startChild(pinnedNode, [...startFlags, inRepository('ingest/main.ts')], {
      cwd: dir.path,
      env: { ...shared, ...env },
    })
    onTestFinished(async () => {
      if (child.exit() === undefined) await child.end('SIGKILL')
    })
    return child
  }
}

/** What a start prints, once it has. */
function printed(child: Child) {
  return until('it has printed', () => readStartUp(child.stdout()), { withinMs: 60_000 })
}
