import type { INodeProperties } from 'n8n-workflow'

/** Parameters that several operations share. */

export const incident: INodeProperties = {
  displayName: 'Incident',
  name: 'incident',
  type: 'resourceLocator',
  required: true,
  default: { mode: 'list', value: '' },
  description: 'The incident to work on',
  displayOptions: {
    show: {
      resource: ['incident'],
      operation: ['acknowledge', 'addNote', 'draftPostmortem', 'get', 'reopen', 'resolve'],
    },
  },
  modes: [
    {
      displayName: 'From List',
      name: 'list',
      type: 'list',
      typeOptions: { searchListMethod: 'searchIncidents', searchable: true },
    },
    {
      displayName: 'By ID',
      name: 'id',
      type: 'string',
      placeholder: 'e.g. INC-042',
      hint: 'The ID or the reference',
    },
  ],
}

export const note: INodeProperties = {
  displayName: 'Note',
  name: 'note',
  type: 'string',
  typeOptions: { rows: 2 },
  default: '',
  description: 'Why, for the timeline; may stay empty',
  displayOptions: { show: { resource: ['incident'], operation: ['acknowledge', 'reopen', 'resolve'] } },
  routing: { send: { type: 'body', property: 'note', value: '={{ $value || undefined }}' } },
}

export const noteText: INodeProperties = {
  displayName: 'Text',
  name: 'text',
  type: 'string',
  typeOptions: { rows: 4 },
  required: true,
  default: '',
  description: 'What to write into the timeline',
  displayOptions: { show: { resource: ['incident'], operation: ['addNote'] } },
  routing: { send: { type: 'body', property: 'text' } },
}

export const simplify: INodeProperties = {
  displayName: 'Options',
  name: 'options',
  type: 'collection',
  placeholder: 'Add option',
  default: {},
  displayOptions: { show: { resource: ['incident'], operation: ['get', 'getAll'] } },
  options: [
    {
      displayName: 'Simplify',
      name: 'simplify',
      type: 'boolean',
      default: true,
      description: 'Whether to return a simplified version of the response instead of the raw data',
    },
  ],
}
