import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { inRepository, pinnedNode, startChild } from './child.ts'
import { scratchDir } from './scratch.ts'
import { until } from './until.ts'

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('a program that %s ends leaves nothing running and no directory', async (signal, code) => {
  const program = `
    const { startChild } = await import('${inRepository('test/support/child.ts')}')
    const { endInGoodOrder } = await import('${inRepository('test/support/leftovers.ts')}')
    const { scratchDir } = await import('${inRepository('test/support/scratch.ts')}')
    endInGoodOrder()
    const { path } = await scratchDir()
    const { pid } = await startChild('sleep', ['600'], { cwd: path })
    console.log('started', pid, path)`
  const dir = await scratchDir()
  const child = await startChild(pinnedNode, ['--input-type=module', '-e', program], { cwd: dir.path })
  const [, pid, path] = await until('it says what it has started', () =>
    child.stdout().match(/started (\d+) (.+)/),
  )
  expect(isRunning(pid!)).toBe(true)
  expect(await child.end(signal)).toEqual({ code, signal: null })
  await until('what it had started has ended', () => !isRunning(pid!))
  expect(existsSync(path!)).toBe(false)
  dir.remove()
})

/** One that has ended may wait for somebody to notice. */
function isRunning(pid: string): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
