import { adapterSlugs } from '@tocsin/core'
import { describe, expect, test } from 'vitest'
import { NO_SETTINGS } from '../../core/policy.ts'
import { run, statement } from '../../core/store/statement.ts'
import { databaseKinds } from '../support/databases.ts'
import { MINUTE, refusal, testTocsin } from './open-test-tocsin.ts'

/** As a release wrote them that did not look. */
const storeSettings = statement<{ id: string; settings: string }, unknown>((db, p) =>
  db
    .updateTable('source')
    .set({ settings: p('settings') })
    .where('id', '=', p('id')),
)

const GIVEN = 'made-by-the-sender-itself'

describe.each(databaseKinds)('the settings of a source on %s', (kind) => {
  const t = testTocsin(kind)
  const { clock } = t

  /** An issue of Sentry, of the project with this slug. */
  function issue(slug: string, fields: object = {}) {
    return {
      action: 'created',
      data: { issue: { id: clock.at(), title: 'E', project: { slug }, ...fields } },
    }
  }

  test('that the tool does not read are refused by name, and stay where an older release took them', async () => {
    const project = await t.project()
    const cases = [
      [
        'datadog',
        { mapping: { title: 'json(a)' } },
        /^settings\.mapping: .* only by grafana-irm and generic/,
      ],
      ['grafana', { sentryProject: 'shop' }, /^settings\.sentryProject: .* only by sentry/],
    ] as const
    for (const [adapter, settings, expected] of cases) {
      const refused = await refusal(project.source(adapter, { settings }))
      expect([refused.code, refused.message]).toEqual(['invalid_request', expect.stringMatching(expected)])
      const source = await project.source(adapter)
      expect((await refusal(source.set(settings))).message).toMatch(expected)
      await source.set({ mapping: null, sentryProject: null })

      const stored = JSON.stringify({ ...NO_SETTINGS, ...settings })
      await t.database.transaction(() => run(storeSettings, { id: source.id, settings: stored }))
      await source.set({ grouping: 'signal' })
      await source.set({ ...settings, grouping: 'key' })
    }
  })

  describe('a secret that the sender made', () => {
    test.each(['sentry', 'grafana', 'generic'])('counts for %s from the creation on', async (adapter) => {
      const project = await t.project()
      const source = await project.source(adapter, { secret: GIVEN })
      expect(source.secret).toBe(GIVEN)
      const body = adapter === 'sentry' ? issue('shop') : { title: 'Down', ruleId: 1, state: 'alerting' }
      expect((await source.send(body)).outcome).toBe('opened')
      const wrong = await refusal(source.send(body, { secret: GIVEN.slice(1) }))
      expect(wrong.code).toBe('unauthorized')
    })

    test('counts after a rotation, beside the old one for the overlap', async () => {
      const project = await t.project()
      const source = await project.source('sentry')
      const rotated = await t.admin.rotateSource(project.id, source.id, { secret: GIVEN, overlapMinutes: 5 })
      expect(rotated.secret).toBe(GIVEN)
      for (const secret of [GIVEN, source.secret]) {
        expect((await source.send(issue('shop'), { secret })).success).toBe(true)
      }
      clock.pass(6 * MINUTE)
      expect((await source.send(issue('shop'), { secret: GIVEN })).success).toBe(true)
      const old = await refusal(source.send(issue('shop'), { secret: source.secret }))
      expect(old.code).toBe('unauthorized')
    })

    test('is refused where it cannot guard anything, and the one there is stays', async () => {
      const project = await t.project()
      const source = await project.source('sentry')
      for (const secret of ['', 'short', ` ${GIVEN}`, `${GIVEN}\n`]) {
        const refused = await refusal(t.admin.rotateSource(project.id, source.id, { secret }))
        expect([refused.code, refused.message]).toEqual([
          'invalid_request',
          expect.stringMatching(/^secret: needs at least 8 characters and no space at its ends/),
        ])
        await refusal(project.source('sentry', { secret }))
      }
      expect((await source.send(issue('shop'))).outcome).toBe('opened')
      const token = await project.source('betterstack')
      const guessable = await refusal(t.admin.rotateSource(project.id, token.id, { secret: 'too-short' }))
      expect(guessable.message).toMatch(/^secret: what alone tells the source must be random/)
    })
  })

  test("Sentry's project filter takes its own project and drops the others, without a slot or an incident", async () => {
    const project = await t.project({ plan: 'pro' })
    const source = await project.source('sentry', { settings: { sentryProject: 'shop' } })
    expect(await source.send(issue('blog'))).toMatchObject({ outcome: 'filtered', incident: null })
    expect(await project.incidents()).toEqual([])
    expect((await source.send(issue('shop'))).outcome).toBe('opened')
    await source.set({ sentryProject: null })
    clock.pass(1)
    expect((await source.send(issue('blog'))).outcome).toBe('attached')
  })

  test('defaults stand in for what a body leaves out, and give way to what it says', async () => {
    const project = await t.project({ policy: { grouping: 'signal' } })
    const source = await project.source('generic', {
      settings: {
        defaults: { severity: 'low', services: ['shop'], labels: { team: 'web', env: 'prod' }, drill: false },
      },
    })
    const made = async (body: object) => project.incident((await source.send(body)).incident?.id)
    expect(await made({ title: 'Bare' })).toMatchObject({
      severity: 'low',
      services: ['shop'],
      labels: { team: 'web', env: 'prod' },
      drill: false,
    })
    expect(
      await made({ title: 'Told', severity: 'critical', services: ['api'], labels: { env: 'test' } }),
    ).toMatchObject({ severity: 'critical', services: ['api'], labels: { team: 'web', env: 'test' } })
  })

  test('with drill as the default everything of a source is a drill, apart from real alerts', async () => {
    const project = await t.project()
    const source = await project.source()
    const real = await source.send({ id: 'a', title: 'A' })
    await source.set({ defaults: { drill: true } })
    const drill = await source.send({ id: 'a', title: 'A', drill: false })
    expect(drill).toMatchObject({ outcome: 'opened' })
    expect(await project.incident(drill.incident?.id)).toMatchObject({ drill: true })
    expect((await source.send({ id: 'a', action: 'resolve' })).incident?.id).toBe(drill.incident?.id)
    expect(await project.incident(real.incident?.id)).toMatchObject({ status: 'open', drill: false })
  })

  test.each([...adapterSlugs])('the steps to set up %s have the address filled in', async (adapter) => {
    const project = await t.project()
    const { source } = await t.admin.createSource(project.id, { adapter })
    const steps = source.setup.map(({ step }) => step).join('\n')
    expect(source.url).toMatch(/^https:\/\/tocsin\.example\//)
    expect(steps).toContain(source.url)
    expect(steps).not.toContain('{url}')
  })
})
