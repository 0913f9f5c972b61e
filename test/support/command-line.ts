import { type ParseArgsConfig, parseArgs } from 'node:util'

/** What a command was told; where it was told what it does not know, the usage and exit 2. */
export function readCommandLine<T extends ParseArgsConfig>(
  usage: string,
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config)
  } catch (error) {
    const isAsked = process.argv.some((argument) => argument === '--help' || argument === '-h')
    return refuse(isAsked ? usage : `${(error as Error).message}\n${usage}`)
  }
}

/** Says how a command is used, and ends it. */
export function refuse(usage: string): never {
  console.error(usage)
  process.exit(2)
}
