import type { Tool } from '../define-tool.ts'
import { configureWebhook } from './configure-webhook.ts'
import { draftPostmortem } from './draft-postmortem.ts'
import { getIncident } from './get-incident.ts'
import { getWebhookUrl } from './get-webhook-url.ts'
import { listIncidents } from './list-incidents.ts'
import { updateIncident } from './update-incident.ts'

/** Every tool, in the order clients see them. */
export const tools: readonly Tool[] = [
  getWebhookUrl,
  configureWebhook,
  listIncidents,
  getIncident,
  updateIncident,
  draftPostmortem,
]
