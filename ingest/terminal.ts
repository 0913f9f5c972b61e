import { resolve } from 'node:path'
import { TocsinError } from '@tocsin/core'
import { type Config, readConfig } from './config.ts'
import { ConfigError } from './config-error.ts'
import { loadSettingsFile } from './settings-file.ts'

/** What the commands beside the server share: settings, the one file they are given, and errors as sentences. */

/** Runs a command of one file argument with the settings of the server; ends with exit code 1 where it fails. */
export async function runOnFile(
  usage: string,
  run: (config: Config, file: string) => Promise<string>,
): Promise<void> {
  // Nothing it writes is for other users of the machine.
  process.umask(0o077)
  try {
    const [file, ...more] = process.argv.slice(2)
    if (!file || file.startsWith('-') || more.length > 0) throw new ConfigError(`Usage: ${usage}`)
    loadSettingsFile()
    // npm changes into the folder of the project; a relative path is meant from where the command was typed.
    const said = await run(readConfig(process.env), resolve(process.env.INIT_CWD ?? '.', file))
    process.stdout.write(`${said}\n`)
  } catch (error) {
    if (!(error instanceof TocsinError || error instanceof ConfigError)) throw error
    // Where the database went away at the very end nobody knows, and the sentence says what then.
    const isUnknown = error instanceof TocsinError && error.code === 'unavailable'
    process.stderr.write(`${isUnknown ? '' : 'Nothing was done: '}${error.message}\n`)
    process.exitCode = 1
  }
}
