import { describe, expect, test } from 'vitest'
import { check } from '../../../core/postmortem/check.ts'
import { type Findings, findFacts } from '../../../core/postmortem/facts.ts'
import { Project, withEpisodes } from '../matcher/harness.ts'
import { storyOf } from './story-of.ts'

/** Ten minutes of a slow checkout, acknowledged by Ada after two. */
function findings(): Findings {
  const project = new Project()
  const prom = withEpisodes('Prometheus')
  const title = 'Checkout is slow'
  project.receive(5, prom.fire('A', { start: 0, title, services: ['checkout'] }))
  project.acknowledge(130)
  project.receive(610, prom.recover('A', { start: 0, time: 600, title }))
  return findFacts(storyOf(project, 1))
}

const found = findings()

describe('what the facts say passes, in whatever words', () => {
  test.each([
    'At 12:00 UTC on 5 January 2026 the checkout became slow.',
    'On January 5th Prometheus noticed it after 5 seconds, and Ada acknowledged at 12:02.',
    'It took 10 minutes to recover. One signal fired.',
    'We think that a long-running report kept connections open. Because of that the pool was exhausted.',
    'Nobody reviewed the query before it was deployed. Therefore, customers saw error pages.',
    '- [ ] Add a time-out to the report (owner: Ada)',
    '| Add an index | Ada | next sprint |',
    'It lasted ten minutes, on a Monday in January 2026. It fired once, at noon.',
    'Its severity was high. This was not a drill. “Ada” acknowledged it at 12:02:10.',
    'It was acknowledged by Ada at 12:02. It was resolved at 12:10:00, on its own.',
    'By Friday one of us adds a check, one that nobody forgets.',
    'However, the rollback worked well. Thanks to Ada!',
    'See [the ticket](https://tracker.example.com/T-12).',
    'Read-only replicas took over. The CPU was idle, the API answered.',
  ])('%s', (text) => {
    expect(check(text, found)).toEqual([])
  })
})

describe('what they do not say is flagged, with the reason', () => {
  test.each([
    ['It began at 12:03.', 'The time 12:03 is not'],
    ['It began at 3:00 pm.', 'The time 3:00 pm is not'],
    ['It began on 6 January.', 'on 6 January.'],
    ['It began on January 7th, 2026.', 'on January 7th, 2026.'],
    ['It began on 5 January 2025.', 'on 5 January 2025.'],
    ['It lasted 11 minutes.', 'The duration 11 minutes'],
    ['It lasted 1 h 10 min.', 'The duration 1 h 10 min'],
    ['It was acknowledged less than 1 s after detection.', 'The duration 1 s'],
    ['It lasted １１ minutes.', 'The duration 11 minutes'],
    ['It lasted ১১ minutes.', 'The number ১১ is not written in the digits'],
    ['It began at １２:０３.', 'The time 12:03 is not'],
    ['It hit ４０ % of users.', 'The number 40 %'],
    ['It cost 1.000 orders.', 'The number 1000'],
    ['It cost 1\u202f000 orders.', 'The number 1000'],
    ['Redis crashed.', '“Redis” is not a name'],
    ['Cause: Redis crashed.', '“Redis” is not a name'],
    ['Bob resolved.', '“Bob” is not a name'],
    ['Bob then restarted it.', '“Bob” is not a name'],
    ['Bob quickly restarted it.', '“Bob” is not a name'],
    ['Two signals fired.', 'do not count 2 signals'],
    ['It was reopened 3 times.', 'do not count 3 times'],
    ['The error rate was 40 %.', 'The number 40 %'],
    ['It cost 1,200 orders.', 'The number 1,200'],
    ['Then Bob Miller joined.', '“Bob” is not a name'],
    ['Bob restarted it.', '“Bob” is not a name'],
    ['It was payments-api.', '“payments-api” is not a name'],
    ['It came with shop@1.4.2.', '“shop@1.4.2” is not a name'],
    ['The ledger service was slow.', '“ledger” is not a name'],
    ['It was “Disk full” again.', '“Disk full” is quoted'],
    ['It lasted three hours.', 'The duration 3 hours'],
    ['It came back two days later.', 'The duration 2 days'],
    ['It lasted a quarter of an hour.', 'The duration 15 min'],
    ['It lasted half an hour.', 'The duration 30 min'],
    ['It lasted an hour and a half.', 'The duration 90 min'],
    ['It lasted twenty-five minutes.', 'The duration 25 minutes'],
    ['Fifty customers complained.', 'do not count 50 customers'],
    ['A dozen users complained.', 'do not count 12 users'],
    ['Two hundred and fifty users complained.', 'do not count 250 users'],
    ['Half of the users saw it.', '“Half” is not'],
    ['Hundreds of users saw it.', '“Hundreds” is not'],
    ['It began at midnight.', 'The time 00:00'],
    ['It began at 3 pm.', 'The time 3:00 pm'],
    ['It began in March.', 'happened in March'],
    ['It began in December.', 'happened in December'],
    ['It began in January 2025.', 'happened in January 2025'],
    ['It began on a Tuesday.', 'happened on a Tuesday'],
    ['It fired twice.', 'do not count 2 times'],
    ['Its severity was critical.', 'severity is high, not critical'],
    ['It was a low-severity problem.', 'severity is high, not low'],
    ['It was a critical incident.', 'severity is high, not critical'],
    ['This was a drill.', 'It was no drill'],
    ['It was resolved by hand.', 'not resolved by hand'],
    ['It was resolved by Ada.', 'not recorded that this person'],
    ['“Ada” resolved it.', 'not recorded that this person'],
    ['“Prometheus” acknowledged it.', 'not recorded that this person'],
    ['It has never been closed.', 'is resolved, not open'],
    ['It was opened at 12:10:00.', 'not opened at 12:10:00'],
    ['It was acknowledged at 12:10.', 'not acknowledged at 12:10'],
    ['It was resolved by Prometheus at 12:02:10.', 'not resolved at 12:02:10'],
    ['It was detected at 12:02:10.', 'not detected at 12:02:10'],
    ['See INC-007.', 'INC-007 is not'],
    ['See [E7].', 'E7 is not in the list'],
    ['It began [E1].\n- E1: event `made-up`', 'leads to "made-up"'],
    ['```\nboom (x.py:1)\n```', 'in no stack trace'],
  ])('%s', (text, why) => {
    expect(check(text, found).map((one) => one.why)).toEqual([expect.stringContaining(why), ...more(text)])
  })

  /** The line of made-up evidence is flagged, too. */
  function more(text: string) {
    return text.includes('made-up') ? [expect.any(String)] : []
  }

  test('under a mark counts only what that evidence says', () => {
    const { evidenceIds } = found.facts
    const list = `\n- E1: event \`${evidenceIds.detectedAt[0]}\`\n- E2: timeline entry \`${evidenceIds.acknowledgedAt[0]}\``
    expect(check(`It was acknowledged at 12:02:10 [E2].${list}`, found)).toEqual([])
    expect(check(`It was acknowledged at 12:00:05 [E2].${list}`, found)).toHaveLength(1)
    expect(check(`It was detected at 12:02:10 [E1].${list}`, found)).toHaveLength(1)
  })

  test.each([
    'The outage was resolved and everybody was refunded.',
    'When the outage was resolved, all was well.',
    'The incident has ended.',
    'The outage is over.',
    'Ada acknowledged it.',
    'It was reopened.',
    'It recovered.',
  ])('an open incident that nobody took up: %s', (text) => {
    const project = new Project()
    project.receive(5, withEpisodes('Prometheus').fire('A', { start: 0, title: 'Checkout is slow' }))
    const open = findFacts(storyOf(project, 1))
    expect(check(text.replace('Ada', 'Somebody'), open)).toHaveLength(1)
    const fine =
      'It is not resolved. It will be over once it is resolved. Was it acknowledged? Nobody acknowledged it.'
    expect(check(fine, open)).toEqual([])
  })

  test.each([
    'It is not resolved.',
    'The incident is still open.',
    'It was never acknowledged.',
    'It was reopened.',
  ])('a resolved incident that Ada took up: %s', (text) => {
    expect(check(text, found)).toHaveLength(1)
    expect(check('It was resolved. Ada acknowledged it. The cause is still open.', found)).toEqual([])
  })

  test('how often one signal fired may not be said of another', () => {
    const project = new Project()
    const prom = withEpisodes('Prometheus')
    project.receive(5, prom.fire('A', { start: 0, title: 'Queue is long' }))
    for (const [i, start] of [10, 20, 30].entries()) {
      project.receive(start + 1, prom.fire('B', { start, title: 'Disk is slow' }))
      if (i < 2)
        project.receive(start + 6, prom.recover('B', { start, time: start + 5, title: 'Disk is slow' }))
    }
    const two = findFacts(storyOf(project, 1))
    expect(check('“Disk is slow” fired 3 times.', two)).toEqual([])
    expect(check('“Queue is long” fired 3 times.', two)).toHaveLength(1)
  })

  test('what people noted, resolved and practised may not be denied', () => {
    const project = new Project()
    project.receive(5, withEpisodes('Prometheus').fire('A', { start: 0, title: 'Checkout is slow' }))
    project.resolve(120)
    const byHand = findFacts(storyOf(project, 1))
    byHand.facts.counts.notes = 1
    expect(check('Nobody left a note.', byHand)).toHaveLength(1)
    expect(check('It was resolved automatically.', byHand)).toHaveLength(1)
    expect(check('It was resolved by hand. “Ada” resolved it.', byHand)).toEqual([])
    byHand.facts.drill = true
    expect(check('This was not a drill.', byHand)).toHaveLength(1)
    expect(check('This was a drill.', byHand)).toEqual([])
  })

  test('a cause in plain words is for people to judge', () => {
    expect(check('The disk was full.', found)).toEqual([])
  })
})

test('a page made to be slow is checked all the same', () => {
  const pieces = [
    '"',
    '“',
    '“x” ',
    '`',
    '1',
    '1 ',
    '1 s ',
    '1 signal ',
    '1 a signal ',
    '10 min ',
    'a.',
    'a-',
    'Aa ',
    '[E1]',
    '- E1: ',
    '12:',
    '\n',
    '|',
    ' ',
    'Bob ran. ',
    '5 January ',
  ]
  for (const piece of pieces) {
    const page = piece.repeat(100_000 / piece.length)
    expect(check(page, found).length).toBeLessThanOrEqual(200)
  }
})
