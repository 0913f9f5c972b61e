import { execFileSync } from 'node:child_process'
import { copyFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { inRepository } from '../support/child.ts'
import { findProgram } from '../support/find-program.ts'
import { scratchDir } from '../support/scratch.ts'
import { until } from '../support/until.ts'
import { audit } from './audit.ts'
import { type Fault, withHook } from './fault.ts'
import { openLedger } from './ledger.ts'
import { findWrongAnswers, openPlace, resend, underLoad } from './load.ts'
import { liveThroughOutages } from './outage.ts'
import type { World } from './world.ts'

const compiler = findProgram('gcc', 'Debian: gcc.')

const diskFull: Fault = {
  id: 'T3',
  promise:
    'while the disk of the database and of the log is full, senders read 503 with Retry-After, and nothing has to be restarted afterwards',
  databases: ['sqlite'],
  runs: 20,
  async run(world, runs) {
    const databaseUrl = await world.newDatabase()
    const dir = directoryOf(databaseUrl)
    const full = join(dir, 'full')
    return liveThroughOutages(world, runs, {
      databaseUrl,
      env: { LD_PRELOAD: await compileDisk(world), CHAOS_DISK_DIR: dir },
      awayMs: () => 1_000,
      mostAnswerMs: 900,
      begin: async (_run, tocsin) => {
        writeFileSync(full, '')
        // Each call is a line of the log.
        await tocsin.call('GET', '/me')
        return async () => rmSync(full)
      },
      finish: async (tocsin) => {
        await tocsin.call('GET', '/me')
        const calls = runs + 1
        await until(
          'the log has what came while it was full, and what came after',
          () => tocsin.stderr().split('"route":"GET /me"').length - 1 === calls,
        )
        return { figure: `${calls} of ${calls} calls stand in the log`, wrong: [] }
      },
    })
  },
}

const powerLoss: Fault = {
  id: 'T2',
  promise: 'a power cut loses nothing that was answered with a 2xx',
  databases: ['sqlite'],
  runs: 200,
  async run(world, runs) {
    const kept = await cutPower(world, runs, {})
    // Where nothing waits for the disk, some must be lost, or this is blind.
    const control = await cutPower(world, 1, withHook('not-synced', {}))
    return {
      figure:
        `${runs} power cuts: ${kept.acknowledged} alerts, ${kept.lost} lost, ${kept.doubled} doubled; ` +
        `one with synchronous=NORMAL: ${control.lost} of ${control.acknowledged} lost`,
      wrong: [...kept.wrong, ...(control.lost === 0 ? ['the control run lost nothing'] : [])],
    }
  },
}

/** Nothing where there is no compiler to make the disk with; `findProgram` has said so. */
export const DISK_FAULTS: readonly Fault[] = compiler === undefined ? [] : [powerLoss, diskFull]

/** Kills a process under load so often, and each time leaves of its files what a power cut would. */
async function cutPower(world: World, runs: number, env: Record<string, string>) {
  const databaseUrl = await world.newDatabase()
  const dir = directoryOf(databaseUrl)
  const synced = await scratchDir()
  world.afterwards(() => synced.remove())
  const tocsin = await world.start(databaseUrl, {
    ...env,
    LD_PRELOAD: await compileDisk(world),
    CHAOS_DISK_DIR: dir,
    CHAOS_DISK_SYNCED: synced.path,
  })
  const place = await openPlace(tocsin)
  const ledger = await openLedger(world)
  const wrong: string[] = []
  let lost = 0
  for (let run = 0; run < runs; run++) {
    const load = { place, ledger, random: world.random, addresses: [tocsin.address], perSecond: 200 }
    const tally = await underLoad(load, async () => {
      await wait(300 + world.random.below(700))
      await tocsin.kill()
    })
    wrong.push(...findWrongAnswers(tally, true))
    for (const name of readdirSync(dir)) if (name.startsWith('tocsin.db')) rmSync(join(dir, name))
    for (const name of readdirSync(synced.path)) copyFileSync(join(synced.path, name), join(dir, name))
    await tocsin.restart()
    // Before anything is sent again: that would mend what is lost.
    lost = Math.max(lost, (await audit(databaseUrl, place.projectId, ledger)).lost)
    wrong.push(...(await resend({ ...load, address: tocsin.address })))
    if (run % 20 === 19) world.say(`${run + 1} power cuts of ${runs}`)
  }
  await tocsin.stop()
  const { doubled, wrong: found } = await audit(databaseUrl, place.projectId, ledger)
  if (lost > 0) wrong.push(`${lost} acknowledged alerts were lost`)
  return { acknowledged: ledger.allAcknowledged().length, lost, doubled, wrong: [...wrong, ...found] }
}

async function compileDisk(world: World): Promise<string> {
  const dir = await scratchDir()
  world.afterwards(() => dir.remove())
  const library = join(dir.path, 'disk.so')
  const source = inRepository('test/chaos/hooks/disk.c')
  execFileSync(compiler!, ['-shared', '-fPIC', '-O2', '-o', library, source, '-ldl', '-lpthread'])
  return library
}

function directoryOf(databaseUrl: string): string {
  return dirname(databaseUrl.slice('sqlite:'.length))
}
