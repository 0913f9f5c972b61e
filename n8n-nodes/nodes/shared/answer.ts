/** What Tocsin says in an answer that is no success: message for people, description of what to do. */
export interface Refusal {
  /** Null where it is not Tocsin that speaks. */
  code: string | null
  message: string
  description: string
}

const ELSEWHERE: Refusal = {
  code: null,
  message: 'Something other than Tocsin answers at this address',
  description:
    'Check the Base URL of the credential: it is where Tocsin itself answers, as its start prints it.',
}

/** Undefined where the answer is a success of Tocsin's, and holds what is `wanted` of it. Pure. */
export function readRefusal(status: number, body: unknown, wanted?: string): Refusal | undefined {
  const isJson = typeof body === 'object' && body !== null
  if (status >= 200 && status <= 299) {
    if (!isJson && status !== 204) return ELSEWHERE
    return wanted === undefined || holds(body, wanted) ? undefined : lacking(wanted, body)
  }

  const error = isJson && 'error' in body ? (body.error as { code?: unknown; message?: unknown }) : undefined
  if (typeof error?.code !== 'string' || typeof error.message !== 'string') return ELSEWHERE
  return {
    code: error.code,
    message: error.message,
    description: REMEDIES[error.code] ?? 'Look up this message in the documentation of Tocsin.',
  }
}

function holds(body: unknown, wanted: string): boolean {
  return ((body as Record<string, unknown> | null)?.[wanted] ?? undefined) !== undefined
}

function lacking(wanted: string, body: unknown): Refusal {
  const names = typeof body === 'object' ? Object.keys(body ?? {}).slice(0, 10) : []
  return {
    code: null,
    message: `The answer lacks "${wanted}": it holds ${names.map((name) => `"${name}"`).join(', ') || 'nothing'}`,
    description:
      'Check the Base URL of the credential: it is where Tocsin itself answers. Where that is right, update n8n-nodes-tocsin or Tocsin, whichever is older.',
  }
}

const FIELD =
  'Change the field of the node that the message names; where it holds an expression, look at what that gives for this item.'
const VERSIONS =
  'Tocsin does not understand these nodes. Update n8n-nodes-tocsin or Tocsin, whichever is older.'

const REMEDIES: Record<string, string> = {
  invalid_request: FIELD,
  invalid_payload: FIELD,
  malformed_body: VERSIONS,
  unsupported_media_type: VERSIONS,
  method_not_allowed: VERSIONS,
  unauthorized:
    'Tocsin does not know the API Key of the credential, or it has expired. Put in one that is valid.',
  forbidden:
    'Make a key with that scope in Tocsin (POST /api/v1/projects/{project}/keys), and put its secret into the API Key of the credential.',
  plan_required:
    'Have the plan of the project changed to pro or team (PATCH /api/v1/projects/{project}), then run or activate the workflow again.',
  ingestion_disabled:
    'Switch on what the message names: a source with the operation Configure of Source, a project in Tocsin. Then run the workflow again.',
  ip_not_allowed: 'Add the address of n8n to the cidrs in the settings of the source, in Tocsin.',
  not_found: 'Choose one from the list, or check the ID and the project.',
  conflict:
    'A Dedupe Key has to be new for every new request: put something of the item into it. Where the same request is still under way, turn on Retry On Fail in the settings of the node.',
  payload_too_large: 'Shorten the longest field of the node, such as Description or Text.',
  rate_limited: 'Wait a little, or turn on Retry On Fail in the settings of the node.',
  unavailable:
    'Tocsin cannot reach its database right now. Turn on Retry On Fail in the settings of the node.',
  internal_error: 'Run it again. If it stays so, look into the log of Tocsin at this time.',
}
