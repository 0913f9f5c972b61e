import Sqlite from 'better-sqlite3'
import { expect, test } from 'vitest'
import { betterStack, notification, testTocsin } from './open-test-tocsin.ts'

/** Notes every SQL text the writer's connection prepares while it runs. */
async function preparedBy(run: () => Promise<void>): Promise<Set<string>> {
  const seen = new Set<string>()
  const { prepare } = Sqlite.prototype
  Sqlite.prototype.prepare = function (this: Sqlite.Database, text: string) {
    seen.add(text)
    return prepare.call(this, text)
  } as typeof prepare
  await run().finally(() => {
    Sqlite.prototype.prepare = prepare
  })
  return seen
}

const t = testTocsin('sqlite')

test('whatever a batch asks of SQLite, an index answers', async () => {
  // Statements are prepared once per connection, so a new one is watched.
  const texts = await preparedBy(async () => {
    await t.restart()
    const project = await t.project({ plan: 'pro', policy: { resolveGraceSeconds: 1 } })
    const generic = await project.source()
    const alertmanager = await project.source('alertmanager')
    const betterstack = await project.source('betterstack')
    const startsAt = t.clock.at()
    const alerts = ['a', 'b'].map((fingerprint) => ({ fingerprint, startsAt }))
    await alertmanager.send(notification(alerts))
    await alertmanager.send(notification([{ ...alerts[0]!, endsAt: t.clock.at(1) }]))
    await betterstack.send(betterStack('started', { id: '1', monitor: 'm', startedAt: startsAt }))
    await generic.send({ id: 'x', title: 'X' }, { headers: { 'idempotency-key': 'k' } })
    await generic.send({ id: 'x', title: 'X' })
    await generic.send({ title: 'Unknown', action: 'resolve' })
    await generic.send({ id: 'late', title: 'L', time: t.clock.at(-1000) })
    await generic.send({ id: 'late', action: 'resolve', time: t.clock.at(-500) })
    await generic.send({ id: 'late', title: 'L', time: t.clock.at(-800) })
    const [incident] = await project.incidents()
    await t.admin.resolveIncident(project.id, incident!.id, {})
    await t.admin.reopenIncident(project.id, incident!.id, {})
    await t.due()
  })

  const database = new Sqlite(t.url.replace('sqlite:', ''), { readonly: true })
  const scans: string[] = []
  let explained = 0
  for (const text of texts) {
    if (!/^(select|update|delete|with)/.test(text) || /sqlite_|pragma/.test(text)) continue
    explained += 1
    const plan = database
      .prepare(`explain query plan ${text}`)
      .all(Array<unknown>(text.split('?').length - 1).fill(/json_each/.test(text) ? '[]' : null)) as {
      detail: string
    }[]
    for (const { detail } of plan) {
      // Lists of parameters and the results of subqueries are walked, never a table.
      const table = detail.match(/^SCAN (\w+)/)?.[1]
      if (
        table &&
        /^(project|source|source_credential|source_hour|source_word|api_key|hook_request|event|signal|occurrence|incident|timeline_entry|log_entry|sender_group|idempotency)$/.test(
          table,
        )
      ) {
        scans.push(`${detail}: ${text}`)
      }
    }
  }
  database.close()
  expect(scans).toEqual([])
  expect(explained).toBeGreaterThan(20)
})
