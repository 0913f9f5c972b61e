import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { leaveOut } from './leave-out.ts'
import { scratchDir } from './scratch.ts'

export interface SmallVolume {
  path: string
  /** Takes up what is left of it. */
  fill(): void
  /** Gives that back. */
  free(): void
  remove(): void
}

/** Only root may mount. */
const AS_ROOT = process.getuid?.() === 0 ? [] : ['sudo', '-n']

/** A file system of its own of so many MiB, in memory, for one user of this machine. Throws where none can be mounted. */
export async function smallVolume(
  sizeMb: number,
  user = { uid: process.getuid!(), gid: process.getgid!() },
): Promise<SmallVolume> {
  const dir = await scratchDir()
  const options = `size=${sizeMb}m,mode=700,uid=${user.uid},gid=${user.gid}`
  const unmount = () => asRoot('umount', '--lazy', dir.path)
  try {
    asRoot('mount', '-t', 'tmpfs', '-o', options, 'tmpfs', dir.path)
  } catch (error) {
    dir.remove()
    throw error
  }
  // It would outlive even the directory it is in.
  process.once('exit', unmount)
  const ballast = join(dir.path, 'ballast')
  return {
    path: dir.path,
    fill: () => {
      for (let size = 2 ** 20; size >= 2 ** 12; size /= 2) {
        try {
          for (;;) writeFileSync(ballast, Buffer.alloc(size), { flag: 'a' })
        } catch (error) {
          if ((error as { code?: string }).code !== 'ENOSPC') throw error
        }
      }
    },
    free: () => rmSync(ballast),
    remove: () => {
      process.off('exit', unmount)
      unmount()
      dir.remove()
    },
  }
}

/** Whether volumes can be mounted here. Where not, it is said which tests are left out; in CI that is a failure. */
export async function canMount(tests: string): Promise<boolean> {
  try {
    const volume = await smallVolume(1)
    volume.remove()
    return true
  } catch (error) {
    leaveOut(`Tests ${tests} are left out: ${String(error)}`, error)
    return false
  }
}

function asRoot(...command: string[]): void {
  const [program, ...args] = [...AS_ROOT, ...command]
  execFileSync(program!, args, { stdio: 'pipe' })
}
