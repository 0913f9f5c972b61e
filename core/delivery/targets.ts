import { lookup } from 'node:dns/promises'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import ipaddr from 'ipaddr.js'
import { buildConnector } from 'undici'

/**
 * Where outgoing requests may go: public addresses, and private ones only where a setting lists them. Names are worth
 * nothing here: what counts are the addresses a connection is made to, so they are checked at the connect.
 */
export interface TargetRules {
  /** Networks besides public addresses (TOCSIN_ALLOW_PRIVATE_TARGETS). */
  allow: readonly string[]
  /** Whether this machine itself may be reached: while the server listens on a loopback address only. */
  loopback: boolean
}

/** All addresses of a name. */
export type Resolve = (hostname: string) => Promise<string[]>

/** A target the rules exclude. The message is a sentence for the person who chose it. */
export class TargetRefused extends Error {
  readonly code = 'TARGET_REFUSED'
  override readonly name = 'TargetRefused'
}

/**
 * Never, whatever a setting allows: here live the credentials of cloud machines (AWS, Azure, Google, Alibaba, Oracle)
 * and nothing that receives webhooks.
 */
const METADATA = networks([
  '169.254.0.0/16',
  'fe80::/10',
  '168.63.129.16/32',
  '100.100.100.200/32',
  '192.0.0.192/32',
  'fd00:ec2::/32',
  'fd20:ce::/32',
])

/** ipaddr.js calls these unicast: the old "IPv4-compatible" form, and everything nobody has been given yet. */
const NOT_PUBLIC = networks(['::/96'])
const GLOBAL_V6 = networks(['2000::/3'])

/** IPv4 in the last four bytes: compatible, mapped, translated, NAT64 (RFC 6052, RFC 8215). */
const TRANSLATED = networks(['::/96', '::ffff:0:0/96', '::ffff:0:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48'])
const SIX_TO_FOUR = networks(['2002::/16'])

const LOOPBACK = networks(['127.0.0.0/8', '::1/128'])

/**
 * What an address is under these rules. Throws TargetRefused, which does not name what a name has `resolved` to: how a
 * network is built inside is nobody's business who may only read the log.
 */
export function checkAddress(text: string, rules: TargetRules, resolved = false): 'public' | 'private' {
  const subject = resolved ? 'The host resolves to an address that' : text
  const address = parse(text)
  if (!address) throw new TargetRefused(`${subject} is none that can be sent to.`)
  if (isIn(address, METADATA) || embeddedIn(address).some((inner) => isIn(inner, METADATA))) {
    throw new TargetRefused(`${subject} may hold the credentials of a cloud machine and is never sent to.`)
  }
  // First, as a list may be wider than private networks.
  if (isPublic(address)) return 'public'
  if (rules.loopback && isIn(address, LOOPBACK)) return 'private'
  if (isIn(address, networks(rules.allow))) return 'private'
  throw new TargetRefused(
    `${subject} is not public. To send to it, list its network in TOCSIN_ALLOW_PRIVATE_TARGETS.`,
  )
}

/** Whether an address given in a URL is fit to be a target, as far as its text tells. Throws TargetRefused. */
export function checkUrl(text: string, rules: TargetRules): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || text.length > MOST_URL) {
    throw new TargetRefused(
      `It must be a whole address such as https://example.com/webhooks, at most ${MOST_URL} characters.`,
    )
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new TargetRefused('It must start with https://.')
  }
  if (url.username !== '' || url.password !== '') {
    throw new TargetRefused(
      'It may hold no user and password: they would be stored and shown. Verify the signature instead.',
    )
  }
  if (url.hash !== '') throw new TargetRefused('It may hold no part after #, which is never sent.')
  const host = hostOf(url.hostname)
  if (host === '') throw new TargetRefused('It names no host.')

  if (isIP(host) !== 0) checkKind(checkAddress(host, rules), url.protocol)
  else if (isLocalName(host)) {
    if (!rules.loopback && rules.allow.length === 0) {
      throw new TargetRefused(
        `${host} is this machine. To send to it, list its network in TOCSIN_ALLOW_PRIVATE_TARGETS.`,
      )
    }
  } else if (url.protocol === 'http:' && !rules.loopback && rules.allow.length === 0)
    checkKind('public', 'http:')
  return url
}

/**
 * The same, and what its name resolves to right now. A name that does not resolve passes: it may be set up later, and
 * every connect is checked anyway.
 */
export async function checkTarget(text: string, rules: TargetRules, resolve: Resolve): Promise<URL> {
  const url = checkUrl(text, rules)
  const host = hostOf(url.hostname)
  if (isIP(host) !== 0) return url
  const addresses = await resolve(host).catch(() => [])
  for (const address of addresses) checkKind(checkAddress(address, rules, true), url.protocol)
  return url
}

/** Connects like undici's own connector, but only to where the rules allow. */
export function guardedConnector(options: {
  rules: TargetRules
  timeoutMs: number
  resolve: Resolve
}): buildConnector.connector {
  const { rules, timeoutMs, resolve } = options
  const connectors = Object.fromEntries(
    ['https:', 'http:'].map((protocol) => [
      protocol,
      buildConnector({
        timeout: timeoutMs,
        allowH2: false,
        lookup: guardedLookup(protocol, rules, resolve),
      }),
    ]),
  )

  return (target, callback) => {
    const refuse = (error: Error) => callback(error, null)
    const connector = connectors[target.protocol]
    if (!connector) return refuse(new TargetRefused('It must start with https://.'))
    // A literal address is never looked up.
    const host = hostOf(target.hostname)
    const isName = isIP(host) === 0
    if (!isName) {
      const refusal = refusalOf(host, target.protocol, rules, false)
      if (refusal) return refuse(refusal)
    }

    connector(target, (...[error, socket]) => {
      if (error) return refuse(error)
      const refusal = refusalOf(peerOf(socket), target.protocol, rules, isName)
      if (!refusal) return callback(null, socket)
      socket.destroy()
      return refuse(refusal)
    })
  }
}

export const resolveByDns: Resolve = async (hostname) =>
  (await lookup(hostname, { all: true, verbatim: true })).map(({ address }) => address)

// ---- helpers ----

const MOST_URL = 2_000

/** Resolves once and hands on exactly the addresses that were checked, so that no second answer can differ. */
function guardedLookup(protocol: string, rules: TargetRules, resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    const answer = async () => {
      const addresses = await resolve(hostname)
      if (addresses.length === 0) throw Object.assign(new Error('no address'), { code: 'ENOTFOUND' })
      // One bad address among good ones is an attempt, not an accident.
      for (const address of addresses) checkKind(checkAddress(address, rules, true), protocol)
      return addresses.map((address) => ({ address, family: isIP(address) }))
    }
    answer().then(
      (found) => {
        if (options.all) callback(null, found)
        else callback(null, found[0]!.address, found[0]!.family)
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    )
  }
}

function refusalOf(
  address: string,
  protocol: string,
  rules: TargetRules,
  resolved: boolean,
): Error | undefined {
  try {
    checkKind(checkAddress(address, rules, resolved), protocol)
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new TargetRefused('It may not be sent to.')
  }
}

function peerOf(socket: Socket): string {
  return socket.remoteAddress ?? 'An unknown address'
}

function checkKind(kind: 'public' | 'private', protocol: string): void {
  if (kind === 'public' && protocol !== 'https:') {
    throw new TargetRefused(
      'Only https:// goes to public addresses: what is sent must not be read on the way.',
    )
  }
}

/** Without the brackets of IPv6 and the dot that ends a name. */
function hostOf(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
}

function isLocalName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost')
}

type Address = ipaddr.IPv4 | ipaddr.IPv6
type Network = [Address, number]

/** Only the usual spellings, and none with a zone. */
function parse(text: string): Address | undefined {
  if (isIP(text) === 0 || text.includes('%')) return undefined
  return ipaddr.isValid(text) ? ipaddr.parse(text) : undefined
}

/** The IPv4 address an IPv6 one leads to where a translator stands in between. */
function embeddedIn(address: Address): ipaddr.IPv4[] {
  if (address.kind() === 'ipv4') return []
  const bytes = address.toByteArray()
  if (isIn(address, TRANSLATED)) return [new ipaddr.IPv4(bytes.slice(12))]
  return isIn(address, SIX_TO_FOUR) ? [new ipaddr.IPv4(bytes.slice(2, 6))] : []
}

function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast' || isIn(address, NOT_PUBLIC)) return false
  return address.kind() === 'ipv4' || isIn(address, GLOBAL_V6)
}

function isIn(address: Address, list: readonly Network[]): boolean {
  return list.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))
}

function networks(texts: readonly string[]): Network[] {
  return texts.map((text) => {
    if (text.includes('/')) return ipaddr.parseCIDR(text)
    const address = ipaddr.parse(text)
    return [address, address.kind() === 'ipv4' ? 32 : 128]
  })
}
