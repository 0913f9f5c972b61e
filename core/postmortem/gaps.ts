import type { ApiPostmortem, ApiPostmortemAudience } from '../api-types.ts'
import type { Findings } from './facts.ts'
import { count, duration, list, quote } from './words.ts'

/** An alert that arrives this long after the start is worth a question. */
export const SLOW_DETECTION_MS = 5 * 60_000

/** What the records cannot know, as questions to whoever was there. */
export function findGaps(findings: Findings, audience: ApiPostmortemAudience): ApiPostmortem['gaps'] {
  const questions = audience === 'customer' ? customerQuestions(findings) : internalQuestions(findings)
  return questions.flatMap(([section, question]) => (question === null ? [] : [{ section, question }]))
}

type Questions = [section: string, question: string | null][]

function internalQuestions({ facts }: Findings): Questions {
  const { counts } = facts
  const inferred = facts.signals.filter(({ recovery }) => recovery === 'inferred')
  const left = facts.actions.findLast(({ kind, stillFiring }) => kind === 'resolved' && stillFiring)
  const flapping = facts.signals.filter(({ firings }) => firings > 2)
  return [
    [
      'Summary',
      facts.status === 'resolved'
        ? null
        : 'The incident is not resolved. What is the state now, and what is tried next?',
    ],
    [
      'Impact',
      facts.services.length > 0 ? null : 'No service is named by any alert. Which services were affected?',
    ],
    [
      'Impact',
      facts.customerImpact
        ? 'A sender said that customers were affected. How many were, and what did they see?'
        : 'No sender said whether customers were affected. Were they, how many, and what did they see?',
    ],
    [
      'Detection',
      facts.timeToDetectMs < SLOW_DETECTION_MS
        ? null
        : `The first alert arrived ${duration(facts.timeToDetectMs)} after the start. What held it up?`,
    ],
    [
      'Detection',
      counts.withoutTime === 0
        ? null
        : `${count(counts.withoutTime, 'event')} came without a usable time, so the time of arrival stands. When did it happen?`,
    ],
    [
      'Signals',
      inferred.length === 0
        ? null
        : `The recovery of ${list(inferred.slice(0, 3).map(({ title }) => quote(title)))}${inferred.length > 3 ? ' and others' : ''} was inferred, not reported. When did it really end?`,
    ],
    [
      'Signals',
      flapping.length === 0
        ? null
        : `${list(flapping.slice(0, 3).map(({ title, firings }) => `${quote(title)} fired ${count(firings, 'time')}`))}. Was it one outage or several?`,
    ],
    [
      'Response',
      facts.acknowledgedAt !== null
        ? null
        : 'No acknowledgement is recorded. Who took this up first, and when?',
    ],
    [
      'Response',
      counts.notes > 0 ? null : 'Nobody left a note. What was tried, what helped, and who helped?',
    ],
    [
      'Response',
      left === undefined
        ? null
        : `It was resolved by hand while ${count(left.stillFiring!, 'signal')} still fired: had they ended, or were they left?`,
    ],
    [
      'Response',
      counts.reopenings === 0
        ? null
        : `It was reopened ${count(counts.reopenings, 'time')}. Why did the first recovery not last?`,
    ],
    ['Contributing factors', 'What caused it? The alerts tell what was seen, not why.'],
    ['Actions', 'What would have prevented it, or made it shorter? Who does that, and by when?'],
  ]
}

function customerQuestions({ facts }: Findings): Questions {
  return [
    ['Summary', facts.status === 'resolved' ? null : 'When is the next word to be expected?'],
    ['Summary', facts.services.length > 0 ? null : 'Which part of the service was affected?'],
    ['Impact', 'How many customers were affected, and what did they see?'],
    ['Cause', 'What caused it, in a sentence that needs no knowledge of our systems?'],
    ['Actions', 'What is done so that it does not happen again, and by when?'],
  ]
}
