import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { databaseKinds } from '../support/databases.ts'
import { payload } from './adapters/payload.ts'
import { MINUTE, type TestSource, testTocsin } from './open-test-tocsin.ts'

/** Longer than a fire of a closed episode counts as stale (matching.md T2). */
const LATE = 20 * MINUTE

describe.each(databaseKinds)('a delivery that comes again after the recovery, on %s', (kind) => {
  const t = testTocsin(kind)

  async function send(source: TestSource, body: unknown) {
    const text = JSON.stringify(body)
    const hmac = createHmac('sha256', source.secret).update(text).digest('hex')
    const { outcome, events } = await source.send(text, {
      headers: {
        'content-type': 'application/json',
        'x-uptimera-signature': hmac,
        'x-pagerduty-signature': `v1=${hmac}`,
      },
    })
    return [outcome, events[0]?.rule]
  }

  /** What becomes of a firing, its recovery, and the firing once more. */
  async function sendAgain(source: TestSource, fire: unknown, recover: unknown) {
    const first = await send(source, fire)
    t.clock.pass(MINUTE)
    const second = await send(source, recover)
    t.clock.pass(LATE)
    return [first, second, await send(source, fire)]
  }

  const once = (rule: string) => [
    ['opened', 'M4'],
    ['resolved', 'R1'],
    ['duplicate', rule],
  ]

  test.each([
    ['uptimera', 'opened', 'resolved'],
    ['betterstack', 'started', 'resolved'],
    ['pagerduty', 'triggered', 'resolved'],
    ['datadog', 'triggered', 'recovered'],
  ])(
    'D1 of %s is known by what it calls the change, with its times and without',
    async (tool, fire, recover) => {
      const bodies = [payload(`${tool}/${fire}`), payload(`${tool}/${recover}`)] as const
      const timed = await (await t.project()).source(tool)
      expect(await sendAgain(timed, ...bodies)).toEqual(once('D1'))
      const timeless = await (await t.project()).source(tool)
      expect(await sendAgain(timeless, withoutTimes(bodies[0]), withoutTimes(bodies[1]))).toEqual(once('D1'))
    },
  )

  test('D2 an event of CloudEvents is known by source and id, alone and in another batch', async () => {
    const source = await (await t.project()).source('cloudevents')
    const event = (id: string, word: string, subject = 'search') => ({
      specversion: '1.0',
      id,
      source: '/checks',
      type: `com.example.check.${word}`,
      subject,
    })
    expect(await sendAgain(source, event('1', 'opened'), event('2', 'resolved'))).toEqual(once('D2'))
    const { events } = await source.send([event('1', 'opened'), event('3', 'opened', 'login')])
    expect(events.map(({ outcome }) => outcome)).toEqual(['duplicate', 'opened'])
    // Another event of the same thing is the next outage; so is one of another source that counts likewise.
    expect((await send(source, event('4', 'opened')))[0]).toBe('opened')
    await send(source, event('5', 'resolved'))
    t.clock.pass(LATE)
    expect((await send(source, { ...event('1', 'opened'), source: '/probes' }))[0]).toBe('opened')
  })

  test('an incident that was reopened twice in its tool is opened twice, though the bodies are the same', async () => {
    const source = await (await t.project()).source('betterstack')
    for (let left = 2; left > 0; left--) {
      expect((await send(source, payload('betterstack/reopened')))[0]).toBe('opened')
      t.clock.pass(MINUTE)
      const resolved = JSON.stringify(payload('betterstack/resolved'))
      const now = resolved.replace(/("resolved_at":)"[^"]*"/, `$1"${t.clock.at()}"`)
      expect((await send(source, JSON.parse(now)))[0]).toBe('resolved')
      t.clock.pass(LATE)
    }
  })
})

/** As a sender that names its times in a way we do not know. */
function withoutTimes(body: unknown): unknown {
  return JSON.parse(JSON.stringify(body), (name, value) =>
    /^(time|date|timestamp|\w+_at)$/.test(name) ? undefined : value,
  )
}
