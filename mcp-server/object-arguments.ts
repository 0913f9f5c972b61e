/**
 * Text of a message in which the arguments of a tool call are an object: both SDKs refuse any other in words that no
 * model can use. What is no object becomes `{"arguments": …}`, which no tool takes, so that the tool says what it
 * needs; null is the same as none.
 */
export function withObjectArguments(text: string): string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return text
  }
  // Old protocols send several at once.
  const params = (Array.isArray(value) ? value : [value]).flatMap(paramsOfWrongCall)
  if (params.length === 0) return text
  for (const one of params) one.arguments = one.arguments === null ? {} : { arguments: one.arguments }
  return JSON.stringify(value)
}

function paramsOfWrongCall(message: unknown): { arguments: unknown }[] {
  if (!isObject(message) || message.method !== 'tools/call') return []
  const { params } = message
  return isObject(params) && 'arguments' in params && !isObject(params.arguments)
    ? [params as { arguments: unknown }]
    : []
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
