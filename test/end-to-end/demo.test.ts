import { expect, test } from 'vitest'
import { inRepository, pinnedNode, startChild } from '../support/child.ts'
import { scratchDir } from '../support/scratch.ts'

test('the demo plays an outage to its end, in plain text where there is no terminal', async () => {
  const dir = await scratchDir()
  const demo = await startChild(pinnedNode, [inRepository('test/demo/main.ts')], { cwd: dir.path })
  const exit = await demo.exited
  dir.remove()

  expect(exit, demo.stdout() + demo.stderr()).toEqual({ code: 0, signal: null })
  expect(demo.stdout()).toContain('INC-001')
  expect(demo.stdout()).toContain('# Post-mortem of INC-001: “ConnectionTimeout: payments.example.com”')
  expect(demo.stdout()).not.toContain('\u001b')
})
