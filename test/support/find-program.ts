import { execFileSync } from 'node:child_process'
import { leaveOut } from './leave-out.ts'

/**
 * Path of a program of this machine that tests talk to. Undefined where there is none: then the tests that need it
 * are left out and one line says why. CI leaves none out, so there it throws.
 */
export function findProgram(name: string, howToGet: string): string | undefined {
  try {
    return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()
  } catch {
    leaveOut(`Tests with the real ${name} are left out: it is not installed. ${howToGet}`)
    return undefined
  }
}
