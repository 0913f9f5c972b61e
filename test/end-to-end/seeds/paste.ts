import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { findProgram } from '../../support/find-program.ts'

/** Whether the curl lines of the documents can be run as they are. */
export const curl = findProgram('curl', 'Install the package curl.')

/** Runs a curl line as pasted into a shell; answers the status and the JSON that came back. */
// biome-ignore lint/suspicious/noExplicitAny: an answer in a test is looked into by hand
export async function paste(line: string): Promise<{ status: number; body: any }> {
  const { stdout } = await promisify(execFile)('sh', ['-c', `${line} -s -w '\n%{http_code}'`])
  const cut = stdout.lastIndexOf('\n')
  return { status: Number(stdout.slice(cut + 1)), body: JSON.parse(stdout.slice(0, cut)) }
}

/** Posts JSON and answers the status with what came back. */
export async function post(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
  // biome-ignore lint/suspicious/noExplicitAny: as above
): Promise<{ status: number; body: any }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, body: await response.json() }
}
