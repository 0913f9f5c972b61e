/** Rejects with `late()` where the task takes longer than so many milliseconds; the task itself goes on. */
export async function within<T>(limitMs: number, task: Promise<T>, late: () => Error): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(late()), limitMs)
  return Promise.race([task, promise]).finally(() => clearTimeout(timer))
}
