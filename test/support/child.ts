import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { trackLeftover } from './leftovers.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')

/** Absolute path of a file of this repository. */
export function inRepository(path: string): string {
  return join(root, path)
}

/** The Node this repository pins, whatever started us: TypeScript runs on it as it is. */
export const pinnedNode = inRepository('node_modules/node/bin/node')

/** What `npm run <script>` starts: `node`, its flags and the program. */
export function commandOf(script: string): string[] {
  const { scripts } = JSON.parse(readFileSync(inRepository('package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  return scripts[script]!.split(' ')
}

/** The flags `npm start` gives Node. */
export const startFlags: readonly string[] = commandOf('start').slice(1, -1)

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A process we started, and all it has said. Ended by its own handle only, never by name. */
export interface Child {
  readonly pid: number
  stdout(): string
  stderr(): string
  /** Undefined while it runs. */
  exit(): Exit | undefined
  exited: Promise<Exit>
  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<Exit>
}

/**
 * Starts a program with exactly this environment and PATH. `user` is for programs that refuse to run as root.
 * Throws where the program cannot be started at all.
 */
export async function startChild(
  program: string,
  args: readonly string[],
  options: { cwd: string; env?: Record<string, string>; user?: { uid: number; gid: number } | undefined },
): Promise<Child> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { PATH: process.env.PATH, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options.user,
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })

  let exit: Exit | undefined
  let forget: (() => void) | undefined
  // 'close' comes after the last output, 'exit' may not.
  const exited = once(child, 'close').then(([code, signal]) => {
    forget?.()
    exit = { code, signal }
    return exit
  })
  // Who waits for the end sees the error; nobody has to.
  exited.catch(() => {})
  await once(child, 'spawn')
  forget = trackLeftover({ pid: child.pid! })

  return {
    pid: child.pid!,
    stdout: () => stdout,
    stderr: () => stderr,
    exit: () => exit,
    exited,
    end: (signal) => {
      child.kill(signal)
      return exited
    },
  }
}

/** An npm that runs a script of this repository, as a user starts it; `end` ends it and whatever it has started. */
export function startNpm(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): { npm: ChildProcess; end: () => void } {
  const npm = spawn('npm', [...args], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group: what npm has started may outlive it.
    detached: true,
  })
  return {
    npm,
    end: () => {
      try {
        process.kill(-npm.pid!, 'SIGKILL')
      } catch (error) {
        if ((error as { code?: string }).code !== 'ESRCH') throw error
      }
    },
  }
}
