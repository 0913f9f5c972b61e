import type { ApiPostmortemAudience, ApiPostmortemTemplate } from '../api-types.ts'
import { forCustomers } from './audience.ts'
import type { Findings } from './facts.ts'
import { findGaps } from './gaps.ts'
import { escapeMarkdown, Page, type Section, type Writing } from './page.ts'
import { brief } from './templates/brief.ts'
import { fiveWhys } from './templates/five-whys.ts'
import { standard } from './templates/standard.ts'
import type { Template } from './templates/template.ts'
import { dateTime, quote } from './words.ts'

const TEMPLATES: Record<ApiPostmortemTemplate, Template> = { standard, brief, five_whys: fiveWhys }

export interface Draft extends Findings {
  gaps: Writing['gaps']
  markdown: string
}

/** A draft with what its page is made of, for whoever writes a part of it anew. */
export interface DraftPage {
  draft: Draft
  sections: Section[]
  /** Labels of the evidence cited in the sections. */
  labels: { label: string; id: string }[]
}

/** Writes the page. Deterministic: the same findings give the same text. */
export function writeDraft(all: Findings, form: Form): Draft {
  return writePage(all, form).draft
}

interface Form {
  template: ApiPostmortemTemplate
  audience: ApiPostmortemAudience
}

/** As `writeDraft`, with the parts of the page. */
export function writePage(all: Findings, { template, audience }: Form): DraftPage {
  const findings = audience === 'customer' ? forCustomers(all) : all
  const gaps = findGaps(findings, audience)
  const page = new Page()
  const writing: Writing = { ...findings, template, audience, gaps, page }
  const sections = TEMPLATES[template][audience]
    .map((write) => write(writing))
    .filter(({ lines }) => lines.length > 0)
  const labels = page.cited()
  const markdown = pageText(findings, {
    title:
      audience === 'customer'
        ? `# ${findings.reference}: what happened`
        : `# Post-mortem of ${findings.reference}: ${escapeMarkdown(quote(findings.facts.title))}`,
    origin: 'Drafted from recorded events.',
    times:
      audience === 'customer'
        ? 'Times are UTC.'
        : "Times are UTC, by Tocsin's clock where no sender's is named.",
    sections,
    labels,
  })
  return { draft: { ...findings, gaps, markdown }, sections, labels }
}

/** The whole page; `origin` says who wrote it, `times` by which clocks. */
export function pageText(
  findings: Findings,
  page: {
    title: string
    origin: string
    times: string
    sections: readonly Section[]
    labels: DraftPage['labels']
  },
): string {
  const lines = [
    page.title,
    '',
    `${page.origin} A mark like [E1] names the evidence, listed at the end. ${page.times}`,
    '',
    ...page.sections.flatMap(({ heading, lines }) => [`## ${heading}`, '', ...lines, '']),
    ...evidenceList(findings, page.labels),
  ]
  return `${lines.join('\n').trimEnd()}\n`
}

/** `cited` by label; ids lead to events, timeline entries and earlier incidents of the API. */
function evidenceList(
  { facts, related }: Findings,
  cited: readonly { label: string; id: string }[],
): string[] {
  const known = new Map(facts.evidence.map((item) => [item.id, item]))
  const lines = cited.flatMap(({ label, id }) => {
    const item = known.get(id)
    const earlier = related.find((one) => one.id === id)
    if (earlier)
      return [
        `- ${label}: incident \`${id}\`: ${escapeMarkdown(`${earlier.reference}, ${quote(earlier.title)}`)}.`,
      ]
    if (!item) return []
    const what = item.kind === 'event' ? 'event' : 'timeline entry'
    return [`- ${label}: ${what} \`${id}\`, ${dateTime(item.at)}: ${escapeMarkdown(item.text)}`]
  })
  return lines.length === 0 ? [] : ['## Evidence', '', ...lines]
}
