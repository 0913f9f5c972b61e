import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A process we started, by its id, or a directory we made, by its path. */
export type Leftover = { pid: number } | { dir: string }

const present = new Map<string, Leftover>()
process.once('exit', () => {
  for (const leftover of processesFirst([...present.values()])) clear(leftover)
})

/**
 * Remembers what must not outlive this process, however it ends; answers how to forget it. A test worker may be killed
 * by its run, so it also leaves a note for the run's main process.
 */
export function trackLeftover(leftover: Leftover): () => void {
  const name = 'pid' in leftover ? `pid-${leftover.pid}` : Buffer.from(leftover.dir).toString('base64url')
  const notes = process.env.TOCSIN_TEST_NOTES
  const note = notes && join(notes, name)
  present.set(name, leftover)
  if (note) writeFileSync(note, '')
  return () => {
    present.delete(name)
    if (note) rmSync(note, { force: true })
  }
}

/** Lets Ctrl-C and whoever else ends this process end it by 'exit', which clears what it would leave behind. */
export function endInGoodOrder(): void {
  const codes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }
  for (const [signal, code] of Object.entries(codes)) process.once(signal, () => process.exit(code))
}

/** Makes this process clear what its test workers leave behind. Called once, before they start. */
export function clearLeftoversOfWorkers(): void {
  const notes = mkdtempSync(join(tmpdir(), 'tocsin-notes-'))
  // Workers inherit it.
  process.env.TOCSIN_TEST_NOTES = notes
  process.once('exit', () => {
    for (const leftover of processesFirst(readNotes(notes))) clear(leftover)
    clear({ dir: notes })
  })
}

function readNotes(notes: string): Leftover[] {
  return readdirSync(notes).map((name) =>
    name.startsWith('pid-')
      ? { pid: Number(name.slice('pid-'.length)) }
      : { dir: Buffer.from(name, 'base64url').toString() },
  )
}

/** They write into the directories. */
function processesFirst(leftovers: readonly Leftover[]): Leftover[] {
  return leftovers.toSorted((left, right) => Number('dir' in left) - Number('dir' in right))
}

function clear(leftover: Leftover): void {
  if ('dir' in leftover) {
    rmSync(leftover.dir, { recursive: true, force: true, maxRetries: 3 })
    return
  }
  try {
    process.kill(leftover.pid, 'SIGKILL')
  } catch {
    // Gone already.
  }
}
