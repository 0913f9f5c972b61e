import { isDeepStrictEqual } from 'node:util'
import { tools } from '../../mcp-server/tools/index.ts'
import type { Question } from './questions.ts'

/** What is wrong with the call a model made first, `args` as it wrote them; undefined where it is right. */
export function judge(
  { tool, args = {} }: Question,
  called: { tool: string; args: string } | undefined,
): string | undefined {
  if (!called) return tool === null ? undefined : `called nothing instead of ${tool}`
  if (called.tool !== tool) return `called ${called.tool} instead of ${tool ?? 'nothing'}`
  const { input } = tools.find(({ name }) => name === tool)!
  let given: unknown
  try {
    given = JSON.parse(called.args || '{}')
  } catch {
    return `arguments are no JSON: ${called.args}`
  }
  const checked = input.safeParse(given)
  if (!checked.success) return `arguments do not fit the schema: ${called.args}`
  for (const [name, wanted] of Object.entries(args)) {
    if (!isSame(checked.data[name], wanted)) {
      return `${name} is ${JSON.stringify(checked.data[name])} instead of ${JSON.stringify(wanted)}`
    }
  }
  return undefined
}

function isSame(given: unknown, wanted: unknown): boolean {
  if (typeof given === 'string' && typeof wanted === 'string') {
    return given.toLowerCase() === wanted.toLowerCase()
  }
  if (Array.isArray(given) && Array.isArray(wanted))
    return isDeepStrictEqual([...given].sort(), [...wanted].sort())
  return isDeepStrictEqual(given, wanted)
}
