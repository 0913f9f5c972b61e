import type { ApiPostmortem } from '@tocsin/core'
import { z } from 'zod'
import { defineTool, entry, project, untrusted } from '../define-tool.ts'
import { findProject, withIncident } from '../find.ts'
import { MOST_CHARACTERS, type Untrusted } from '../present.ts'

const TEMPLATES = ['standard', 'brief', 'five_whys'] as const
const AUDIENCES = ['internal', 'customer'] as const

/** The text stands twice in a result; the facts and the timeline need the rest. */
const MOST_MARKDOWN = 9_000
const FOR_TIMELINE = MOST_CHARACTERS - 2 * MOST_MARKDOWN - 7_000

const STRANGE: Untrusted = {
  markdown: MOST_MARKDOWN,
  'facts.measurements': 100,
  'facts.sources': 100,
  'timeline[].text': 300,
  gaps: 300,
  related: 200,
  unsupported: 300,
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
      incidentId: z.string().describe('Id, or reference such as INC-042'),
      template: z.enum(TEMPLATES).optional().describe('Default standard'),
      audience: z.enum(AUDIENCES).optional().describe('Default internal; customer names no people or hosts'),
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
      facts: z.looseObject({}),
      timeline: z.array(entry('at', 'text')).optional(),
      gaps: z.array(z.string()).optional(),
      related: z.array(z.string()).optional(),
      unsupported: z.array(z.string()).optional(),
      complete: z.boolean(),
      untrusted,
    }),
    annotations: {
      readOnlyHint: true,
      destructiveHint: false,
      idempotentHint: true,
      openWorldHint: false,
    },
  },

  async handler({ incidentId, project, ...input }, context) {
    const projectId = await findProject(context, project)
    return withIncident(context, projectId, incidentId, async () => {
      const { postmortem } = await context.tocsin.draftPostmortem(projectId, incidentId, {
        ...input,
        dryRun: true,
      })
      const timeline = postmortem.timeline.map(({ evidenceIds, ...line }) => ({
        ...line,
        evidenceIds: evidenceIds.slice(0, 5),
      }))
      const fitting = context.presenter.countFitting(timeline, 'timeline', STRANGE, FOR_TIMELINE)
      const complete = fitting === timeline.length && postmortem.markdown.length <= MOST_MARKDOWN
      const headline = `Draft for ${postmortem.reference}, from stored facts. ${postmortem.gaps.length} gaps are questions for people.`
      const result = { ...show(postmortem), timeline: timeline.slice(0, fitting), complete }
      return context.presenter.present(headline, result, STRANGE)
    })
  },
})

function show({ facts, ...postmortem }: ApiPostmortem) {
  return {
    incidentId: postmortem.incidentId,
    reference: postmortem.reference,
    template: postmortem.template,
    audience: postmortem.audience,
    generatedBy: postmortem.generatedBy,
    fallbackReason: postmortem.fallbackReason,
    markdown: postmortem.markdown,
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
      sources: facts.sources.slice(0, 10).map(({ name, adapter }) => `${name} (${adapter})`),
      measurements: facts.measurements
        .slice(0, 8)
        .map(({ at, kind, name, value }) => `${at} ${kind} ${name} = ${value}`),
    },
    gaps: postmortem.gaps.slice(0, 10).map(({ section, question }) => `${section}: ${question}`),
    related: postmortem.related
      .slice(0, 5)
      .map(({ reference, title, why }) => `${reference} ${title}: ${why}`),
    unsupported: postmortem.unsupported.slice(0, 5).map(({ text, why }) => `${text} (${why})`),
  }
}
