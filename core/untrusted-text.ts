import { stripVTControlCharacters } from 'node:util'

/**
 * Text of strangers made fit for readers, human or model: without characters nobody sees (controls, terminal
 * sequences, bidi marks, zero-width and tag characters), with what looks like a secret masked, cut to `most` UTF-16
 * units. Line feeds stay. Done twice it changes nothing more, in Markdown either, where brackets are escaped. What is
 * stored keeps everything; this is for showing.
 */
export function cleanText(text: string, most: number): string {
  const seen = stripVTControlCharacters(text.slice(0, MOST_READ).toWellFormed())
    .replace(LINE_END, '\n')
    .replaceAll('\t', ' ')
    .replace(UNSEEN, '')
  return cut(maskSecrets(seen), most)
}

/** On one line, too, for titles and names. */
export function cleanLine(text: string, most: number): string {
  return cut(cleanText(text, MOST_READ).replace(/\s+/g, ' ').trim(), most)
}

const MOST_READ = 100_000
const MASK = '[masked]'

const LINE_END = /\r\n|[\r\u0085\u2028\u2029]/g
/** Controls but the line feed, format and private characters, and all that Unicode says to ignore when drawing. */
const UNSEEN = /[^\P{Cc}\n]|[\p{Cf}\p{Co}\p{Default_Ignorable_Code_Point}]/gu

const PASSWORD = String.raw`\b[\w.-]{0,40}(?:passw(?:or)?d|passphrase|pwd)`
const SECRET = String.raw`\b[\w.-]{0,40}(?:secret|token|credentials?|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key|signature|session(?:[_-]?id)?|cookie|authorization)`
/** Of names that no prose has: what follows them is a secret even if it looks like a word. */
const SURE_SECRET = String.raw`\b(?:client[_-]?secret|x-api-key|account[_-]?key)`
/** May be escaped, as in JSON within JSON. */
const QUOTE = String.raw`(?:\\{0,3}["'])`
const UNMASKED = String.raw`(?!\\?\[masked)`
const VALUE = String.raw`[^\s"'&,;)}\]]`

/** A name and what stands between it and its value: `signs` of which one must be there. */
function named(name: string, signs: string): string {
  return String.raw`${name}${QUOTE}?\s{0,3}[${signs}]\s{0,3}`
}

/** A value in quotation marks up to the same one again, or to the end of the line. */
function quoted(name: string, signs: string, hint = ''): RegExp {
  return new RegExp(
    String.raw`(${named(name, signs)}\\{0,3}(["']))${UNMASKED}${hint}(?:(?!\2)[^\n]){1,500}`,
    'gi',
  )
}

/** Each with the part to keep as its first group; what follows it is masked. */
const SECRETS: readonly RegExp[] = [
  /()-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{0,10000}?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|$)/g,
  // User and password of an address, up to its last @.
  /(\b[a-z][a-z0-9+.-]{1,20}:\/\/)(?!\\?\[masked\\?\]@)[^\s/]{1,500}(?=@)/gi,
  /(\b(?:proxy-)?authorization(?:\\{0,3}["'])?\s{0,3}:\s{0,3}(?:\\{0,3}["'])?(?:bearer|basic|token|digest|apikey)\s{1,3})(?!\\?\[masked)[^\s"',;\\]{6,}/gi,
  /(\b(?:bearer|basic|token)\s{1,3})(?=[^\s]{0,500}[\d=])[\w.~+/=-]{8,}/gi,
  /(\bcurl\b[^\n]{0,200}?\s(?:-u|--user)[\s=]{1,3}["']?[^\s:"']{1,100}:)(?!\\?\[masked)[^\s"']+/gi,
  /((?:[?&]|&amp;)sig=)(?!\\?\[masked)[^\s"'&#)]+/gi,
  quoted(PASSWORD, ':='),
  new RegExp(`(${named(PASSWORD, ':=')}${QUOTE}?)${UNMASKED}${VALUE}+`, 'gi'),
  quoted(SECRET, '='),
  new RegExp(`(${named(SECRET, '=')}${QUOTE}?)${UNMASKED}${VALUE}+`, 'gi'),
  quoted(SURE_SECRET, ':'),
  new RegExp(`(${named(SURE_SECRET, ':')}${QUOTE}?)${UNMASKED}${VALUE}{8,}`, 'gi'),
  // After a colon, prose is as likely: only what no word looks like.
  quoted(SECRET, ':', String.raw`(?=[^"'\n]{0,500}\d)`),
  new RegExp(String.raw`(${named(SECRET, ':')}${QUOTE}?)${UNMASKED}(?=${VALUE}{0,500}\d)${VALUE}{8,}`, 'gi'),
  // Tokens that say of themselves what they are.
  /()\b(?:sk|rk|pk)[-_](?:live|test|proj|ant)?[-_]?[\w-]{16,}/g,
  /()\b(?:gh[opsur]_|github_pat_|glpat-|xox[abeprs]-|npm_|hf_|whsec_|tocsin_|dop_v1_|shpat_|glsa_|lin_api_|dckr_pat_|ya29\.|SG\.)[\w.+/=-]{8,}/g,
  /()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|()\bAIza[\w-]{30,}/g,
  /()\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?/g,
  // Addresses that are credentials: our own, and a chat's.
  /(\/webhooks\/(?:[a-z-]{1,30}\/)?)[\w-]{16,}/g,
  /(\bhooks\.slack\.com\/(?:services|workflows)\/)[\w/-]{10,}/g,
]

/** Long, of both cases and digits: no word, and no hash either. */
const RANDOM_LOOKING = /\b[A-Za-z0-9_+-]{32,}={0,2}/g

function maskSecrets(text: string): string {
  let masked = text
  for (const pattern of SECRETS) masked = masked.replace(pattern, (_whole, kept = '') => `${kept}${MASK}`)
  return masked.replace(RANDOM_LOOKING, (word) =>
    /[a-z]/.test(word) && /[A-Z]/.test(word) && word.replace(/\D/g, '').length >= 4 ? MASK : word,
  )
}

function cut(text: string, most: number): string {
  if (text.length <= most) return text
  const short = text.slice(0, Math.max(0, most - 1))
  return `${short.isWellFormed() ? short : short.slice(0, -1)}…`
}
