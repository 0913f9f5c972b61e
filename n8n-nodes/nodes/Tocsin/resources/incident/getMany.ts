import type { INodeProperties, INodePropertyOptions } from 'n8n-workflow'
import { severities } from '../../../shared/fields.ts'
import { incidentPages, toAddress, wholeAnswer } from '../../requests.ts'

export const getMany: INodePropertyOptions = {
  name: 'Get Many',
  value: 'getAll',
  action: 'Get many incidents',
  description: 'List incidents, newest first',
  routing: {
    request: { method: 'GET', url: '/projects/{project}/incidents' },
    send: { ...toAddress, paginate: true },
    operations: { pagination: incidentPages },
    output: wholeAnswer('incidents'),
  },
}

const show = { resource: ['incident'], operation: ['getAll'] }
// An agent may give one word where people choose several.
const LIST = '={{ [$value].flat().join(",") || undefined }}'
// What is no time goes as it is, so that Tocsin can say so.
const TIME = '={{ (isNaN(new Date($value)) ? $value : new Date($value).toISOString()) || undefined }}'

export const getManyFields: INodeProperties[] = [
  {
    displayName: 'Return All',
    name: 'returnAll',
    type: 'boolean',
    default: false,
    description: 'Whether to return all results or only up to a given limit',
    displayOptions: { show },
  },
  {
    displayName: 'Limit',
    name: 'limit',
    type: 'number',
    typeOptions: { minValue: 1 },
    default: 50,
    description: 'Max number of results to return',
    displayOptions: { show: { ...show, returnAll: [false] } },
  },
  {
    displayName: 'Filters',
    name: 'filters',
    type: 'collection',
    placeholder: 'Add filter',
    default: {},
    displayOptions: { show },
    options: [
      {
        displayName: 'Drill',
        name: 'drill',
        type: 'boolean',
        default: false,
        description: 'Whether to return drills only; switched off, drills are left out',
        routing: { send: { type: 'query', property: 'drill', value: '={{ String($value) }}' } },
      },
      {
        displayName: 'Opened After',
        name: 'since',
        type: 'dateTime',
        default: '',
        routing: { send: { type: 'query', property: 'since', value: TIME } },
      },
      {
        displayName: 'Opened Before',
        name: 'until',
        type: 'dateTime',
        default: '',
        routing: { send: { type: 'query', property: 'until', value: TIME } },
      },
      {
        displayName: 'Search',
        name: 'q',
        type: 'string',
        default: '',
        description: 'Words of the title, or a reference',
        routing: { send: { type: 'query', property: 'q', value: '={{ $value || undefined }}' } },
      },
      {
        displayName: 'Services',
        name: 'service',
        type: 'string',
        default: '',
        placeholder: 'e.g. checkout, payments',
        description: 'Any of these services, separated by commas',
        routing: {
          send: {
            type: 'query',
            property: 'service',
            value:
              '={{ [$value].flat().join(",").split(",").map((one) => one.trim()).filter((one) => one).join(",") || undefined }}',
          },
        },
      },
      { ...severities, routing: { send: { type: 'query', property: 'severity', value: LIST } } },
      {
        displayName: 'Source Names or IDs',
        name: 'source',
        type: 'multiOptions',
        typeOptions: { loadOptionsMethod: 'sourceOptions' },
        default: [],
        description:
          'Choose from the list, or specify IDs using an <a href="https://docs.n8n.io/code/expressions/">expression</a>',
        routing: { send: { type: 'query', property: 'source', value: LIST } },
      },
      {
        displayName: 'Status',
        name: 'status',
        type: 'multiOptions',
        default: [],
        options: [
          { name: 'Acknowledged', value: 'acknowledged' },
          { name: 'Open', value: 'open' },
          { name: 'Resolved', value: 'resolved' },
        ],
        routing: { send: { type: 'query', property: 'status', value: LIST } },
      },
    ],
  },
]
