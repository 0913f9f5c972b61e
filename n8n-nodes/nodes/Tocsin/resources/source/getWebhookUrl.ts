import type { INodePropertyOptions } from 'n8n-workflow'
import { toSource, webhookUrlOfAnswer } from '../../requests.ts'

export const getWebhookUrl: INodePropertyOptions = {
  name: 'Get Webhook URL',
  value: 'getWebhookUrl',
  action: 'Get the webhook URL of a source',
  description: 'What to paste into the monitoring tool, and the steps to click there',
  routing: {
    request: { method: 'GET' },
    send: toSource,
    output: webhookUrlOfAnswer,
  },
}
