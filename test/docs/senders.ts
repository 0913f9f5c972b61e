import { readFileSync, writeFileSync } from 'node:fs'
import { type Adapter, adapters, type BodyKind } from '@tocsin/core'

/** The parts of README.md and docs/senders.md that are made from the adapters. */

const FILES = [
  { url: new URL('../../README.md', import.meta.url), render: table },
  { url: new URL('../../docs/senders.md', import.meta.url), render: sections },
]

const BEGIN = '<!-- made from the adapters by npm run docs -->'
const END = '<!-- end -->'

/** Each file as it is and as it should be. */
export function documents(): { name: string; is: string; shouldBe: string; url: URL }[] {
  return FILES.map(({ url, render }) => {
    const is = readFileSync(url, 'utf8')
    const [begin, end] = [is.indexOf(BEGIN), is.indexOf(END)]
    if (begin === -1 || end < begin) throw new Error(`${url.pathname} lacks the marks ${BEGIN} and ${END}.`)
    const shouldBe = `${is.slice(0, begin + BEGIN.length)}\n\n${render()}\n\n${is.slice(end)}`
    return { name: url.pathname.split('/').at(-1)!, is, shouldBe, url }
  })
}

/** One row per sender. */
function table(): string {
  const rows = adapters.map(({ slug, says, ...adapter }) => {
    const cells = [
      titleOf(adapter),
      `\`${slug}\``,
      says.credential,
      says.opens,
      says.acknowledges,
      says.resolves,
    ]
    return `| ${cells.map((cell) => cell ?? '–').join(' | ')} |`
  })
  return [
    '| tool | adapter | how it authenticates | opens | acknowledges | resolves |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}

/** One section per sender. */
function sections(): string {
  return adapters.map(section).join('\n\n')
}

function section(adapter: Adapter): string {
  const { slug, says, setup, defaults, methods = [], bodies = [] } = adapter
  const facts = [
    `- Adapter: \`${slug}\`. Address: \`${addressOf(adapter)}\`.`,
    `- Credential: ${says.credential}.`,
    `- Opens: ${says.opens}. Acknowledges: ${says.acknowledges ?? 'never'}. Resolves: ${says.resolves ?? 'never; resolve by hand'}.`,
    `- Identity: ${says.identity}`,
    `- Sends again: ${says.retries}`,
    `- Groups by ${defaults.grouping === 'project' ? 'project: joins the current incident' : 'signal: what is watched has one incident at a time'}; ${
      defaults.reopenWindowMinutes === 0
        ? 'never reopens'
        : `reopens within ${defaults.reopenWindowMinutes} minutes`
    }. Both can be set.`,
    ...(methods.length + bodies.length === 0
      ? []
      : [
          `- Takes besides POST and JSON: ${[...methods, ...bodies.map((kind) => IN_WORDS[kind] ?? kind)].join(', ')}.`,
        ]),
  ]
  const steps = setup.map((step, i) => `${i + 1}. ${step.replaceAll('{url}', 'the `url` of the source')}`)
  return [`## ${titleOf(adapter)}`, facts.join('\n'), steps.join('\n')].join('\n\n')
}

function titleOf({ name, experimental }: Pick<Adapter, 'name' | 'experimental'>): string {
  return experimental ? `${name} (experimental)` : name
}

function addressOf({ slug, defaults, path }: Adapter): string {
  if (path) return path
  return defaults.address === 'token'
    ? `/api/webhooks/${slug}/{token}`
    : `/api/v1/webhooks/{projectId}/${slug}`
}

const IN_WORDS: Partial<Record<BodyKind, string>> = {
  untyped: 'JSON without a type or as a form (not with basic)',
  none: 'no body',
}

/** `npm run docs` writes them. */
if (import.meta.main) for (const { url, shouldBe } of documents()) writeFileSync(url, shouldBe)
