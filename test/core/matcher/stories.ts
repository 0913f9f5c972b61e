import fc from 'fast-check'
import type { RequestDecision } from '../../../core/matcher/decide-request.ts'
import { SEVERITIES, type Severity } from '../../../core/types.ts'
import {
  MINUTE,
  type Project,
  type ProjectOptions,
  type Said,
  withEpisodes,
  withIds,
  withTimes,
  withTitles,
} from './harness.ts'

/** Any story of senders and people, for properties that hold after each of them. */

export const prom = withEpisodes('prom')
const kuma = withTimes('kuma')
const generic = withIds('generic')
const titles = withTitles('generic')

/** Plain data, so that a counterexample can be read. */
export type Word =
  | { by: 'prom'; kind: 'fire' | 'recover' | 'ack' | 'reopen'; key: string; start: number; drill?: true }
  | {
      by: 'kuma'
      kind: 'fire' | 'refresh' | 'recover' | 'ack' | 'info'
      key: string
      ago: number
      severity: Severity
    }
  | { by: 'generic' | 'titles'; kind: 'fire' | 'recover'; key: string; drill?: true }

export type Step = { after: number } & (
  | { do: 'receive'; words: Word[] }
  | {
      do: 'group'
      status: 'firing' | 'resolved'
      listed: { key: string; start: number }[]
      truncated: number
    }
  | { do: 'acknowledge' | 'resolve' | 'reopen'; number: number }
  | { do: 'open'; takesAlerts: boolean }
  | { do: 'tick' }
)

const key = fc.constantFrom('A', 'B', 'C')
const start = fc.constantFrom(0, 100, 200, 300)
const drill = fc.constant(true as const)

export const promWord: fc.Arbitrary<Word> = fc.record(
  {
    by: fc.constant('prom' as const),
    kind: fc.constantFrom('fire', 'recover', 'fire', 'recover', 'reopen' as const),
    key,
    start,
    drill,
  },
  { requiredKeys: ['by', 'kind', 'key', 'start'] },
)
export const ackWord: fc.Arbitrary<Word> = fc.record({
  by: fc.constant('prom' as const),
  kind: fc.constant('ack' as const),
  key,
  start,
})
export const kumaWord: fc.Arbitrary<Word> = fc.record({
  by: fc.constant('kuma' as const),
  kind: fc.constantFrom('fire', 'recover', 'fire', 'recover', 'refresh', 'ack', 'info' as const),
  key,
  ago: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 10 * MINUTE })),
  severity: fc.constantFrom(...SEVERITIES),
})
const genericWord: fc.Arbitrary<Word> = fc.record(
  {
    by: fc.constantFrom('generic', 'titles' as const),
    kind: fc.constantFrom('fire', 'recover' as const),
    key,
    drill,
  },
  { requiredKeys: ['by', 'kind', 'key'] },
)

/** Mostly seconds apart, sometimes longer than a window of the rules. */
const after = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 60 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 20 }).map((minutes) => minutes * MINUTE) },
  { weight: 1, arbitrary: fc.constant(25 * 60 * MINUTE) },
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('receive' as const),
      after,
      words: fc.oneof(
        // A notification lists an alert once.
        fc.uniqueArray(promWord, { minLength: 1, maxLength: 3, selector: (word) => word.key }),
        // Other senders send one event at a time.
        fc.tuple(kumaWord),
        fc.tuple(ackWord),
        fc.tuple(genericWord),
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('group' as const),
      after,
      status: fc.constantFrom('firing', 'resolved' as const),
      listed: fc.uniqueArray(fc.record({ key, start }), {
        minLength: 1,
        maxLength: 3,
        selector: (l) => l.key,
      }),
      truncated: fc.constantFrom(0, 0, 2),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('acknowledge', 'resolve', 'reopen' as const),
      after,
      number: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('open' as const), after, takesAlerts: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tick' as const), after }) },
)

export const story = fc.array(step, { minLength: 1, maxLength: 25 })

export const options: fc.Arbitrary<ProjectOptions> = fc.record({
  grouping: fc.constantFrom('project', 'project', 'signal'),
  hourlyLimit: fc.constantFrom(undefined, undefined, 5),
  policy: fc.record(
    {
      resolveGraceMs: fc.constant(60_000),
      reopenWindowMs: fc.constant(0),
      attachWindowMs: fc.constant(null),
      resolveScope: fc.constant('incident' as const),
      strictExternalId: fc.constant(true),
    },
    { requiredKeys: [] },
  ),
}) as fc.Arbitrary<ProjectOptions>

/** Plays a story; `check` sees the project after every step, and what the step was. */
export function play(
  project: Project,
  steps: readonly Step[],
  check: (project: Project, step: Step, now: number) => void,
): void {
  let now = 1000
  for (const step of steps) {
    now += step.after
    take(project, step, now)
    check(project, step, now)
  }
}

export function take(project: Project, step: Step, now: number): RequestDecision | undefined {
  switch (step.do) {
    case 'receive':
      return project.receive(now, ...step.words.map((word) => say(word, now)))
    case 'group': {
      const { status, listed, truncated } = step
      const said = listed.map((l) =>
        prom[status === 'firing' ? 'fire' : 'recover'](l.key, { start: l.start }),
      )
      const fingerprint = JSON.stringify([status, listed])
      return project.request(now, said, { group: { status, truncated, fingerprint, greatestEndsAt: now } })
    }
    case 'open':
      project.open(now, { takesAlerts: step.takesAlerts })
      return undefined
    case 'tick':
      project.tick(now)
      return undefined
    default:
      if (project.state(step.number)) project[step.do](now, step.number)
      return undefined
  }
}

export function say(word: Word, now: number): Said {
  switch (word.by) {
    case 'prom': {
      const { kind, key, start, drill } = word
      if (kind !== 'reopen') {
        return prom[kind](key, { start, time: kind === 'fire' ? start : now, drill: drill === true })
      }
      return prom.fire(key, { start, time: now, reopen: true, eventId: `reopened ${now}` })
    }
    case 'kuma':
      return kuma[word.kind](word.key, { time: now - word.ago, severity: word.severity })
    case 'generic':
      return generic[word.kind](word.key, { title: `Title ${word.key}`, drill: word.drill === true })
    case 'titles':
      return titles[word.kind](`Title ${word.key}`, { drill: word.drill === true })
  }
}
