import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RULES } from '../../../core/matcher/rules.ts'
import { OUTCOMES, SEVERITIES } from '../../../core/types.ts'
import { iso, Project, type Said } from './harness.ts'
import { ackWord, kumaWord, options, play, prom, promWord, say, story, take } from './stories.ts'

/** Enough for every shape of a short story; seeds of failures are printed by fast-check. */
const RUNS = { numRuns: 1000 }

// ---- I1 ----

/** Events of timed, named episodes, as they happened: starts differ, recoveries may lie after the next start. */
const episodes = fc
  .uniqueArray(
    fc.record({
      key: fc.constantFrom('A', 'B', 'C'),
      start: fc.integer({ min: 0, max: 100 }),
      recovery: fc.option(fc.integer({ min: -5, max: 120 }), { nil: null }),
      sent: fc.integer({ min: 0, max: 3 }),
    }),
    { minLength: 1, maxLength: 7, selector: ({ key, start }) => `${key} ${start}` },
  )
  .map((all) =>
    all.flatMap(({ key, start, recovery, sent }) => [
      // A fire that is sent again has the same time, but may be a notification of its own.
      ...Array.from({ length: sent }, (_, i) =>
        prom.fire(key, { start, eventId: `${key} ${start} ${i % 2}` }),
      ),
      ...(recovery === null ? [] : [prom.recover(key, { start, time: start + recovery })]),
    ]),
  )

const inAnyOrder = <T>(all: T[]): fc.Arbitrary<T[]> =>
  fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length })

/** What I1 promises: per signal its episodes, when they fired and recovered, and whose word that is. */
function occurrencesOf(project: Project): unknown[] {
  return project
    .all()
    .filter((o) => o.firedAt !== null)
    .map((o) => ({
      signal: o.signalId,
      episode: o.episode,
      firedAt: o.firedAt,
      recoveredAt: o.recoveredAt,
      inferred: o.recoveredAt !== null && o.closedBy !== 'recover',
    }))
    .sort((a, b) => (`${a.signal} ${a.firedAt}` < `${b.signal} ${b.firedAt}` ? -1 : 1))
}

/** The same, from the events alone: what I1's result has to be. */
function occurrencesByHand(events: readonly Said[]): unknown[] {
  const fires = events.filter((e) => e.kind === 'fire')
  const fired = [...new Map(fires.map((e) => [`${e.key} ${e.start}`, e])).values()]
  return fired
    .map(({ key, start, fields }) => {
      const own = events.find((e) => e.kind === 'recover' && e.key === key && e.start === start)
      const next = fired
        .filter((e) => e.key === key && e.start! > start!)
        .reduce((least, e) => Math.min(least, e.start!), Infinity)
      const recoveredAt = own ? Math.max(own.time as number, start!) : next < Infinity ? next : null
      return {
        signal: `prom/${key}/false`,
        episode: fields.episode,
        firedAt: iso(start!),
        recoveredAt: recoveredAt === null ? null : iso(recoveredAt),
        inferred: recoveredAt !== null && own === undefined,
      }
    })
    .sort((a, b) => (`${a.signal} ${a.firedAt}` < `${b.signal} ${b.firedAt}` ? -1 : 1))
}

test('I1 the same events in any order give the same occurrences', () => {
  fc.assert(
    fc.property(
      episodes.chain((events) => inAnyOrder(events)),
      fc.constantFrom('project', 'signal'),
      fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 40, maxLength: 40 }),
      (events, grouping, gaps) => {
        const project = new Project({ grouping })
        let arrival = 300
        events.forEach((event, i) => {
          arrival += gaps[i]!
          project.receive(arrival, event)
        })
        expect(occurrencesOf(project)).toEqual(occurrencesByHand(events))
      },
    ),
    RUNS,
  )
})

test('I1 holds however the events are spread over requests', () => {
  fc.assert(
    fc.property(
      episodes.chain((events) => inAnyOrder(events)),
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 40, maxLength: 40 }),
      (events, sizes) => {
        const project = new Project()
        const rest = [...events]
        for (let i = 0; rest.length > 0; i++) project.receive(300 + i, ...rest.splice(0, sizes[i]!))
        expect(occurrencesOf(project)).toEqual(occurrencesByHand(events))
      },
    ),
    RUNS,
  )
})

// ---- I2 to I6: any story of senders and people ----

/** Everything a replay must leave as it is. */
function stateOf(project: Project): unknown {
  return structuredClone({
    occurrences: project.all(),
    incidents: [...project.picture.incidents.values()],
    timeline: project.picture.timeline,
  })
}

test('I2 replaying the last request changes nothing', () => {
  fc.assert(
    fc.property(story, options, (steps, how) => {
      const project = new Project(how)
      play(project, steps, (_, step, now) => {
        if (step.do !== 'receive' && step.do !== 'group') return
        const before = stateOf(project)
        take(project, step, now)
        expect(stateOf(project)).toEqual(before)
      })
    }),
    RUNS,
  )
})

test('I2 replaying any event that has a time changes nothing, while T2 calls it a straggler', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          word: fc.oneof(promWord, kumaWord, ackWord),
          after: fc.integer({ min: 1, max: 40 }),
          again: fc.nat(),
        }),
        { minLength: 1, maxLength: 20 },
      ),
      (steps) => {
        const project = new Project()
        const past: Said[] = []
        let now = 1000
        for (const { word, after, again } of steps) {
          now += after
          past.push(say(word, now))
          project.receive(now, past.at(-1)!)

          const before = stateOf(project)
          project.receive(now, past[again % past.length]!)
          expect(stateOf(project)).toEqual(before)
        }
      },
    ),
    RUNS,
  )
})

describe('after any story', () => {
  const holds = (name: string, check: (project: Project) => void) =>
    test(name, () => {
      fc.assert(
        fc.property(story, options, (steps, how) => play(new Project(how), steps, check)),
        RUNS,
      )
    })

  holds('I3 at most one incident per key takes new alerts', (project) => {
    const keys = [...project.picture.incidents.values()]
      .filter((incident) => incident.acceptsNew)
      .map((incident) => incident.groupKey)
    expect(keys).toEqual([...new Set(keys)])
    for (const incident of project.picture.incidents.values()) {
      if (incident.status === 'resolved') expect(incident.acceptsNew).toBe(false)
    }
  })

  holds('I4 nothing fires in a resolved incident, and one signal fires once', (project) => {
    const firing = project.all().filter((o) => o.firedAt !== null && o.recoveredAt === null)
    for (const o of firing) expect(project.picture.incidents.get(o.incidentId!)!.status).not.toBe('resolved')
    const signals = firing.map((o) => o.signalId)
    expect(signals).toEqual([...new Set(signals)])
  })

  holds('I5 transitions are opened, acknowledged?, resolved, then reopened …, without gaps', (project) => {
    for (const incident of project.picture.incidents.values()) {
      const sent = project.picture.timeline.filter(
        (entry) => entry.incidentId === incident.id && entry.sequence !== null,
      )
      expect(sent.map((entry) => entry.kind).join(' ')).toMatch(
        /^opened( acknowledged)?( resolved( reopened( acknowledged)? resolved)*( reopened( acknowledged)?)?)?$/,
      )
      expect(sent.map((entry) => entry.sequence)).toEqual(sent.map((_, i) => i + 1))
      const words = { opened: 'open', acknowledged: 'acknowledged', resolved: 'resolved', reopened: 'open' }
      expect(incident.status).toBe(words[sent.at(-1)!.kind as keyof typeof words])
    }
  })

  holds('counts equal a recount', (project) => {
    const { events, usedOrphans } = project.picture
    for (const incident of project.picture.incidents.values()) {
      const own = project.all().filter((o) => o.incidentId === incident.id)
      const firing = own.filter((o) => o.recoveredAt === null)
      for (const s of SEVERITIES) {
        expect(incident.firing[s]).toBe(firing.filter((o) => o.severity === s).length)
      }
      expect(incident.signalCount).toBe(new Set(own.map((o) => o.signalId)).size)
      expect(incident.eventCount).toBe(
        events.filter((event) => event.incidentId === incident.id).length +
          usedOrphans.filter((orphan) => orphan.incidentId === incident.id).length,
      )
      expect(project.picture.firingOf(incident.id)).toHaveLength(firing.length)
    }
  })

  holds('occurrences lie in time, and their incident starts with the first', (project) => {
    for (const o of project.all()) {
      if (o.firedAt !== null && o.recoveredAt !== null) expect(o.recoveredAt >= o.firedAt).toBe(true)
      const incident = o.incidentId === null ? undefined : project.picture.incidents.get(o.incidentId)
      if (o.firedAt !== null) expect(incident!.startedAt <= o.firedAt).toBe(true)
    }
    for (const incident of project.picture.incidents.values())
      expect(incident.durationMs).toBeGreaterThanOrEqual(0)
  })

  test('I6 every event has exactly one outcome of the list, by rules that are named', () => {
    fc.assert(
      fc.property(story, options, (steps, how) => {
        const project = new Project(how)
        let now = 1000
        for (const step of steps) {
          now += step.after
          const stored = project.picture.events.length
          const answer = take(project, step, now)
          if (!answer) continue
          expect(OUTCOMES).toContain(answer.outcome)
          const kept = answer.events.map((e) => e.outcome).filter((o) => o !== 'duplicate' && o !== 'parked')
          expect(project.picture.events.slice(stored).map((e) => e.outcome)).toEqual(kept)
        }
        for (const { outcome, receipt } of project.picture.events) {
          expect(OUTCOMES).toContain(outcome)
          for (const rule of receipt) expect(RULES).toHaveProperty(rule)
        }
      }),
      RUNS,
    )
  })
})
