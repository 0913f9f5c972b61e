import { type StartOptions, startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'

/**
 * Starts the product. Where TOCSIN_BENCH_PROFILES names a folder, it leaves what its main thread did there, for Chrome's
 * developer tools, once it is disposed of.
 */
export async function startProfiled(options: StartOptions = {}): Promise<TocsinProcess> {
  const profiles = process.env.TOCSIN_BENCH_PROFILES
  if (!profiles) return startTocsin(options)
  const flags = ['--cpu-prof', `--cpu-prof-dir=${profiles}`]
  const tocsin = await startTocsin({ ...options, nodeFlags: [...(options.nodeFlags ?? []), ...flags] })
  return {
    ...tocsin,
    // Another one after a restart.
    get pid() {
      return tocsin.pid
    },
    dispose: async () => {
      // Node writes a profile at an end in good order.
      await tocsin.stop()
      await tocsin.dispose()
    },
  }
}
