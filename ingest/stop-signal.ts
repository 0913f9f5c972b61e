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
