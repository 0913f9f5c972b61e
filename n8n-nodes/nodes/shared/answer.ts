/** What Tocsin says in an answer that is no success: message for people, description of what to do. Pure. */
export interface Refusal {
  message: string
  description: string
}

const ELSEWHERE: Refusal = {
  message: 'Something other than Tocsin answers at this address',
  description:
    'Check the Base URL of the credential: it is what the start of Tocsin prints, without /api/v1.',
}

/** Undefined where the answer is a success of Tocsin's. */
export function readRefusal(status: number, body: unknown): Refusal | undefined {
  const isJson = typeof body === 'object' && body !== null
  if (status >= 200 && status <= 299) return isJson || status === 204 ? undefined : ELSEWHERE

  const error = isJson && 'error' in body ? (body.error as { code?: unknown; message?: unknown }) : undefined
  if (typeof error?.code !== 'string' || typeof error.message !== 'string') return ELSEWHERE
  return {
    message: error.message,
    description: REMEDIES[error.code] ?? 'Change the request and run it again.',
  }
}

const REMEDIES: Record<string, string> = {
  unauthorized:
    'Tocsin does not know the API Key of the credential, or it has expired. Put in one that is valid.',
  forbidden:
    'Use a credential whose key has that scope, or add it: POST /projects/{project}/keys makes a new key.',
  plan_required: 'Change the plan of the project in Tocsin.',
  not_found: 'Choose one from the list, or check the ID and the project.',
  rate_limited: 'Wait a little, or turn on Retry On Fail in the settings of the node.',
  unavailable:
    'Tocsin cannot reach its database right now. Turn on Retry On Fail in the settings of the node.',
}
