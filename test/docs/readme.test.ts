import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startOn } from '../end-to-end/start-on.ts'
import { inRepository, pinnedNode } from '../support/child.ts'
import { codeBlocks } from '../support/code-blocks.ts'
import { findProgram } from '../support/find-program.ts'
import { freePort } from '../support/scratch.ts'
import { until } from '../support/until.ts'

const curl = findProgram('curl', 'Install the package curl.')
const bash = findProgram('bash', 'Install the package bash.')
const blocks = codeBlocks('README.md')

// Where a program is missing, findProgram has said which, and how to get it.
describe.runIf(curl && bash)('the README, pasted into a shell beside a fresh start', () => {
  test('opens an incident, reads it back, makes a source; then creates an endpoint, and its messages verify', async () => {
    const tocsin = await startOn('sqlite')
    const shell = await openShell()

    await shell.paste(tocsin.stdout().match(/^export .+\n/m)![0])
    const [start, open, read, ...others] = blocksOf('Start')
    expect([start, others]).toEqual(['npm install && npm start\n', []])
    const opened = JSON.parse(await shell.paste(open!))
    expect(opened).toMatchObject({ outcome: 'opened', incident: { reference: 'INC-001', status: 'open' } })
    expect(shapeOf(opened)).toEqual(shapeOf(JSON.parse(blocksOf('Start', 'json')[0]!)))
    const incident = await shell.paste(read!)
    for (const part of ['"incident":{"id"', '"timeline":[{', '"receipt":[{']) expect(incident).toContain(part)

    const [source, ...more] = blocksOf('Senders')
    expect(more).toEqual([])
    expect(JSON.parse(await shell.paste(source!))).toMatchObject({ source: { adapter: 'grafana' } })

    const [create, receiver, sendTest, acknowledge, unsigned, readLog, ...rest] =
      blocksOf('Outgoing webhooks')
    expect(rest).toEqual([])
    expect(JSON.parse(await shell.paste(create!))).toMatchObject({ secret: expect.stringMatching(/^whsec_/) })
    await shell.paste(receiver!)
    await shell.says('Listening on ')
    await shell.paste(sendTest!)
    await shell.says('verified test ')
    await shell.paste(acknowledge!)
    await shell.says('verified incident.acknowledged INC-001')
    expect(await shell.paste(unsigned!)).toBe('401\n')
    const { messages } = JSON.parse(await shell.paste(readLog!))
    expect(messages).toMatchObject([
      { type: 'incident.acknowledged', status: 'delivered' },
      { type: 'test', status: 'delivered' },
    ])
  })
})

function blocksOf(heading: string, language = 'sh'): string[] {
  return blocks.filter((one) => one.heading === heading && one.language === language).map(({ text }) => text)
}

/** Member names, without the values. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf)
  if (typeof value !== 'object' || value === null) return null
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shapeOf(member)]))
}

interface Shell {
  /** Types text as it stands on the page; answers what was printed until it was done. */
  paste(text: string): Promise<string>
  /** Waits until this has been printed. */
  says(text: string): Promise<unknown>
}

/** A shell in the root of the repository. The receiver's port of the page becomes a free one. */
async function openShell(): Promise<Shell> {
  const port = String(await freePort())
  const child = spawn(bash!, {
    cwd: inRepository('.'),
    env: { PATH: `${dirname(pinnedNode)}:${process.env.PATH}`, PORT: port },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  // Ends with its input, and what it started in the background ends with it.
  child.stdin.write("trap 'kill $(jobs -p)' EXIT\n")
  onTestFinished(async () => {
    child.stdin.end()
    await once(child, 'close')
  })

  let pasted = 0
  return {
    paste: async (text) => {
      const mark = `--- ${++pasted} ---\n`
      const from = printed.length
      child.stdin.write(`${text.replaceAll('4118', port)}printf '%s\\n' '${mark.trim()}'\n`)
      const end = await until(`this is done: ${text}`, () => {
        const at = printed.indexOf(mark, from)
        return at >= 0 && at
      })
      return printed.slice(from, end)
    },
    says: (text) => until(`it says ${text}`, () => printed.includes(text)),
  }
}
