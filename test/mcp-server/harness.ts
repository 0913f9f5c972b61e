import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { ApiScope } from '../../core/api-types.ts'
import type { Tocsin } from '../../core/tocsin.ts'
import {
  createSurface,
  type Surface,
  type SurfaceOptions,
  type ToolResult,
} from '../../mcp-server/surface.ts'
import { tools } from '../../mcp-server/tools/index.ts'
import { ADMIN, type TestProject, type TestTocsin } from '../core/open-test-tocsin.ts'

/** What a key of this project with these scopes can do over MCP. */
export async function surfaceOf(
  project: TestProject,
  scopes: readonly ApiScope[],
  options: Partial<SurfaceOptions> = {},
): Promise<Surface> {
  return surfaceOn(project.test, await project.as(...scopes), options)
}

/** What a key of all projects can do. */
export function surfaceOfAll(t: TestTocsin, scopes: readonly ApiScope[] = ['admin']): Surface {
  return surfaceOn(t, t.tocsin.actingAs({ ...ADMIN, scopes }))
}

export function surfaceOn(t: TestTocsin, tocsin: Tocsin, options: Partial<SurfaceOptions> = {}): Surface {
  return createSurface({
    tocsin,
    readOnly: false,
    log: () => {},
    now: t.clock.now,
    random: randomUUID,
    ...options,
  })
}

// biome-ignore lint/suspicious/noExplicitAny: a result in a test is looked into by hand
export type Structured = Record<string, any>

/** Calls a tool that succeeds; its result is of the declared shape. */
export async function call(
  surface: Surface,
  name: string,
  args: object = {},
): Promise<Structured & { text: string }> {
  const result = await surface.callTool(name, args)
  expect(result.isError, textOf(result)).toBeUndefined()
  const { output } = tools.find((tool) => tool.name === name)!
  // A schema drops what it does not know, so an equal result holds nothing else.
  expect(output.parse(result.structuredContent)).toEqual(result.structuredContent)
  return { ...result.structuredContent, text: textOf(result) }
}

/** The error of a call that fails. */
export async function callError(surface: Surface, name: string, args: object = {}): Promise<string> {
  const result = await surface.callTool(name, args)
  expect(result).toEqual({ isError: true, content: [{ type: 'text', text: expect.any(String) }] })
  return textOf(result)
}

export function textOf(result: ToolResult): string {
  return result.content.map(({ text }) => text).join('\n')
}
