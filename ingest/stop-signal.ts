let taken: (() => void) | undefined

/**
 * From now on SIGTERM and SIGINT run this, instead of what was given before. The first process of a container, as Tocsin
 * is in its image, needs one from its first moment: for it the system ignores a signal that nobody takes.
 */
export function takeStopSignals(run: () => void): void {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, run)
    if (taken) process.off(signal, taken)
  }
  taken = run
}

// Ctrl-C reaches the whole process group, and npm passes on its own.
const SAME_SIGNAL_MS = 1_000

/**
 * What to do on SIGTERM and SIGINT: the first stops and then exits, a second within a second is the same one,
 * a later one exits at once. `now` is in milliseconds, from any start.
 */
export function stopSignalHandler(
  stop: () => Promise<void>,
  exit: (code: number) => void,
  now: () => number,
): () => void {
  let firstAt: number | undefined

  return () => {
    if (firstAt === undefined) {
      firstAt = now()
      stop().then(
        () => exit(0),
        () => exit(1),
      )
    } else if (now() - firstAt > SAME_SIGNAL_MS) {
      exit(1)
    }
  }
}

const LOOK_MS = 500

/**
 * Calls back once when the process that started this one has gone. npm passes a signal on to a shell, and where that is
 * dash (Debian, Ubuntu) the shell ends without passing it on.
 */
export function onceOrphaned(run: () => void, parent: () => number = () => process.ppid): void {
  const first = parent()
  const timer = setInterval(() => {
    if (parent() === first) return
    clearInterval(timer)
    run()
  }, LOOK_MS)
  timer.unref()
}
