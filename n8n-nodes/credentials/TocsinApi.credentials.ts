import type { IAuthenticateGeneric, ICredentialType, Icon, INodeProperties } from 'n8n-workflow'

/** Tested by the nodes (nodes/shared/credential-test.ts): a declarative test cannot say what a key lacks. */
export class TocsinApi implements ICredentialType {
  name = 'tocsinApi'

  displayName = 'Tocsin API'

  icon: Icon = { light: 'file:../icons/tocsin.svg', dark: 'file:../icons/tocsin.dark.svg' }

  documentationUrl = 'https://github.com/tocsin/tocsin/tree/main/n8n-nodes#credential'

  properties: INodeProperties[] = [
    {
      displayName: 'Base URL',
      name: 'baseUrl',
      type: 'string',
      default: '',
      required: true,
      placeholder: 'e.g. https://tocsin.example.com',
      description: 'Where Tocsin answers, as its start prints it',
    },
    {
      displayName: 'API Key',
      name: 'apiToken',
      type: 'string',
      typeOptions: { password: true },
      default: '',
      required: true,
      description: 'A key of the project, with the scopes of what the workflows do',
    },
  ]

  authenticate: IAuthenticateGeneric = {
    type: 'generic',
    properties: { headers: { Authorization: '=Bearer {{$credentials.apiToken.trim()}}' } },
  }
}
