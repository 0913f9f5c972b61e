import {
  type IDataObject,
  type IExecutePaginationFunctions,
  type IExecuteSingleFunctions,
  type IHttpRequestOptions,
  type IN8nHttpFullResponse,
  type INodeExecutionData,
  type INodeParameterResourceLocator,
  type INodeRequestOutput,
  type INodeRequestSend,
  NodeOperationError,
} from 'n8n-workflow'
import { simplifyIncident } from '../shared/simplify.ts'
import { apiUrl, callTocsin, pathPart, projectId, throwRefusal } from '../shared/transport.ts'

/** What the declarations of the operations hook into: the address before, the answer after a request. */

const MOST_PER_PAGE = 100
const MASKED = '********'

/** Fills in {project} and {incident} of an operation's address. */
export const toAddress: INodeRequestSend = {
  preSend: [
    async function (this, options) {
      const project = await chosenProject(this)
      const url = options.url
        .replace('{project}', () => project)
        .replace('{incident}', () =>
          pathPart(this, 'Incident', chosen(this, 'incident', 'Choose an incident')),
        )
      return { ...options, baseURL: await apiUrl(this), url }
    },
  ],
}

/** The same where a source may be named by its tool. */
export const toSource: INodeRequestSend = {
  preSend: [
    async function (this, options) {
      const project = await chosenProject(this)
      const whole = { ...options, baseURL: await apiUrl(this) }
      return addressSource(this, whole, `/projects/${project}/sources`)
    },
  ],
}

/**
 * The Dedupe Key as a header, without blanks around it; none where the field is empty. Throws NodeOperationError where
 * it cannot be one.
 */
export const withDedupeKey: INodeRequestSend = {
  preSend: [
    async function (this, options) {
      const key = String(this.getNodeParameter('additionalFields.dedupeKey', '') ?? '').trim()
      if (key === '') return options
      if (/^[\x20-\x7e]{1,255}$/.test(key)) {
        return { ...options, headers: { ...options.headers, 'Idempotency-Key': key } }
      }
      throw new NodeOperationError(
        this.getNode(),
        'Dedupe Key: it may hold up to 255 letters, digits and signs of ASCII',
        {
          description:
            'An umlaut, an emoji or a line break cannot be sent in it. Use an ID, such as {{ $execution.id }}.',
        },
      )
    },
  ],
}

/** Puts out what the answer holds under this name. */
export function answerOf(name: string): INodeRequestOutput {
  return {
    postReceive: [
      async function (this, _items, response) {
        const entry = bodyOf(this, response, name)[name] as IDataObject
        return [item(this, name === 'incident' && isSimplified(this) ? simplifyIncident(entry) : entry)]
      },
    ],
  }
}

/** Puts out the answer as it is, which has to hold something under this name. */
export function wholeAnswer(name: string): INodeRequestOutput {
  return {
    postReceive: [
      async function (this, _items, response) {
        return [item(this, bodyOf(this, response, name))]
      },
    ],
  }
}

/** What someone pastes into a monitoring tool. */
export const webhookUrlOfAnswer: INodeRequestOutput = {
  postReceive: [
    async function (this, _items, response) {
      const { source } = bodyOf(this, response, 'source')
      const { id, adapter, name, enabled, address, url, secret, setup } = source as IDataObject
      const isMasked = [url, secret].some((text) => String(text).includes(MASKED))
      const hint = 'The key lacks the scope secrets:read, so the secret part is masked.'
      return [
        item(this, { id, adapter, name, enabled, address, url, secret, setup, ...(isMasked && { hint }) }),
      ]
    },
  ],
}

/** Page after page of incidents, as many as the node asks for. */
export async function incidentPages(
  this: IExecutePaginationFunctions,
  request: Parameters<IExecutePaginationFunctions['makeRoutingRequest']>[0],
): Promise<INodeExecutionData[]> {
  const isAll = this.getNodeParameter('returnAll', false) as boolean
  const wanted = isAll ? Number.POSITIVE_INFINITY : (this.getNodeParameter('limit', 50) as number)
  const simplify = isSimplified(this)

  const items: INodeExecutionData[] = []
  const qs = (request.options.qs ?? {}) as IDataObject
  let cursor: string | null = null
  do {
    qs.limit = Math.min(wanted - items.length, MOST_PER_PAGE)
    if (cursor !== null) qs.cursor = cursor
    const [page] = await this.makeRoutingRequest({ ...request, options: { ...request.options, qs } })
    const { incidents, nextCursor } = page!.json as { incidents: IDataObject[]; nextCursor: string | null }
    items.push(...incidents.map((one) => item(this, simplify ? simplifyIncident(one) : one)))
    cursor = nextCursor
  } while (cursor !== null && items.length < wanted)
  return items
}

async function addressSource(
  context: IExecuteSingleFunctions,
  options: IHttpRequestOptions,
  sources: string,
): Promise<IHttpRequestOptions> {
  const { mode, value } = context.getNodeParameter('source') as INodeParameterResourceLocator
  const id = chosen(context, 'source', 'Choose a source')
  if (mode !== 'tool') return { ...options, url: `${sources}/${pathPart(context, 'Source', id)}` }

  const found = await sourcesOfTool(context, sources, id)
  const [only] = found
  if (found.length > 1) {
    throw new NodeOperationError(
      context.getNode(),
      `There are ${found.length} sources of the tool ${value}`,
      {
        description: `Choose one from the list or by its ID: ${found.map(({ id, name }) => `${name} (${id})`).join(', ')}`,
      },
    )
  }
  if (only) return { ...options, url: `${sources}/${pathPart(context, 'Source', only.id)}` }

  const { enabled = true, ...settings } = options.body as IDataObject
  if (options.method === 'PATCH' && enabled) {
    return { ...options, method: 'POST', url: sources, body: { ...settings, adapter: id } }
  }
  throw new NodeOperationError(context.getNode(), `The project has no source of the tool ${value}`, {
    description: 'Run Source: Configure with this tool to create one.',
  })
}

async function sourcesOfTool(context: IExecuteSingleFunctions, sources: string, tool: string) {
  const found: { id: string; name: string; adapter: string }[] = []
  let cursor: string | null = null
  do {
    const page: { sources: typeof found; nextCursor: string | null } = await callTocsin(context, {
      path: sources,
      wanted: 'sources',
      qs: { limit: MOST_PER_PAGE, ...(cursor !== null && { cursor }) },
    })
    found.push(...page.sources.filter(({ adapter }) => adapter === tool))
    cursor = page.nextCursor
  } while (cursor !== null)
  return found
}

/** As a part of a path. */
async function chosenProject(context: IExecuteSingleFunctions): Promise<string> {
  const chosen = context.getNodeParameter('project', '', { extractValue: true }) as string
  return pathPart(context, 'Project', await projectId(context, chosen))
}

function chosen(context: IExecuteSingleFunctions, name: string, otherwise: string): string {
  const value = context.getNodeParameter(name, '', { extractValue: true })
  if (value) return String(value).trim()
  throw new NodeOperationError(context.getNode(), otherwise, {
    description: 'The field is empty, or its expression finds nothing in this item.',
  })
}

function bodyOf(
  context: IExecuteSingleFunctions,
  response: IN8nHttpFullResponse,
  wanted: string,
): IDataObject {
  throwRefusal(context, response, { wanted, itemIndex: context.getItemIndex() })
  return response.body as IDataObject
}

function isSimplified(context: IExecuteSingleFunctions): boolean {
  return context.getNodeParameter('options.simplify', false) as boolean
}

function item(context: IExecuteSingleFunctions, json: IDataObject): INodeExecutionData {
  return { json, pairedItem: { item: context.getItemIndex() } }
}
