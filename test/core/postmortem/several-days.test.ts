import { describe, expect, test } from 'vitest'
import { check } from '../../../core/postmortem/check.ts'
import { writeDraft } from '../../../core/postmortem/draft.ts'
import { findFacts } from '../../../core/postmortem/facts.ts'
import { Project, withEpisodes } from '../matcher/harness.ts'
import { storyOf } from './story-of.ts'

const HOUR = 3600
const title = 'Checkout is slow'

/** The stories begin on 2026-01-05 at 12:00; seconds from then on. */
function outage(times: { start: number; heard: number; acknowledged: number; end: number; ended: number }) {
  const project = new Project()
  const prom = withEpisodes('Prometheus')
  project.receive(times.heard, prom.fire('A', { start: times.start, title }))
  project.acknowledge(times.acknowledged)
  project.receive(times.ended, prom.recover('A', { start: times.start, time: times.end, title }))
  return findFacts(storyOf(project, 1))
}

const FORMS = (['standard', 'brief', 'five_whys'] as const).flatMap((template) =>
  (['internal', 'customer'] as const).map((audience) => ({ template, audience })),
)

describe.each([
  [
    'heard after midnight',
    { start: 12 * HOUR - 120, heard: 12 * HOUR + 30, acknowledged: 12 * HOUR + 130 },
    { end: 12 * HOUR + 600, ended: 12 * HOUR + 610 },
    ['2026-01-05', '23:58:00'],
    ['2026-01-06', '00:10:00'],
  ],
  [
    'resolved after midnight',
    { start: 11 * HOUR, heard: 11 * HOUR + 5, acknowledged: 11 * HOUR + 60 },
    { end: 12 * HOUR + 600, ended: 12 * HOUR + 610 },
    ['2026-01-05', '23:00:00'],
    ['2026-01-06', '00:10:00'],
  ],
  [
    'begun months before it was heard of',
    { start: -97 * 24 * HOUR, heard: 30, acknowledged: 130 },
    { end: 600, ended: 610 },
    ['2025-09-30', '12:00:00'],
    ['2026-01-05', '12:10:00'],
  ],
])('an outage %s', (_, begun, over, [startDay, startClock], [endDay, endClock]) => {
  const findings = outage({ ...begun, ...over })

  test.each(FORMS)('has each of its times with the date, $template for $audience', (form) => {
    const draft = writeDraft(findings, form)
    const [told = ''] = draft.markdown.split('## Evidence')
    expect(told).toMatch(new RegExp(`${startDay} (?:at )?${startClock}`))
    expect(told).toMatch(new RegExp(`${endDay} (?:at )?${endClock}`))
    expect(draft.markdown.replace(/\d{4}-\d\d-\d\d (?:at )?\d\d:\d\d:\d\d/g, '')).not.toMatch(
      /\d\d:\d\d:\d\d/,
    )
    expect(check(draft.markdown, draft)).toEqual([])
  })
})

describe('a day and a time of day of one phrase are judged together', () => {
  const findings = outage({
    start: 12 * HOUR - 120,
    heard: 12 * HOUR + 30,
    acknowledged: 12 * HOUR + 130,
    end: 12 * HOUR + 600,
    ended: 12 * HOUR + 610,
  })

  test.each([
    'On 2026-01-06, at 23:58, it began.',
    'It began on 2026-01-06 at 23:58:00.',
    'It began at 2026-01-06T23:58.',
    'On 6 January at 23:58 it began.',
    'It began on January 6th at 23:58.',
    'It began at 23:58 on Tuesday.',
    'It began at 23:58 UTC on 6 January 2026.',
    'It was resolved on 5 January at 00:10.',
    'It was resolved on Monday, at 00:10.',
  ])('%s: flagged', (text) => {
    expect(check(text, findings).map(({ why }) => why)).toEqual([expect.stringContaining('The time ')])
  })

  test.each([
    'On 2026-01-05, at 23:58, it began.',
    'It began at 2026-01-05T23:58.',
    'It began on January 5th at 23:58, on Tuesday at 00:10 it was resolved.',
    'It began at 23:58 on Monday and was resolved at 00:10 UTC on 6 January 2026.',
    'On Monday it began, at 23:58. It was resolved on Tuesday at 00:10.',
  ])('%s: passes', (text) => {
    expect(check(text, findings)).toEqual([])
  })
})
