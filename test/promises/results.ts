import { existsSync, readFileSync } from 'node:fs'

interface Results {
  success: boolean
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
  testResults: { assertionResults: { status: string; fullName: string }[] }[]
}

/** What a run of vitest came to: how many tests passed, which did not, and the figures they printed. */
export function readResults(file: string, stdout: string): { passed: boolean; figure: string } {
  if (!existsSync(file)) return { passed: false, figure: 'the tests did not run' }
  const results = JSON.parse(readFileSync(file, 'utf8')) as Results
  const failed = results.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status === 'failed')
    .map(({ fullName }) => fullName)
  const figures = Array.from(stdout.matchAll(/^figure: (.*)$/gm), ([, figure]) => figure!)
  const left = results.numPendingTests > 0 ? [`${results.numPendingTests} left out`] : []
  return {
    // A file that cannot be loaded has no tests to fail.
    passed: results.success && results.numPassedTests > 0,
    figure: [
      `${results.numPassedTests} tests passed, ${results.numFailedTests} failed`,
      ...failed,
      ...left,
      ...figures,
    ].join('; '),
  }
}
