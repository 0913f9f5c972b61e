import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { listMessageSchemas, messageExample } from '../../ingest/message-schema.ts'
import { inRepository } from '../support/child.ts'

const path = inRepository('docs/webhook-events.md')

test('the page shows each type as the code does; `npx vitest run test/docs -u` brings it up to date', async () => {
  const [preface] = readFileSync(path, 'utf8').split(/^## /m)
  const sections = listMessageSchemas().schemas.map(({ type, description, url }) => {
    const example = JSON.stringify(messageExample(type), null, 2)
    return `## \`${type}\`\n\n${description}\n\nSchema: \`${url}\`\n\n\`\`\`json\n${example}\n\`\`\`\n`
  })
  await expect(preface + sections.join('\n')).toMatchFileSnapshot(path)
})
