/** An address as proxies write it, without port and brackets. */
export function bareAddress(written: string): string {
  const text = written.trim()
  const [, v4, v6] = /^(?:(\d+\.\d+\.\d+\.\d+)(?::\d+)?|\[([^\]]+)\](?::\d+)?)$/.exec(text) ?? []
  return (v4 ?? v6 ?? text).replace(/^::ffff:(?=\d+\.)/i, '')
}
