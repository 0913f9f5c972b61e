import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../../core/postmortem/check.ts'
import { type Draft, writeDraft } from '../../../core/postmortem/draft.ts'
import { findFacts } from '../../../core/postmortem/facts.ts'
import { durationsIn } from '../../../core/postmortem/known.ts'
import { Project } from '../matcher/harness.ts'
import { options, play, type Step, story } from '../matcher/stories.ts'
import { storyOf } from './story-of.ts'

const RUNS = { numRuns: 500 }
/** Each of them checks a whole page. */
const CHANGES = { numRuns: 200 }

const form = fc.record({
  template: fc.constantFrom('standard', 'brief', 'five_whys'),
  audience: fc.constantFrom('internal', 'customer'),
})

/** Every incident that a story of senders and people leaves. */
function incidentsOf(steps: Parameters<typeof play>[1], how: ConstructorParameters<typeof Project>[0]) {
  const project = new Project(how)
  play(project, steps, () => {})
  return project.incidents().map(({ number }) => ({ number, project, story: storyOf(project, number) }))
}

describe('after any story', () => {
  test('the draft holds nothing that the facts do not support', () => {
    fc.assert(
      fc.property(story, options, form, (steps, how, how2) => {
        for (const { story } of incidentsOf(steps, how)) {
          const draft = writeDraft(findFacts(story), how2)
          expect(check(draft.markdown, draft)).toEqual([])
        }
      }),
      RUNS,
    )
  })

  test('the same story gives the same page', () => {
    fc.assert(
      fc.property(story, options, form, (steps, how, how2) => {
        for (const { story } of incidentsOf(steps, how)) {
          const again = structuredClone(story)
          expect(writeDraft(findFacts(again), how2)).toEqual(writeDraft(findFacts(story), how2))
        }
      }),
      RUNS,
    )
  })

  test('facts say what the matcher knows', () => {
    fc.assert(
      fc.property(story, options, (steps, how) => {
        for (const { story, project, number } of incidentsOf(steps, how)) {
          const { facts } = findFacts(story)
          const state = project.state(number)
          expect(facts.counts.signals).toBe(state.signalCount)
          expect(facts.counts.reopenings).toBe(state.reopenCount)
          expect(facts.stretches).toHaveLength(Math.min(20, state.reopenCount + 1))
          expect(facts.resolvedAt).toBe(state.resolvedAt)
          if (state.acknowledgedAt !== null) expect(facts.acknowledgedAt! <= state.acknowledgedAt).toBe(true)
          const known = new Set([...story.events, ...story.timeline].map(({ id }) => id))
          expect(facts.evidence.filter(({ id }) => !known.has(id))).toEqual([])
          for (const time of ['startedAt', 'detectedAt'] as const)
            expect(facts.evidenceIds[time]).not.toEqual([])
          if (state.status === 'resolved') {
            const durations = facts.stretches.map(({ durationMs }) => durationMs)
            const sum = durations.reduce((total, ms) => total! + ms!, 0)
            if (!durations.includes(null)) expect(sum).toBe(facts.timeToResolveMs)
            else expect(durations.length).toBeGreaterThan(2)
          }
        }
      }),
      RUNS,
    )
  })
})

describe('one change to a draft is found', () => {
  /** Some of the stories begin with a signal that comes and goes beside another: else few pages count any times. */
  const says = (kind: 'fire' | 'recover', key: string, start: number): Step => ({
    do: 'receive',
    after: 20,
    words: [{ by: 'prom', kind, key, start }],
  })
  const flapping = [
    says('fire', 'A', 0),
    ...[100, 200, 300].flatMap((start) => [says('fire', 'C', start), says('recover', 'C', start)]),
  ]
  const restless = fc.tuple(fc.constantFrom([], flapping), story).map(([first, then]) => [...first, ...then])

  /** Drafts, and what to change in them: an even spread over all that matches. */
  const changed = (
    name: string,
    pattern: RegExp,
    change: (found: string, by: number) => string,
    isTrue: (draft: Draft, wrong: string, before: string) => boolean = () => false,
  ) =>
    test(name, () => {
      let made = 0
      fc.assert(
        fc.property(restless, options, fc.nat(), fc.integer({ min: 1, max: 9 }), (steps, how, place, by) => {
          for (const { story } of incidentsOf(steps, how)) {
            const draft = writeDraft(findFacts(story), { template: 'standard', audience: 'internal' })
            const found = [...draft.markdown.matchAll(pattern)]
            const match = found[place % Math.max(1, found.length)]
            if (!match) continue
            const wrong = change(match[0], by)
            // What is true elsewhere under the same evidence is no wrong statement.
            if (draft.markdown.includes(wrong)) continue
            if (isTrue(draft, wrong, draft.markdown.slice(0, match.index))) continue
            const end = match.index + match[0].length
            const text = draft.markdown.slice(0, match.index) + wrong + draft.markdown.slice(end)
            expect([match[0], wrong, check(text, draft).length > 0]).toEqual([match[0], wrong, true])
            made += 1
          }
        }),
        CHANGES,
      )
      expect(made).toBeGreaterThan(5)
    })

  const turned = (digit: string, by: number) => String((Number(digit) + by) % 10)
  changed('a time', /\b\d\d:\d\d:\d\d\b/g, (time, by) => time.slice(0, -1) + turned(time.slice(-1), by))
  changed(
    'a day',
    /\b\d{4}-\d\d-\d\d\b/g,
    (day, by) => `${day.slice(0, 3)}${turned(day[3]!, by)}${day.slice(4)}`,
  )
  changed(
    'a duration',
    /\b\d+ (?:s|min|h|d)(?: \d+ (?:s|min|h))?\b/g,
    (text, by) => text.replace(/\d+(?= \w+$)/, (number) => String(Number(number) + by * 7)),
    ({ facts }, wrong, before) => {
      const [{ ms, unit }] = durationsIn(wrong) as [ReturnType<typeof durationsIn>[number]]
      const known = Array.from(JSON.stringify(facts).matchAll(/Ms":(\d+)/g), ([, value]) => Number(value))
      // 90 s are 2 min, rounded, and 21 s are less than 22 s.
      return known.some(
        (one) =>
          Math.round(one / unit) * unit === ms ||
          Math.floor(one / unit) * unit === ms ||
          (before.endsWith('less than ') && one < ms && one >= ms - unit),
      )
    },
  )
  changed('a count of signals', /\b\d+ signals?/g, (text, by) => `${Number.parseInt(text, 10) + by} signals`)
  changed(
    'a count of times',
    /\b\d+ times?/g,
    (text, by) => `${Number.parseInt(text, 10) + by} times`,
    // Another signal of the same title may have fired as often as that.
    ({ facts }, wrong, before) => {
      const title = /“([^“”]*)” fired $/.exec(before)?.[1]
      return facts.signals.some((one) => one.title === title && one.firings === Number.parseInt(wrong, 10))
    },
  )
  changed('a name', /“[^”]+”/g, (_, by) => `“Quentin ${by}”`)
  changed('a reference', /INC-\d+/g, (_, by) => `INC-90${by}`)
  changed('a mark', /\[E\d+\]/g, (_, by) => `[E90${by}]`)
  changed('an id', /[0-9a-f-]{36}/g, (id, by) => `f${by}${id.slice(2)}`)
})
