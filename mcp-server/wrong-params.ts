import { isObject } from './object-arguments.ts'
import { quoted } from './tool-error.ts'

/** The member without which a request means nothing, and where its values are found. */
const NEEDED: Readonly<Record<string, { member: string; give: string }>> = {
  'tools/call': { member: 'name', give: 'the name of a tool that tools/list shows' },
  'prompts/get': { member: 'name', give: 'the name of a prompt that prompts/list shows' },
  'resources/read': { member: 'uri', give: 'an address such as tocsin://incidents/INC-042' },
}

const INVALID_PARAMS = -32602

/**
 * The answer to a request whose parameters are of the wrong kind, as JSON: both SDKs answer it with what their schema
 * library printed. Undefined where nothing is wrong, or it is for them to say.
 */
export function wrongParams(text: string): string | undefined {
  let message: unknown
  try {
    message = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(message) || (typeof message.id !== 'string' && typeof message.id !== 'number'))
    return undefined
  const fault = faultOf(message)
  if (fault === undefined) return undefined
  return JSON.stringify({
    jsonrpc: '2.0',
    id: message.id,
    error: { code: INVALID_PARAMS, message: `${fault} Correct this and send ${message.method} again.` },
  })
}

function faultOf({ method, params = {} }: Record<string, unknown>): string | undefined {
  const needed = typeof method === 'string' && Object.hasOwn(NEEDED, method) ? NEEDED[method]! : undefined
  if (needed === undefined) return undefined
  const { member, give } = needed
  if (!isObject(params))
    return `"params" must be an object such as {"${member}": …}, but is ${kindOf(params)}.`
  const value = params[member]
  if (value === undefined) return `"params.${member}" is missing: give ${give}.`
  if (typeof value !== 'string')
    return `"params.${member}" must be a string, but is ${kindOf(value)}: give ${give}.`
  return method === 'prompts/get' ? argumentsFault(params.arguments) : undefined
}

/** Those of a prompt are all text. */
function argumentsFault(args: unknown): string | undefined {
  if (args === undefined) return undefined
  if (!isObject(args))
    return `"params.arguments" must be an object of strings such as {"incidentId": "INC-042"}, but is ${kindOf(args)}.`
  const wrong = Object.entries(args).find(([, value]) => typeof value !== 'string')
  if (!wrong) return undefined
  const [name, value] = wrong
  return `The argument ${quoted(name)} must be a string, but is ${kindOf(value)}: write it in quotation marks.`
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
