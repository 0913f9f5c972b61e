import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium, type Page, selectors } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inRepository } from '../support/child.ts'
import { findProgram } from '../support/find-program.ts'
import type { Workflow } from './n8n-process.ts'
import { openWorld, triggerAlone, type World } from './world.ts'

/** `TOCSIN_PICTURES=n8n-nodes/pictures npm run test:n8n` renews the pictures of the README. */
const PICTURES = process.env.TOCSIN_PICTURES
const FOLDER = inRepository('n8n-nodes/workflows')
const program = findProgram('chromium', 'On Debian: apt-get install chromium.')

describe.skipIf(program === undefined)('the editor', () => {
  let world: World
  let browser: Browser
  let page: Page

  beforeAll(async () => {
    selectors.setTestIdAttribute('data-test-id')
    world = await openWorld()
    browser = await chromium.launch({ executablePath: program!, args: ['--no-sandbox'] })
    const context = await browser.newContext({ viewport: { width: 1280, height: 760 } })
    await context.route(
      (url) => url.hostname !== '127.0.0.1',
      (route) => route.abort(),
    )
    page = await context.newPage()
    await page.goto(`${world.n8n.address}/signin`)
    await page.locator('input[type=email]').fill(world.n8n.owner.email)
    await page.locator('input[type=password]').fill(world.n8n.owner.password)
    await page.locator('button:has-text("Sign in")').click()
    await page.waitForURL(/\/home\//)
  })
  afterAll(async () => {
    await browser?.close()
    await world?.close()
  })

  test.each(readdirSync(FOLDER))('%s is imported as it is, and n8n knows all of it', async (file) => {
    const workflow = JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as Workflow
    const { id } = await world.n8n.rest<{ id: string }>('POST', '/workflows', workflow)
    await page.goto(`${world.n8n.address}/workflow/${id}`)
    for (const { name, type } of workflow.nodes) {
      if (type.endsWith('.stickyNote')) continue
      await page.locator(`[data-node-name="${name}"]`).first().waitFor()
    }
    expect(await page.getByText('not currently installed').count()).toBe(0)
  })

  test('a ready workflow opens, with nothing that n8n does not know', async () => {
    const workflow = JSON.parse(readFileSync(`${FOLDER}/slack-acknowledge.json`, 'utf8')) as Workflow
    const slackApi = await world.n8n.createCredential('slackApi', { accessToken: 'xoxb-1' })
    for (const node of workflow.nodes) {
      if (node.type.startsWith('n8n-nodes-tocsin.')) node.credentials = { tocsinApi: world.credential }
      if (node.type.endsWith('.slack')) node.credentials = { slackApi }
    }
    // As an import does, with the sample that is pinned to the trigger.
    const { id } = await world.n8n.rest<{ id: string }>('POST', '/workflows', workflow)
    await page.goto(`${world.n8n.address}/workflow/${id}`)
    await page.getByText('Tocsin Trigger').first().waitFor()
    expect(await page.getByText('not currently installed').count()).toBe(0)
    await allIconsAreDrawn()
    await picture('workflow')
  })

  test('the panel of nodes finds Tocsin, and shows what it can start and do', async () => {
    await page.getByTestId('node-creator-plus-button').click()
    await page.getByTestId('node-creator-search-bar').fill('tocsin')
    const found = page.getByTestId('node-creator-item-name').filter({ hasText: /^Tocsin$/ })
    await found.first().click()
    for (const name of ['Acknowledge an incident', 'Draft the postmortem of an incident']) {
      await page.getByText(name).first().waitFor()
    }
    await allIconsAreDrawn()
    await picture('panel')
    await page.keyboard.press('Escape')
  })

  test('the trigger shows what it can be asked for, and a sample item', async () => {
    await page.locator('[data-node-name="Tocsin Trigger"]').first().dblclick()
    await page.getByText('Incident Opened').first().waitFor()
    await page.getByText('INC-042').first().waitFor()
    await picture('trigger')
  })

  test('a fresh trigger shows the newest incident as soon as its step is executed', async () => {
    const title = `Sample ${randomUUID()}`
    await world.tocsin.api('POST', `/projects/${world.tocsin.projectId}/incidents`, { title })
    const id = await world.n8n.createWorkflow(triggerAlone(world.credential))
    await page.goto(`${world.n8n.address}/workflow/${id}`)
    await page.locator('[data-node-name="Tocsin Trigger"]').first().dblclick()
    expect(await page.getByText(title).count()).toBe(0)
    await page.locator('#app-modals').getByRole('button', { name: 'Execute step' }).first().click()
    await page.getByText(title).first().waitFor()
  })

  test('the credential shows the sentence that refuses a key; of a key that will do it shows no sentence', async () => {
    const open = async (apiToken: string) => {
      const data = { baseUrl: world.tocsin.address, apiToken }
      const { id } = await world.n8n.createCredential('tocsinApi', data)
      await page.goto(`${world.n8n.address}/home/credentials/${id}`)
    }
    await open('wrong')
    await page.getByText('More details').first().click()
    await page.getByText('Put in one that is valid.').first().waitFor()
    await open(await world.createKey(['incidents:read']))
    await page.getByText('Connection tested successfully').first().waitFor()
    expect(await page.getByText('Tocsin knows this key').count()).toBe(0)
  })

  async function allIconsAreDrawn() {
    const icons = page.locator('img[src*="n8n-nodes-tocsin"]')
    await icons.first().waitFor()
    const widths = await icons.evaluateAll((all) =>
      all.map((icon) => (icon as unknown as { naturalWidth: number }).naturalWidth),
    )
    expect(widths.every((width) => width > 0)).toBe(true)
  }

  async function picture(name: string) {
    if (!PICTURES) return
    mkdirSync(inRepository(PICTURES), { recursive: true })
    await page.waitForLoadState('networkidle')
    await page.screenshot({ path: join(inRepository(PICTURES), `${name}.png`), animations: 'disabled' })
  }
})
