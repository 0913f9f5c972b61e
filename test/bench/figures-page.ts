import type { GeneratedPage } from '../support/generated-blocks.ts'

/** What one run of a case found, for docs/performance.md. */
export interface CaseFigures {
  case: string
  /** Its place among the cases of the suite. */
  order: number
  /** Makes the figures again. */
  command: string
  /** Day of the run, such as 2026-11-27. */
  on: string
  /** Machine, versions and disk, a line each. */
  surroundings: string[]
  load: string
  table: string
  /** Gates and targets, and why the run counts for nothing where it does. */
  verdicts: string[]
}

/** docs/performance.md, with a block for each suite. */
export const figuresPage: GeneratedPage<CaseFigures> = {
  page: 'docs/performance.md',
  folder: 'docs/performance',
  mark: 'figures of',
  keyOf: (figures) => figures.case,
  compare: (one, other) => one.order - other.order,
  render: (list) => list.map(blockOf).join('\n\n'),
}

function blockOf({ command, on, surroundings, load, table, verdicts }: CaseFigures): string {
  const text = [table, '', ...verdicts, '', ...surroundings, `Load average ${load}.`].join('\n')
  return `\`${command}\`, ${on}:\n\n\`\`\`text\n${text}\n\`\`\``
}
