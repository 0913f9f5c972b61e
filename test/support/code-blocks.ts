import { readFileSync } from 'node:fs'
import { inRepository } from './child.ts'

/** A fenced block of a page, under the nearest heading above it. */
export interface CodeBlock {
  heading: string
  language: string
  text: string
}

/** The fenced blocks of a page of this repository, in its order. */
export function codeBlocks(path: string): CodeBlock[] {
  const page = readFileSync(inRepository(path), 'utf8')
  let heading = ''
  return Array.from(page.matchAll(/^#+ (.+)$|^```(\w+)\n([\s\S]*?\n)```$/gm)).flatMap(
    ([, title, language = '', text = '']) => {
      if (title === undefined) return [{ heading, language, text }]
      heading = title
      return []
    },
  )
}
