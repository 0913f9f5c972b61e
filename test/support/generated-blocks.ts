import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { inRepository } from './child.ts'

/** A page whose blocks commands write, and the folder where they keep what they found: a list as JSON for each block. */
export interface GeneratedPage<T> {
  /** From the root of the repository. */
  page: string
  folder: string
  /** In the marks of a block, such as `<!-- rows of chaos -->`, before its name. */
  mark: string
  keyOf(one: T): string
  compare(one: T, other: T): number
  render(list: readonly T[]): string
}

/** Keeps what a command found and renews its block. What it did not find anew this time stays. */
export function writeBlock<T>(page: GeneratedPage<T>, block: string, found: readonly T[]): void {
  const keys = new Set(found.map(page.keyOf))
  const kept = readBlock(page, block).filter((old) => !keys.has(page.keyOf(old)))
  const all = [...kept, ...found].toSorted(page.compare)
  mkdirSync(inRepository(page.folder), { recursive: true })
  const file = inRepository(`${page.folder}/${block}.json`)
  writeFileSync(file, JSON.stringify(all))
  // As `npm run check` wants every file.
  execFileSync(inRepository('node_modules/.bin/biome'), ['format', '--write', file], { stdio: 'ignore' })
  writeFileSync(inRepository(page.page), renderPage(page))
}

/** The page as what is kept says it should be. Throws where it lacks the marks of a block. */
export function renderPage<T>(page: GeneratedPage<T>): string {
  const folder = inRepository(page.folder)
  // Before the first figures there is no folder.
  const names = existsSync(folder) ? readdirSync(folder) : []
  const blocks = names.map((name) => name.replace('.json', ''))
  return blocks.reduce(
    (text, block) => {
      const begin = `<!-- ${page.mark} ${block} -->`
      const [from, to] = [text.indexOf(begin), text.indexOf('<!-- end -->', text.indexOf(begin))]
      if (from === -1 || to === -1) throw new Error(`${page.page} lacks the marks ${begin} and <!-- end -->.`)
      const content = page.render(readBlock(page, block))
      return `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`
    },
    readFileSync(inRepository(page.page), 'utf8'),
  )
}

function readBlock<T>({ folder }: GeneratedPage<T>, block: string): T[] {
  const path = inRepository(`${folder}/${block}.json`)
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as T[]) : []
}
