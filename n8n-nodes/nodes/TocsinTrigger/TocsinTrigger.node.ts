import {
  type IDataObject,
  type IHookFunctions,
  type INodeType,
  type INodeTypeDescription,
  type IWebhookFunctions,
  type IWebhookResponseData,
  NodeConnectionTypes,
} from 'n8n-workflow'
import { tocsinApiTest } from '../shared/credential-test.ts'
import { project, severities } from '../shared/fields.ts'
import { searchProjects, sourceOptions } from '../shared/list-search.ts'
import { simplifyMessage } from '../shared/simplify.ts'
import { words } from './filters.ts'
import { isRegistered, register, registrationFor, unregister } from './registration.ts'
import { admit } from './repeats.ts'
import { type Message, sampleFor } from './sample.ts'
import { verify } from './verify.ts'

export class TocsinTrigger implements INodeType {
  description: INodeTypeDescription = {
    displayName: 'Tocsin Trigger',
    name: 'tocsinTrigger',
    icon: { light: 'file:../../icons/tocsin.svg', dark: 'file:../../icons/tocsin.dark.svg' },
    group: ['trigger'],
    version: 1,
    subtitle: '={{ [$parameter["events"]].flat().join(", ") }}',
    description: 'Starts the workflow when an incident opens, is acknowledged or is resolved in Tocsin',
    eventTriggerDescription: 'Waiting for Tocsin',
    activationMessage: 'Tocsin now sends its incidents to this workflow.',
    defaults: { name: 'Tocsin Trigger' },
    inputs: [],
    outputs: [NodeConnectionTypes.Main],
    credentials: [{ name: 'tocsinApi', required: true, testedBy: 'tocsinApiTest' }],
    webhooks: [
      { name: 'default', httpMethod: 'POST', responseMode: 'onReceived', responseData: '', path: 'webhook' },
    ],
    triggerPanel: {
      header: 'Hear of incidents from Tocsin',
      executionsHelp: {
        inactive:
          'While you build, click Execute Step: n8n registers its test address in Tocsin, and Tocsin answers with the newest incident. With the option Wait for a Message it listens until something happens. Activate the workflow to have every message start it.',
        active:
          'The workflow is active: every message of Tocsin starts it. To try a change, click Execute Step: the test address is another one and is registered apart.',
      },
      activationHint:
        'Activate the workflow and Tocsin gets its address; deactivate it and Tocsin forgets the address.',
    },
    properties: [
      {
        displayName: 'Events',
        name: 'events',
        type: 'multiOptions',
        required: true,
        default: ['incident.opened', 'incident.acknowledged', 'incident.resolved'],
        description: 'What starts the workflow',
        options: [
          {
            name: 'Incident Acknowledged',
            value: 'incident.acknowledged',
            description: 'Someone is on it',
          },
          { name: 'Incident Opened', value: 'incident.opened', description: 'A new incident' },
          {
            name: 'Incident Reopened',
            value: 'incident.reopened',
            description: 'A resolved incident is open again',
          },
          {
            name: 'Incident Resolved',
            value: 'incident.resolved',
            description: 'It is over, by the monitoring tool or by hand',
          },
          { name: 'Test', value: 'test', description: 'A test sent from Tocsin; it holds no incident' },
        ],
      },
      {
        displayName: 'Options',
        name: 'options',
        type: 'collection',
        placeholder: 'Add option',
        default: {},
        options: [
          {
            displayName: 'Drills',
            name: 'drills',
            type: 'boolean',
            default: true,
            description: 'Whether drills start the workflow too',
          },
          {
            displayName: 'Labels',
            name: 'labels',
            type: 'fixedCollection',
            typeOptions: { multipleValues: true },
            placeholder: 'Add label',
            default: {},
            description: 'Only incidents that have all of these labels',
            options: [
              {
                displayName: 'Label',
                name: 'label',
                values: [
                  {
                    displayName: 'Name',
                    name: 'name',
                    type: 'string',
                    default: '',
                    placeholder: 'e.g. team',
                  },
                  {
                    displayName: 'Value',
                    name: 'value',
                    type: 'string',
                    default: '',
                    placeholder: 'e.g. shop',
                  },
                ],
              },
            ],
          },
          project,
          {
            displayName: 'Services',
            name: 'services',
            type: 'string',
            default: '',
            placeholder: 'e.g. checkout, payments',
            description: 'Only incidents of any of these services, separated by commas',
          },
          { ...severities, description: 'Only incidents of these severities' },
          {
            displayName: 'Simplify',
            name: 'simplify',
            type: 'boolean',
            default: true,
            description: 'Whether to return a simplified version of the response instead of the raw data',
          },
          {
            displayName: 'Source Names or IDs',
            name: 'sources',
            type: 'multiOptions',
            typeOptions: { loadOptionsMethod: 'sourceOptions' },
            default: [],
            description:
              'Only incidents of these sources. Choose from the list, or specify IDs using an <a href="https://docs.n8n.io/code/expressions/">expression</a>.',
          },
          {
            displayName: 'Wait for a Message',
            name: 'wait',
            type: 'boolean',
            default: true,
            description:
              'Whether Execute Step waits until something happens in Tocsin. Otherwise it gets the newest incident at once, as a sample.',
          },
        ],
      },
    ],
  }

  methods = {
    credentialTest: { tocsinApiTest },
    listSearch: { searchProjects },
    loadOptions: { sourceOptions },
  }

  webhookMethods = {
    default: {
      async checkExists(this: IHookFunctions): Promise<boolean> {
        return isRegistered(this)
      },
      async create(this: IHookFunctions): Promise<boolean> {
        await register(this)
        return true
      },
      async delete(this: IHookFunctions): Promise<boolean> {
        await unregister(this)
        return true
      },
    },
  }

  async webhook(this: IWebhookFunctions): Promise<IWebhookResponseData> {
    const registration = await registrationFor(this)
    const { rawBody } = this.getRequestObject()
    const headers = this.getHeaderData()
    const response = this.getResponseObject()
    const now = Date.now()
    const signed = registration.secret && verify({ headers, rawBody }, registration.secret, now)
    if (!signed) {
      if (!registration.secret)
        this.logger.warn('Tocsin Trigger: no secret is stored, so nothing can be verified')
      const message = 'The signature does not hold for this body, or the time is not within five minutes.'
      response.status(401).json({ ok: false, message })
      return { noWebhookResponse: true }
    }

    // Of the bytes that were verified, whatever n8n made of them.
    const sent = JSON.parse(rawBody.toString('utf8')) as Message
    const { sample } = registration
    const message: IDataObject = {
      webhookId: signed.id,
      ...(sample && sent.type === 'test' ? sampleFor(sent, sample) : sent),
    }
    const wanted = words(this.getNodeParameter('events', []))
    if (!wanted.includes(String(message.type))) return { webhookResponse: { ok: true, ignored: true } }

    const arrival = { ...signed, isReplay: headers['tocsin-replay'] === 'true' }
    const start = admit(registration.endpointId ?? '', registration.taken ?? [], arrival, now)
    if (start === 'repeat' && !arrival.isReplay) return { webhookResponse: { ok: true, repeat: true } }
    if (start === 'repeat' || start === 'busy') {
      // A replay within the second of what it repeats is the same request: sent again, it has a time of its own.
      const message =
        start === 'busy'
          ? 'The same message is just starting the workflow. Send it again, in case that fails.'
          : 'This very request came before. Send it again with a new time.'
      response.status(409).json({ ok: false, message })
      return { noWebhookResponse: true }
    }
    // Of a start that failed n8n tells only the sender.
    response.once('finish', start.failed)

    const simplify = this.getNodeParameter('options.simplify', false) as boolean
    return {
      workflowData: [[{ json: simplify ? simplifyMessage(message) : message }]],
      // n8n reads the answer when the execution is stored, and right then saves what changed in the static data. What
      // was changed before is not seen as a change (the execution makes its own copy), and would note what may yet fail.
      get webhookResponse() {
        registration.taken = start.done()
        return { ok: true }
      },
    }
  }
}
