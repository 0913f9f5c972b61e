/** The public names of @tocsin/mcp-server. */
export { type McpHandler, type McpOptions, mcpHandler } from './http.ts'
