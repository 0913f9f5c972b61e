import { hash } from 'node:crypto'
import type { ApiPostmortem } from '@tocsin/core'
import { z } from 'zod'
import { bindCursor, readCursor } from '../cursor.ts'
import { cursor, defineTool, entry, incidentId, project, untrusted } from '../define-tool.ts'
import { draftParts } from '../draft-parts.ts'
import { findProject, withIncident } from '../find.ts'
import { MOST_CHARACTERS, type Presenter, type Untrusted } from '../present.ts'
import { ToolError } from '../tool-error.ts'

const TEMPLATES = ['standard', 'brief', 'five_whys'] as const
const AUDIENCES = ['internal', 'customer'] as const

/** Share of the timeline in what the facts leave, where the Markdown needs the rest. */
const FOR_TIMELINE = 0.35

/** Lists beside the Markdown: how many entries are shown, and how much of each. */
const SHOWN = {
  sources: { entries: 10, characters: 150 },
  measurements: { entries: 8, characters: 100 },
  gaps: { entries: 10, characters: 300 },
  related: { entries: 5, characters: 200 },
  unsupported: { entries: 5, characters: 300 },
}

const STRANGE: Untrusted = {
  markdown: MOST_CHARACTERS,
  'facts.measurements': SHOWN.measurements.characters,
  'facts.sources': SHOWN.sources.characters,
  'timeline[].text': 2_000,
  gaps: SHOWN.gaps.characters,
  related: SHOWN.related.characters,
  unsupported: SHOWN.unsupported.characters,
}

const text = z.string().optional()

export const draftPostmortem = defineTool({
  name: 'draft_postmortem',
  config: {
    title: 'Draft a post-mortem',
    description:
      'Draft a post-mortem from the stored facts of an incident; stores nothing. Its lines cite evidence ids (events and timeline entries of get_incident). Gaps are questions for people: never invent answers.',
    scopes: ['incidents:read'],
    input: z.strictObject({
      incidentId,
      template: z.enum(TEMPLATES).optional().describe('Default standard'),
      audience: z.enum(AUDIENCES).optional().describe('Default internal; customer names no people or hosts'),
      cursor: cursor.optional().describe('nextCursor of the result before: the next part'),
      project,
    }),
    output: z.object({
      incidentId: z.string(),
      reference: z.string(),
      template: z.string(),
      audience: z.string(),
      generatedBy: z.string(),
      fallbackReason: text,
      markdown: z.string(),
      facts: z.looseObject({}).optional(),
      timeline: z.array(entry('at', 'text')).optional(),
      gaps: z.array(z.string()).optional(),
      related: z.array(z.string()).optional(),
      unsupported: z.array(z.string()).optional(),
      complete: z.boolean(),
      nextCursor: text,
      untrusted,
    }),
    annotations: {
      readOnlyHint: true,
      destructiveHint: false,
      idempotentHint: true,
      // Where a model is configured, its endpoint is asked.
      openWorldHint: true,
    },
  },

  async handler({ incidentId, project, cursor, ...input }, context) {
    const projectId = await findProject(context, project)
    return withIncident(context, projectId, incidentId, async () => {
      const { postmortem } = await context.tocsin.draftPostmortem(projectId, incidentId, {
        ...input,
        dryRun: true,
      })
      const { parts, isCut } = partsOf(postmortem, context.presenter)
      const bound = [postmortem.incidentId, input]
      const at = cursor === undefined ? 0 : readPlace(cursor, bound, postmortem)
      const isLast = at === parts.length - 1
      const result = {
        ...parts[at],
        complete: parts.length === 1 && !isCut,
        nextCursor: isLast ? null : bindCursor(JSON.stringify([at + 1, fingerprint(postmortem)]), bound),
      }
      const gaps = postmortem.gaps.length
      const part =
        parts.length === 1
          ? ''
          : ` Part ${at + 1} of ${parts.length}, each with the evidence it cites${isLast ? '' : '; cursor reads on'}.`
      const headline = `Draft for ${postmortem.reference}, from stored facts. ${gaps} gap${gaps === 1 ? ' is a question' : 's are questions'} for people.${part}`
      return context.presenter.present(headline, result, STRANGE)
    })
  },
})

/** Room for the headline, the warning and the cursor. */
const FOR_FRAME = 1_000

/** The draft in answers that fit: facts and gaps in the first, Markdown and timeline as far as there is room. */
function partsOf(postmortem: ApiPostmortem, presenter: Presenter): { parts: object[]; isCut: boolean } {
  const size = (result: object) => {
    const { text, structured } = presenter.present('', result, STRANGE)
    return text.length + JSON.stringify(structured).length
  }
  const { head, facts, isCut } = show(postmortem)
  const markdown = draftParts(postmortem.markdown)
  let timeline = postmortem.timeline
  const parts: object[] = []
  do {
    const about = parts.length === 0 ? { ...head, ...facts } : head
    const room = MOST_CHARACTERS - FOR_FRAME - size(about)
    const share = markdown.isDone() ? room : room * FOR_TIMELINE
    const rows = timeline.slice(0, presenter.countFitting(timeline, 'timeline', STRANGE, share))
    timeline = timeline.slice(rows.length)
    const left = room - size({ timeline: rows })
    const text = markdown.isDone() ? '' : markdown.next((part) => size({ markdown: part }) <= left)
    parts.push({ ...about, markdown: text, timeline: rows })
  } while (!markdown.isDone() || timeline.length > 0)
  return { parts, isCut }
}

function readPlace(cursor: string, bound: unknown, postmortem: ApiPostmortem): number {
  const [part, draft] = JSON.parse(readCursor(cursor, bound)) as [number, string]
  if (draft === fingerprint(postmortem)) return part
  throw new ToolError(
    'invalid_cursor',
    'cursor: the draft has changed since. Call draft_postmortem again without cursor; the template "brief" is shorter.',
  )
}

function fingerprint({ markdown, timeline }: ApiPostmortem): string {
  return hash('sha256', JSON.stringify([markdown, timeline]), 'base64url').slice(0, 16)
}

/** What every answer has, and what only the first; `isCut` where not all of it is shown. */
function show({ facts, ...postmortem }: ApiPostmortem) {
  let isCut = false
  const some = (name: keyof typeof SHOWN, list: string[]) => {
    const { entries, characters } = SHOWN[name]
    isCut ||= list.length > entries || list.some((item) => item.length > characters)
    return list.slice(0, entries)
  }
  const shown = {
    facts: {
      status: facts.status,
      severity: facts.severity,
      startedAt: facts.startedAt,
      detectedAt: facts.detectedAt,
      acknowledgedAt: facts.acknowledgedAt,
      resolvedAt: facts.resolvedAt,
      timeToDetectMs: facts.timeToDetectMs,
      timeToAcknowledgeMs: facts.timeToAcknowledgeMs,
      timeToResolveMs: facts.timeToResolveMs,
      events: facts.counts.events,
      signals: facts.counts.signals,
      firing: facts.counts.firing,
      flaps: facts.counts.flaps,
      duplicates: facts.counts.duplicates,
      sources: some(
        'sources',
        facts.sources.map(({ name, adapter }) => `${name} (${adapter})`),
      ),
      measurements: some(
        'measurements',
        facts.measurements.map(({ at, kind, name, value }) => `${at} ${kind} ${name} = ${value}`),
      ),
    },
    gaps: some(
      'gaps',
      postmortem.gaps.map(({ section, question }) => `${section}: ${question}`),
    ),
    related: some(
      'related',
      postmortem.related.map(({ reference, title, why }) => `${reference} ${title}: ${why}`),
    ),
    unsupported: some(
      'unsupported',
      postmortem.unsupported.map(({ text, why }) => `${text} (${why})`),
    ),
  }
  const head = {
    incidentId: postmortem.incidentId,
    reference: postmortem.reference,
    template: postmortem.template,
    audience: postmortem.audience,
    generatedBy: postmortem.generatedBy,
    fallbackReason: postmortem.fallbackReason,
  }
  return { head, facts: shown, isCut }
}
