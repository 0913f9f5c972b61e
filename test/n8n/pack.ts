import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inRepository, pinnedNode } from '../support/child.ts'
import { scratchDir } from '../support/scratch.ts'

const npmEnv = { ...process.env, PATH: `${dirname(pinnedNode)}:${process.env.PATH}` }
const scratch = await scratchDir()
process.once('exit', () => scratch.remove())
let unpacked: string | undefined

/** Folder of the package as npm would install it: packed by `npm pack`, which builds it, and unpacked. */
export function unpackedNodes(): string {
  if (unpacked) return unpacked
  execFileSync('npm', ['pack', '--pack-destination', scratch.path], {
    cwd: inRepository('n8n-nodes'),
    env: npmEnv,
    stdio: 'pipe',
  })
  const [tarball] = readdirSync(scratch.path).filter((file) => file.endsWith('.tgz'))
  execFileSync('tar', ['xzf', tarball!], { cwd: scratch.path })
  unpacked = join(scratch.path, 'package')
  return unpacked
}
