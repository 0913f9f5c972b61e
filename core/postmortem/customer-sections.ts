import type { SectionWriter } from './page.ts'
import { bullets } from './sections.ts'
import { count, dateAtTime, dateTime, duration, list, quote } from './words.ts'

/** Sections for customers: plain words, written from findings that hold nothing of the inside. */

export const summary: SectionWriter = ({ facts, page }) => {
  const what = facts.services.length > 0 ? ` with ${list(facts.services.map(quote))}` : ''
  const sentences = [
    page.sentence(`On ${dateAtTime(facts.startedAt)}, a problem${what} began`, facts.evidenceIds.startedAt),
    page.sentence(
      facts.timeToDetectMs < 1000
        ? 'We noticed it at once'
        : `We noticed it ${duration(facts.timeToDetectMs)} later`,
      facts.evidenceIds.detectedAt,
    ),
    facts.resolvedAt === null
      ? page.sentence('It is not over yet')
      : page.sentence(
          `It was over on ${dateAtTime(facts.resolvedAt)}, after ${duration(facts.timeToResolveMs!)}`,
          facts.evidenceIds.resolvedAt,
        ),
    ...(facts.counts.reopenings > 0
      ? [
          page.sentence(
            `In between it came back ${count(facts.counts.reopenings, 'time')}`,
            facts.evidenceIds.resolvedAt,
          ),
        ]
      : []),
  ]
  return { heading: 'Summary', isProse: true, lines: [sentences.join(' ')] }
}

export const impact: SectionWriter = ({ facts, page }) => {
  const users = facts.errors.filter((error) => error.users !== null)
  const lines = users.map(({ users, evidenceIds }) =>
    page.sentence(`We counted ${count(users!, 'user')} who met an error`, evidenceIds),
  )
  return {
    heading: 'Impact',
    isProse: true,
    lines: lines.length > 0 ? bullets(lines) : ['Our records do not say how many customers were affected.'],
  }
}

export const timeline: SectionWriter = ({ timeline, page }) => ({
  heading: 'Timeline',
  lines: bullets(
    timeline.map(({ at, text, evidenceIds }) =>
      page.sentence(`${dateTime(at)} UTC: ${text.replace(/\.$/, '')}`, evidenceIds),
    ),
  ),
})

export const questions: SectionWriter = ({ gaps }) => ({
  heading: 'To be answered before this is sent',
  lines: gaps.map(({ section, question }) => `- ${section}: ${question}`),
})
