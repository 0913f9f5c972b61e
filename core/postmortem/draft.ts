import type { ApiPostmortemAudience, ApiPostmortemTemplate } from '../api-types.ts'
import { forCustomers } from './audience.ts'
import type { Findings } from './facts.ts'
import { findGaps } from './gaps.ts'
import { escapeMarkdown, Page, type Writing } from './page.ts'
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

/** Writes the page. Deterministic: the same findings give the same text. */
export function writeDraft(
  all: Findings,
  { template, audience }: { template: ApiPostmortemTemplate; audience: ApiPostmortemAudience },
): Draft {
  const findings = audience === 'customer' ? forCustomers(all) : all
  const gaps = findGaps(findings, audience)
  const page = new Page()
  const writing: Writing = { ...findings, template, audience, gaps, page }
  const sections = TEMPLATES[template][audience]
    .map((write) => write(writing))
    .filter(({ lines }) => lines.length > 0)
    .flatMap(({ heading, lines }) => [`## ${heading}`, '', ...lines, ''])
  const markdown = [
    audience === 'customer'
      ? `# ${findings.reference}: what happened`
      : `# Post-mortem of ${findings.reference}: ${escapeMarkdown(quote(findings.facts.title))}`,
    '',
    'Drafted from recorded events. A mark like [E1] names the evidence, listed at the end. Times are UTC.',
    '',
    ...sections,
    ...evidenceList(findings, page.cited()),
  ].join('\n')
  return { ...findings, gaps, markdown: `${markdown.trimEnd()}\n` }
}

/** `cited` by label; ids lead to events and timeline entries of the API. */
export function evidenceList({ facts }: Findings, cited: readonly { label: string; id: string }[]): string[] {
  const known = new Map(facts.evidence.map((item) => [item.id, item]))
  const lines = cited.flatMap(({ label, id }) => {
    const item = known.get(id)
    if (!item) return []
    const what = item.kind === 'event' ? 'event' : 'timeline entry'
    return [`- ${label}: ${what} \`${id}\`, ${dateTime(item.at)}: ${escapeMarkdown(item.text)}`]
  })
  return lines.length === 0 ? [] : ['## Evidence', '', ...lines]
}
