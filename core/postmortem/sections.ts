import type { ApiPostmortemFacts } from '../api-types.ts'
import { isQuery } from './facts.ts'
import { SLOW_DETECTION_MS } from './gaps.ts'
import { codeBlock, type SectionWriter, tableHead, type Writing } from './page.ts'
import { areSame, OWN_CLOCK } from './reading.ts'
import { called, clock, count, dateAtTime, duration, list, onlyDay, quote } from './words.ts'

/** An acknowledgement within this time is told as one that went well. */
const PROMPT_MS = 15 * 60_000

/** Sections for those who run the systems. Each sentence says what vouches for it. */

export const summary: SectionWriter = (writing) => {
  const { facts, page } = writing
  const { counts, evidenceIds } = facts
  const sources = facts.sources.slice(0, 5).map(({ name }) => called(name))
  const opening = openingWords(writing)
  return {
    heading: 'Summary',
    isProse: true,
    lines: [
      [
        ...(facts.drill ? [page.sentence('This was a drill')] : []),
        page.sentence(`On ${dateAtTime(facts.detectedAt)}, ${opening}`, evidenceIds.detectedAt),
        ...(counts.signals > 1
          ? [
              page.sentence(
                `In all, ${count(counts.signals, 'signal')} fired, reported by ${list(sources)}${facts.sources.length > sources.length ? ' and others' : ''}`,
                idsOf([...facts.signals.slice(0, 3), ...facts.sources]),
              ),
            ]
          : []),
        ...(opening.includes(`(${facts.severity})`) ? [] : [severityWords(writing)]),
        // Where no section on detection follows.
        ...(writing.template === 'standard' ? [] : described(writing).slice(0, 1)),
        acknowledgement(writing),
        ending(writing),
      ].join(' '),
      // The sum is in the summary, and no section on the impact follows.
      ...(writing.template === 'five_whys' && facts.stretches.length > 1
        ? ['', ...bullets(openWords(writing))]
        : []),
    ],
  }
}

export const impact: SectionWriter = (writing) => {
  const { facts, page } = writing
  const { evidenceIds } = facts
  const lines = [
    facts.services.length > 0
      ? page.sentence(
          `Services named by the alerts: ${list(facts.services.map(quote))}`,
          evidenceIds.services,
        )
      : page.sentence('No alert names a service'),
    severityWords(writing),
    ...(facts.customerImpact
      ? [page.sentence('A sender said that customers are affected', evidenceIds.customerImpact)]
      : []),
    ...facts.errors.flatMap((error) => errorCount(writing, error)),
    ...openWords(writing),
  ]
  return { heading: 'Impact', isProse: true, lines: bullets(lines) }
}

export const detection: SectionWriter = (writing) => {
  const { facts, page } = writing
  const { evidenceIds } = facts
  const day = dayOf(facts)
  const start =
    facts.timeToDetectMs < 1000
      ? [page.sentence(`It was detected at once, at ${clock(facts.detectedAt, day)}`, evidenceIds.detectedAt)]
      : [
          page.sentence(
            `The earliest signal fired at ${clock(facts.startedAt, day)}, by the sender's clock`,
            evidenceIds.startedAt,
          ),
          page.sentence(
            `The first alert arrived at ${clock(facts.detectedAt, day)}, ${duration(facts.timeToDetectMs)} after the start`,
            evidenceIds.detectedAt,
          ),
        ]
  return {
    heading: 'Detection',
    lines: [
      ...bullets([...start, ...described(writing), ...measured(writing)]),
      ...facts.errors.flatMap((error) => errorPlace(writing, error)),
    ],
  }
}

export const timeline: SectionWriter = ({ facts, timeline, page }) => {
  const day = dayOf(facts)
  return {
    heading: 'Timeline',
    lines: [
      ...tableHead('Time (UTC)', 'What happened', 'Evidence'),
      ...timeline.map(({ at, text, evidenceIds }) => page.row([clock(at, day), text], evidenceIds)),
    ],
  }
}

export const signals: SectionWriter = ({ facts, page }) => {
  if (facts.signals.length === 0) return { heading: 'Signals', lines: [] }
  const { counts } = facts
  const day = dayOf(facts)
  const left = counts.signals - facts.signals.length
  return {
    heading: 'Signals',
    lines: [
      ...(left > 0
        ? [page.sentence(`The first ${facts.signals.length} of ${count(counts.signals, 'signal')}`), '']
        : []),
      page.sentence("Times in this table are by the senders' clocks where they gave them"),
      '',
      ...tableHead(
        'Signal',
        'Source',
        'Severity',
        'Fired first',
        'Firings',
        'Recovered',
        'Firing for',
        'Evidence',
      ),
      ...facts.signals.map((signal) =>
        page.row(
          [
            quote(signal.title),
            called(signal.source),
            signal.severity,
            clock(signal.firedAt, day),
            String(signal.firings),
            recoveryWords(signal, day),
            signal.recoveredAt === null ? '' : duration(signal.firingMs),
          ],
          signal.evidenceIds,
        ),
      ),
    ],
  }
}

export const response: SectionWriter = ({ facts, page }) => {
  const lines = facts.actions.flatMap(({ at, kind, by, text, stillFiring, evidenceIds }) => {
    const who = by.type === 'key' ? quote(by.name) : called(by.name)
    const when = `at ${timeWords(facts, at, evidenceIds)}`
    if (kind === 'note') return [page.sentence(`${who} noted ${when}: ${quote(text!)}`, evidenceIds)]
    if (by.type !== 'key' && kind !== 'acknowledged') return []
    if (kind === 'acknowledged' && by.type !== 'key')
      return [page.sentence(`It was acknowledged in ${who} ${when}`, evidenceIds)]
    const left = stillFiring ? ` while ${count(stillFiring, 'signal')} still fired` : ''
    return [page.sentence(`${who} ${kind} it ${when}${left}`, evidenceIds)]
  })
  return {
    heading: 'Response',
    isProse: true,
    lines: lines.length > 0 ? bullets(lines) : [page.sentence('No action of a person is recorded')],
  }
}

export const factors: SectionWriter = ({ facts, related, page }) => {
  const [first] = facts.signals
  const shared = related.filter(({ why }) => why.startsWith('“'))
  const guesses = [
    ...(first && facts.counts.signals > 1
      ? [
          page.sentence(
            `${quote(first.title)} fired first, at ${timeWords(facts, first.firedAt, first.evidenceIds)}: what caused it may have caused the others`,
            first.evidenceIds,
          ),
        ]
      : []),
    ...facts.errors.flatMap(({ release, stackTrace: [frame], evidenceIds }) => [
      ...(release === null
        ? []
        : [
            page.sentence(
              `The error came from release ${quote(release)}: a change in it may have brought it`,
              evidenceIds,
            ),
          ]),
      ...(frame === undefined
        ? []
        : [
            page.sentence(
              `The failure was raised in ${quote(frame)}: the fault may lie there or in what it calls`,
              evidenceIds,
            ),
          ]),
    ]),
    ...facts.coFiring.map(({ signals: [a, b], references }) =>
      page.sentence(
        `${quote(a)} and ${quote(b)} may share a cause: they also fired together in ${list(references)}`,
        related.filter(({ reference }) => references.includes(reference)).map(({ id }) => id),
      ),
    ),
    ...(shared.length > 0
      ? [
          page.sentence(
            `A cause of ${list(shared.map(({ reference }) => reference))} may remain: signals of this incident fired there too`,
            shared.map(({ id }) => id),
          ),
        ]
      : []),
    ...facts.signals
      .filter(({ firings }) => firings > 2)
      .slice(0, 3)
      .map(({ title, firings, evidenceIds }) =>
        page.sentence(
          `${quote(title)} fired ${count(firings, 'time')}: what it watches was unstable, or its threshold is too close`,
          evidenceIds,
        ),
      ),
  ]
  return {
    heading: 'Contributing factors (hypotheses)',
    isProse: true,
    lines:
      guesses.length > 0
        ? [
            'None of these is established. Each needs somebody to confirm it or to strike it out.',
            '',
            ...bullets(guesses),
          ]
        : ['The records suggest none.'],
  }
}

export const wentWell: SectionWriter = ({ facts, page }) => {
  const { evidenceIds, counts } = facts
  const told = facts.signals.filter(({ recovery }) => recovery === 'reported')
  const lines = [
    ...(facts.timeToDetectMs < 60_000 && facts.signals.length > 0
      ? [
          page.sentence(
            `The first alert arrived ${duration(facts.timeToDetectMs)} after the start`,
            evidenceIds.detectedAt,
          ),
        ]
      : []),
    ...(facts.timeToAcknowledgeMs !== null && facts.timeToAcknowledgeMs <= PROMPT_MS
      ? [
          page.sentence(
            `It was acknowledged ${duration(facts.timeToAcknowledgeMs)} after detection`,
            evidenceIds.acknowledgedAt,
          ),
        ]
      : []),
    ...(facts.sources.length > 1
      ? [
          page.sentence(
            `${count(facts.sources.length, 'source')} saw it, each in its own way`,
            idsOf(facts.sources),
          ),
        ]
      : []),
    ...(told.length > 0 && told.length === counts.signals
      ? [
          page.sentence(
            'Every recovery was reported by its sender',
            told.flatMap((s) => s.evidenceIds.slice(-1)).slice(0, 3),
          ),
        ]
      : []),
  ]
  return { heading: 'What went well', isProse: true, lines: bullets(lines) }
}

export const wentBadly: SectionWriter = ({ facts, related, page }) => {
  const { evidenceIds, counts } = facts
  const left = facts.actions.findLast(({ kind, stillFiring }) => kind === 'resolved' && stillFiring)
  const lines = [
    ...(facts.timeToDetectMs >= SLOW_DETECTION_MS
      ? [
          page.sentence(
            `The first alert arrived only ${duration(facts.timeToDetectMs)} after the start`,
            evidenceIds.detectedAt,
          ),
        ]
      : []),
    ...(facts.timeToAcknowledgeMs !== null && facts.timeToAcknowledgeMs > PROMPT_MS
      ? [
          page.sentence(
            `It was acknowledged only ${duration(facts.timeToAcknowledgeMs)} after detection`,
            evidenceIds.acknowledgedAt,
          ),
        ]
      : []),
    ...(facts.acknowledgedAt === null && facts.status === 'resolved'
      ? [page.sentence('It was resolved without anybody acknowledging it', evidenceIds.resolvedAt)]
      : []),
    ...(left
      ? [
          page.sentence(
            `It was resolved by hand while ${count(left.stillFiring!, 'signal')} still fired`,
            left.evidenceIds,
          ),
        ]
      : []),
    ...(counts.reopenings > 0
      ? [page.sentence(`It was reopened ${count(counts.reopenings, 'time')}`, reopeningIds(facts))]
      : []),
    ...(counts.inferredRecoveries > 0
      ? [
          page.sentence(
            `The end of ${count(counts.inferredRecoveries, 'signal')} had to be inferred`,
            inferredIds(facts),
          ),
        ]
      : []),
    ...(facts.services.length === 0 ? [page.sentence('No alert names a service')] : []),
    ...(related.length > 0
      ? [
          page.sentence(
            `It may not be the first of its kind: see ${list(related.map(({ reference }) => reference))}`,
            related.map(({ id }) => id),
          ),
        ]
      : []),
  ]
  return { heading: 'What went badly', isProse: true, lines: bullets(lines) }
}

export const actions: SectionWriter = ({ facts, related, page }) => {
  const inferred = facts.signals.filter(({ recovery }) => recovery === 'inferred')
  const flapping = facts.signals.filter(({ firings }) => firings > 2)
  const tasks = [
    'Find the cause and remove it',
    ...(facts.acknowledgedAt === null ? ['Agree on who acknowledges alerts like these'] : []),
    ...(facts.services.length === 0 ? ['Give the alerts a label that names their service'] : []),
    ...inferred
      .slice(0, 3)
      .map(({ title, source }) => `Let ${called(source)} report when ${quote(title)} recovers`),
    ...flapping
      .slice(0, 3)
      .map(({ title }) => `Find out why ${quote(title)} comes and goes, or change its threshold`),
    ...(related.length > 0
      ? [
          `Compare with ${list(related.map(({ reference }) => reference))}, and see whether what was decided there was done`,
        ]
      : []),
  ]
  return {
    heading: 'Actions',
    lines: [
      'Proposed from the facts alone. Each needs an owner and a date.',
      '',
      ...tasks.map((task) => `- [ ] ${page.sentence(`${task} (owner: open, due: open)`)}`),
    ],
  }
}

export const fiveWhys: SectionWriter = ({ facts, page }) => {
  const [error] = facts.errors
  const notes = facts.actions.filter(({ kind }) => kind === 'note').slice(0, 3)
  const known = [
    ...(error?.culprit
      ? [page.sentence(`The error was seen in ${quote(error.culprit)}`, error.evidenceIds)]
      : []),
    ...notes.map(({ by, text, evidenceIds }) =>
      page.sentence(`${quote(by.name)} noted: ${quote(text!)}`, evidenceIds),
    ),
  ]
  return {
    heading: 'Five whys (hypotheses)',
    lines: [
      'Each answer becomes the next question. Stop where an answer is something that can be changed.',
      '',
      `1. Why did ${page.sentence(quote(facts.title)).slice(0, -1)} ${facts.signals.length > 0 ? 'fire' : 'happen'}? ${known.join(' ') || 'The records do not say.'} Answer: open.`,
      '2. Why was that possible? Answer: open.',
      '3. Why was it not prevented? Answer: open.',
      '4. Why was it not noticed before it did harm? Answer: open.',
      '5. Why does the way we work allow that? Answer: open.',
    ],
  }
}

export const questions: SectionWriter = ({ gaps, page }) => ({
  heading: 'Open questions',
  lines: gaps.map(({ section, question }) => `- ${section}: ${page.sentence(question).slice(0, -1)}`),
})

export const earlierIncidents: SectionWriter = ({ related, page }) => ({
  heading: 'Earlier incidents',
  lines: bullets(
    related.map(({ id, reference, title, why }) =>
      page.sentence(`${reference}, ${quote(title)}: ${why}`, [id]),
    ),
  ),
})

// ---- parts of sentences ----

/** `Grafana reported “…” firing (critical), and INC-002 was opened`. */
function openingWords({ facts, reference }: Writing): string {
  const [id] = facts.evidenceIds.detectedAt
  const item = facts.evidence.find((one) => one.id === id)
  if (!item || item.kind === 'timeline') return `${reference} was opened by hand: ${quote(facts.title)}`
  return `${item.text.replace(/\.$/, '')}, and ${reference} was opened`
}

function acknowledgement({ facts, page }: Writing): string {
  if (facts.acknowledgedAt === null) return page.sentence('No acknowledgement is recorded')
  const action = facts.actions.find(({ kind }) => kind === 'acknowledged')
  const who =
    action?.by.type === 'key' ? ` by ${quote(action.by.name)}` : action ? ` in ${called(action.by.name)}` : ''
  return page.sentence(
    `It was acknowledged${who} at ${timeWords(facts, facts.acknowledgedAt, facts.evidenceIds.acknowledgedAt)}, ${duration(facts.timeToAcknowledgeMs!)} after detection`,
    facts.evidenceIds.acknowledgedAt,
  )
}

function ending({ facts, page }: Writing): string {
  const { counts, evidenceIds } = facts
  const again =
    counts.reopenings > 0 ? `, after it had been reopened ${count(counts.reopenings, 'time')}` : ''
  if (facts.resolvedAt === null) {
    const firing = counts.firing > 0 ? `: ${count(counts.firing, 'signal')} still firing` : ''
    return page.sentence(`It is not resolved${firing}`)
  }
  const isByHand = facts.stretches.at(-1)?.resolution === 'by_hand'
  const how = isByHand ? 'resolved by hand at' : 'resolved at'
  const why = isByHand ? '' : ', when nothing fired any more'
  const when = timeWords(facts, facts.resolvedAt, evidenceIds.resolvedAt)
  const recordedAt = facts.evidence.find(({ id }) => id === evidenceIds.resolvedAt[0])?.at
  const recorded =
    when.endsWith(SENDERS_CLOCK) && recordedAt !== undefined
      ? `, recorded at ${clock(recordedAt, dayOf(facts))}`
      : ''
  return page.sentence(
    `It was ${how} ${when}${recorded}${why}${again}; it had been open for ${duration(facts.timeToResolveMs!)}${again && ' in all'}`,
    evidenceIds.resolvedAt,
  )
}

function errorCount({ facts, page }: Writing, error: ApiPostmortemFacts['errors'][number]): string[] {
  const day = dayOf(facts)
  const seen =
    error.firstSeenAt !== null && error.lastSeenAt !== null
      ? `, first seen at ${clock(error.firstSeenAt, day)} and last at ${timeWords(facts, error.lastSeenAt, error.evidenceIds)}`
      : ''
  const users = error.users === null ? '' : ` for ${count(error.users, 'user')}`
  if (error.count === null) return []
  return [
    page.sentence(
      `${quote(error.title)} was counted ${count(error.count, 'time')}${users}${seen}`,
      error.evidenceIds,
    ),
  ]
}

function errorPlace({ page }: Writing, error: ApiPostmortemFacts['errors'][number]): string[] {
  const where = [
    ...(error.culprit === null ? [] : [`in ${quote(error.culprit)}`]),
    ...(error.release === null ? [] : [`release ${quote(error.release)}`]),
    ...(error.environment === null ? [] : [`environment ${quote(error.environment)}`]),
  ]
  const told =
    where.length === 0
      ? []
      : bullets([page.sentence(`${quote(error.title)} was seen ${where.join(', ')}`, error.evidenceIds)])
  const trace =
    error.stackTrace.length === 0
      ? []
      : [
          '',
          page.sentence('Its stack trace, innermost frame first', error.evidenceIds),
          '',
          ...codeBlock(error.stackTrace),
        ]
  return [...told, ...trace]
}

/** What the alerts said besides their titles; of errors the place is told instead. */
function described({ facts, page }: Writing): string[] {
  const errors = new Set(facts.errors.map(({ title }) => title))
  return facts.signals
    .filter(({ title, description }) => description !== null && description !== title && !errors.has(title))
    .slice(0, 5)
    .map(({ title, source, description, evidenceIds }) =>
      page.sentence(
        `${called(source)} said of ${quote(title)}: ${quote(description!)}`,
        evidenceIds.slice(0, 1),
      ),
    )
}

/** What the tools measured: of each signal and event one line, with the threshold where it has just one. */
function measured({ facts, page }: Writing): string[] {
  const { measurements } = facts
  const groups = [...Map.groupBy(measurements, ({ signal, at }) => `${signal}\n${at}`).values()]
  return groups.flatMap((group) => {
    const { signal, at, evidenceIds } = group[0]!
    const values = group.filter(({ kind }) => kind === 'value')
    const only = values.length > 0 ? group.find(isOnlyThreshold) : undefined
    const rules = group.filter((one) => one.kind !== 'value' && one !== only)
    return [
      ...(values.length === 0
        ? []
        : [`${quote(signal)} at ${timeWords(facts, at, evidenceIds)}: ${valueWords(values, only)}`]),
      ...rules.map((rule) => ruleWords(signal, rule)),
    ].map((text) => page.sentence(text, evidenceIds))
  })
}

type Measurement = ApiPostmortemFacts['measurements'][number]

function isOnlyThreshold({ kind, name }: Measurement): boolean {
  return kind === 'threshold' && name === 'threshold'
}

/** `94.2 was measured, with a threshold of 90`. */
function valueWords(values: readonly Measurement[], threshold: Measurement | undefined): string {
  const [first] = values
  const isNameless = values.length === 1 && (isQuery(first!.name) || first!.name === 'value')
  const told = isNameless
    ? `${amount(first!.value)} was measured`
    : values.map(({ name, value }) => `${quote(name)} was ${amount(value)}`).join(', ')
  return threshold === undefined ? told : `${told}, with a threshold of ${amount(threshold.value)}`
}

function ruleWords(signal: string, rule: Measurement): string {
  if (rule.kind === 'expression') return `${quote(signal)} follows the rule ${quote(String(rule.value))}`
  return isOnlyThreshold(rule)
    ? `${quote(signal)} has a threshold of ${amount(rule.value)}`
    : `${quote(signal)} has the threshold ${quote(rule.name)} ${amount(rule.value)}`
}

/** Numbers, also those that a sender gave as text, stand without quotation marks. */
function amount(value: string | number): string {
  return typeof value === 'number' || /^-?\d{1,15}(?:\.\d{1,15})?(?: ?%)?$/.test(value)
    ? String(value)
    : quote(value)
}

/** How long it was open, and each stretch that adds up to it. */
function openWords({ facts, page }: Writing): string[] {
  const { stretches, timeToResolveMs, evidenceIds } = facts
  const each = stretches.map((stretch) =>
    page.sentence(
      `Open ${span(facts, stretch)}${stretch.durationMs === null ? '' : `: ${duration(stretch.durationMs)}`}`,
      stretch.evidenceIds,
    ),
  )
  const [only] = stretches
  if (timeToResolveMs === null) return stretches.length > 1 ? each : []
  const all = `It was open for ${duration(timeToResolveMs)}`
  if (only && stretches.length === 1)
    return [page.sentence(`${all}, ${span(facts, only)}`, [...only.evidenceIds, ...evidenceIds.resolvedAt])]
  return [
    page.sentence(`${all}, in ${count(stretches.length, 'stretch', 'stretches')}`, evidenceIds.resolvedAt),
    ...each,
  ]
}

/** `from 12:00:00 to 12:04:30`, by whichever clocks. */
function span(facts: ApiPostmortemFacts, stretch: ApiPostmortemFacts['stretches'][number]): string {
  const { startedAt, resolvedAt, evidenceIds } = stretch
  const start = timeWords(facts, startedAt, evidenceIds)
  if (resolvedAt === null) return `from ${start}, not resolved`
  const end = timeWords(facts, resolvedAt, evidenceIds)
  // Said once where it is the same.
  const isOneClock = start.endsWith(SENDERS_CLOCK) && end.endsWith(SENDERS_CLOCK)
  return `from ${isOneClock ? clock(startedAt, dayOf(facts)) : start} to ${end}`
}

const SENDERS_CLOCK = " by the sender's clock"

/**
 * The clock of a time, and whose it is where neither this evidence nor an event that brought no time of its own was
 * heard of then.
 */
function timeWords(facts: ApiPostmortemFacts, time: string, evidenceIds: readonly string[]): string {
  const isOurs = facts.evidence.some(
    ({ id, kind, at, text }) =>
      areSame(at, time) && (evidenceIds.includes(id) || (kind === 'event' && !text.includes(OWN_CLOCK))),
  )
  return `${clock(time, dayOf(facts))}${isOurs ? '' : SENDERS_CLOCK}`
}

/** On which all of it happened, by any clock; nothing where it took several, and then each time has its date. */
function dayOf(facts: ApiPostmortemFacts): string {
  return onlyDay([
    facts.startedAt,
    facts.detectedAt,
    facts.acknowledgedAt,
    facts.resolvedAt,
    ...facts.stretches.flatMap(({ startedAt, resolvedAt }) => [startedAt, resolvedAt]),
    ...facts.signals.flatMap(({ firedAt, recoveredAt }) => [firedAt, recoveredAt]),
    ...facts.errors.flatMap(({ firstSeenAt, lastSeenAt }) => [firstSeenAt, lastSeenAt]),
    ...[...facts.actions, ...facts.measurements, ...facts.evidence].map(({ at }) => at),
  ])
}

function severityWords({ facts, page }: Writing): string {
  const highest = facts.signals.length > 0 ? ', the highest of its signals' : ''
  return page.sentence(`Its severity was ${facts.severity}${highest}`, facts.evidenceIds.severity)
}

function recoveryWords(
  { recoveredAt, recovery }: ApiPostmortemFacts['signals'][number],
  day: string,
): string {
  if (recoveredAt === null) return 'still firing'
  const how = recovery === 'inferred' ? ' (inferred)' : recovery === 'by_hand' ? ' (by hand)' : ''
  return `${clock(recoveredAt, day)}${how}`
}

function reopeningIds(facts: ApiPostmortemFacts): string[] {
  return facts.actions
    .filter(({ kind }) => kind === 'reopened')
    .flatMap((a) => a.evidenceIds.slice(0, 1))
    .slice(0, 3)
}

function inferredIds(facts: ApiPostmortemFacts): string[] {
  return facts.signals
    .filter(({ recovery }) => recovery === 'inferred')
    .flatMap((s) => s.evidenceIds.slice(-1))
    .slice(0, 3)
}

function idsOf(items: readonly { evidenceIds: string[] }[]): string[] {
  return items.slice(0, 3).flatMap(({ evidenceIds }) => evidenceIds.slice(0, 1))
}

export function bullets(lines: readonly string[]): string[] {
  return lines.map((line) => `- ${line}`)
}
