import type { INodeProperties } from 'n8n-workflow'

/** Parameters that both nodes have. */

export const SEVERITIES = [
  { name: 'Critical', value: 'critical' },
  { name: 'High', value: 'high' },
  { name: 'Info', value: 'info' },
  { name: 'Low', value: 'low' },
  { name: 'Medium', value: 'medium' },
]

export const severities: INodeProperties = {
  displayName: 'Severities',
  name: 'severities',
  type: 'multiOptions',
  options: SEVERITIES,
  default: [],
}

export const project: INodeProperties = {
  displayName: 'Project',
  name: 'project',
  type: 'resourceLocator',
  default: { mode: 'list', value: '' },
  description: "Leave empty for the key's own project",
  modes: [
    {
      displayName: 'From List',
      name: 'list',
      type: 'list',
      placeholder: "The key's own project",
      typeOptions: { searchListMethod: 'searchProjects', searchable: true },
    },
    {
      displayName: 'By ID',
      name: 'id',
      type: 'string',
      placeholder: 'e.g. 3f0c8d3e-9d6b-4c52-8a55-6f1f0a3c7e21',
    },
  ],
}

export const source: INodeProperties = {
  displayName: 'Source',
  name: 'source',
  type: 'resourceLocator',
  default: { mode: 'list', value: '' },
  modes: [
    {
      displayName: 'From List',
      name: 'list',
      type: 'list',
      typeOptions: { searchListMethod: 'searchSources', searchable: true },
    },
    {
      displayName: 'By ID',
      name: 'id',
      type: 'string',
      placeholder: 'e.g. 019a6d3c-5f0e-7c7a-9c55-0f7d7b0d2a11',
    },
  ],
}
