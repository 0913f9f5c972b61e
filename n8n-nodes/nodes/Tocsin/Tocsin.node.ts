import { type INodeType, type INodeTypeDescription, NodeConnectionTypes } from 'n8n-workflow'
import { tocsinApiTest } from '../shared/credential-test.ts'
import { project } from '../shared/fields.ts'
import {
  searchGenericSources,
  searchIncidents,
  searchProjects,
  searchSources,
  sourceOptions,
} from '../shared/list-search.ts'
import { eventProperties } from './resources/event/index.ts'
import { incidentProperties } from './resources/incident/index.ts'
import { sourceProperties } from './resources/source/index.ts'

export class Tocsin implements INodeType {
  description: INodeTypeDescription = {
    displayName: 'Tocsin',
    name: 'tocsin',
    icon: { light: 'file:../../icons/tocsin.svg', dark: 'file:../../icons/tocsin.dark.svg' },
    group: ['transform'],
    version: 1,
    subtitle: '={{ $parameter["operation"] + ": " + $parameter["resource"] }}',
    description: 'Read and work on incidents of Tocsin, send events, set up sources',
    defaults: { name: 'Tocsin' },
    usableAsTool: true,
    inputs: [NodeConnectionTypes.Main],
    outputs: [NodeConnectionTypes.Main],
    credentials: [{ name: 'tocsinApi', required: true, testedBy: 'tocsinApiTest' }],
    requestDefaults: {
      // So that n8n knows the host; the whole address is made in requests.ts.
      baseURL: '={{ $credentials.baseUrl }}',
      json: true,
      // What Tocsin says about a refusal is better than a status (requests.ts).
      ignoreHttpStatusErrors: true,
    },
    properties: [
      {
        displayName: 'Resource',
        name: 'resource',
        type: 'options',
        noDataExpression: true,
        options: [
          { name: 'Event', value: 'event' },
          { name: 'Incident', value: 'incident' },
          { name: 'Source', value: 'source' },
        ],
        default: 'incident',
      },
      project,
      ...incidentProperties,
      ...eventProperties,
      ...sourceProperties,
    ],
  }

  methods = {
    credentialTest: { tocsinApiTest },
    listSearch: { searchGenericSources, searchIncidents, searchProjects, searchSources },
    loadOptions: { sourceOptions },
  }
}
