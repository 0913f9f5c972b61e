/** Prints what a test measured, for `npm run promises` to put into docs/reliability.md; silent in any other run. */
export function printFigure(text: string): void {
  if (process.env.TOCSIN_FIGURES) process.stdout.write(`figure: ${text}\n`)
}
