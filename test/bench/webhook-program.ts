import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startChild } from '../support/child.ts'
import { findProgram } from '../support/find-program.ts'
import { freePort, scratchDir } from '../support/scratch.ts'
import { until } from '../support/until.ts'
import type { Variant } from './variants.ts'

const ID = 'alert'

/**
 * Peer: `webhook` (https://github.com/adnanh/webhook), which starts a command for each request whose secret is right.
 * The command here does nothing, and nobody waits for its end.
 */
export async function startWebhook(): Promise<Variant> {
  const program = findProgram('webhook', 'Debian has it as webhook.')
  if (!program) throw new Error('There is no webhook to measure beside us.')
  const dir = await scratchDir()
  const port = await freePort()
  const secret = randomBytes(24).toString('base64url')
  const hooks = join(dir.path, 'hooks.json')
  const rule = {
    match: {
      type: 'value',
      value: `Bearer ${secret}`,
      parameter: { source: 'header', name: 'Authorization' },
    },
  }
  await writeFile(hooks, JSON.stringify([{ id: ID, 'execute-command': '/bin/true', 'trigger-rule': rule }]))
  const child = await startChild(program, ['-hooks', hooks, '-ip', '127.0.0.1', '-port', `${port}`], {
    cwd: dir.path,
    // One core, as every other server under measurement has.
    env: { GOMAXPROCS: '1' },
  })
  const stop = async () => {
    if (child.exit() === undefined) await child.end('SIGTERM')
    dir.remove()
  }
  try {
    await until('webhook is ready', async () => (await fetch(`http://127.0.0.1:${port}/`)).ok)
  } catch (error) {
    await stop()
    throw new Error(`webhook did not start: ${child.stderr()}`, { cause: error })
  }
  return {
    pids: [child.pid],
    target: { host: '127.0.0.1', ports: [port], path: `/hooks/${ID}`, secret, body: 'webhook' },
    stop,
  }
}
