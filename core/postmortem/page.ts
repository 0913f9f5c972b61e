import type { ApiPostmortem, ApiPostmortemAudience, ApiPostmortemTemplate } from '../api-types.ts'
import type { Findings } from './facts.ts'

/** What a section is written from. */
export interface Writing extends Findings {
  template: ApiPostmortemTemplate
  audience: ApiPostmortemAudience
  gaps: ApiPostmortem['gaps']
  page: Page
}

/** Lines of Markdown under a heading; none where there is nothing to say. */
export interface Section {
  heading: string
  lines: string[]
  /** Prose, which a model may write instead; all else is Tocsin's own. */
  isProse?: true
}

export type SectionWriter = (writing: Writing) => Section

/** Numbers the evidence as it is first cited, and makes text safe to stand in Markdown. */
export class Page {
  readonly #labels = new Map<string, string>()

  /** A sentence, given without its full stop, and what vouches for it. */
  sentence(text: string, evidenceIds: readonly string[] = []): string {
    const cited = this.cite(evidenceIds)
    return `${escapeMarkdown(text)}${cited && ` ${cited}`}.`
  }

  /** `[E1][E2]`, or nothing. */
  cite(evidenceIds: readonly string[]): string {
    return [...new Set(evidenceIds)].map((id) => `[${this.#label(id)}]`).join('')
  }

  row(cells: readonly string[], evidenceIds: readonly string[]): string {
    return `| ${[...cells.map(escapeMarkdown), this.cite(evidenceIds)].join(' | ')} |`
  }

  /** Ids by label, in order. */
  cited(): { label: string; id: string }[] {
    return [...this.#labels].map(([id, label]) => ({ label, id }))
  }

  #label(id: string): string {
    const label = this.#labels.get(id) ?? `E${this.#labels.size + 1}`
    this.#labels.set(id, label)
    return label
  }
}

export function tableHead(...columns: string[]): string[] {
  return [`| ${columns.join(' | ')} |`, `|${' --- |'.repeat(columns.length)}`]
}

/** Lines of a stranger as a block of code that they cannot end. */
export function codeBlock(lines: readonly string[]): string[] {
  const longest = Math.max(2, ...lines.flatMap((line) => line.match(/`+/g) ?? []).map((run) => run.length))
  const fence = '`'.repeat(longest + 1)
  return [`${fence}text`, ...lines, fence]
}

/** Text as text: no links, not even bare ones, no HTML, emphasis, code, mentions or table cells. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/[\\`*[\]<>|~&@$]/g, '\\$&')
    .replace(/(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, '\\_')
    .replace(/:(?=\/\/)/g, '\\:')
    .replace(/\b(www)\./gi, '$1\\.')
}

export function unescapeMarkdown(text: string): string {
  return text.replace(/\\([!-/:-@[-`{-~])/g, '$1')
}
