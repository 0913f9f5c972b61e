/** A draft in parts that can each be read and checked alone. */
export interface DraftParts {
  isDone(): boolean
  /**
   * The next sections, at least one line, as many as fit, with the evidence that they cite. A section
   * that does not fit by itself goes on in the part after.
   */
  next(fits: (markdown: string) => boolean): string
}

/** Reads the Markdown of a post-mortem as core writes it: headings of the second level, the last one Evidence. */
export function draftParts(markdown: string): DraftParts {
  const { body, evidence } = readDraft(markdown)
  const withEvidence = (blocks: readonly string[]) => {
    const text = blocks.join('\n').trim()
    const cited = new Set(Array.from(text.matchAll(MARK), ([, label]) => label))
    const lines = [...evidence].filter(([label]) => cited.has(label)).map(([, line]) => line)
    return lines.length === 0 ? `${text}\n` : `${text}\n\n${EVIDENCE}\n\n${lines.join('\n')}\n`
  }

  let rest = body
  return {
    isDone: () => rest.length === 0,
    next(fits) {
      let taken = 0
      while (taken < rest.length) {
        const end = endOfSection(rest, taken)
        if (!fits(withEvidence(rest.slice(0, end)))) break
        taken = end
      }
      if (taken === 0) {
        taken = 1
        while (taken < rest.length && fits(withEvidence(rest.slice(0, taken + 1)))) taken += 1
      }
      const part = withEvidence(rest.slice(0, taken))
      rest = rest.slice(taken)
      return part
    },
  }
}

const EVIDENCE = '## Evidence'
/** Brackets in text of senders are escaped. */
const MARK = /(?<!\\)\[(E\d+)\]/g

/** Its lines, blocks of code as one each, and the lines of its evidence by label. */
function readDraft(markdown: string): { body: string[]; evidence: Map<string, string> } {
  const blocks: string[] = []
  let fence: string | undefined
  for (const line of markdown.trimEnd().split('\n')) {
    if (fence === undefined) {
      blocks.push(line)
      fence = /^`{3,}/.exec(line)?.[0]
    } else {
      blocks.push(`${blocks.pop()}\n${line}`)
      if (line === fence) fence = undefined
    }
  }
  const at = blocks.lastIndexOf(EVIDENCE)
  if (at < 0) return { body: blocks, evidence: new Map() }
  const evidence = blocks
    .slice(at + 1)
    .flatMap((line): [string, string][] =>
      [...line.matchAll(/^- (E\d+):/g)].map(([, label]) => [label!, line]),
    )
  return { body: blocks.slice(0, at), evidence: new Map(evidence) }
}

function endOfSection(blocks: readonly string[], from: number): number {
  const next = blocks.findIndex((block, index) => index > from && block.startsWith('## '))
  return next < 0 ? blocks.length : next
}
