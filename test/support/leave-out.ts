/** Says why tests are left out here. CI leaves none out, so there it throws. */
export function leaveOut(sentence: string, cause?: unknown): void {
  if (process.env.CI) throw new Error(sentence, { cause })
  process.stderr.write(`${sentence}\n`)
}
