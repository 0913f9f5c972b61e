/** A setting that stops the start. The message is one sentence for the person at the terminal. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}
