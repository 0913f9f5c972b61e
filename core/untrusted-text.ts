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

/** Each with the part to keep as its first group; what follows it is masked. */
const SECRETS: readonly RegExp[] = [
  /()-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{0,10000}?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|$)/g,
  // User and password of an address.
  /(\b[a-z][a-z0-9+.-]{1,20}:\/\/)(?!\\?\[masked\\?\]@)[^\s/@]{1,500}(?=@)/gi,
  /(\b(?:bearer|basic|token)\s{1,3})(?=[^\s]{0,500}[\d=])[\w.~+/=-]{8,}/gi,
  /(\b[\w.-]{0,40}(?:passw(?:or)?d|passphrase|pwd)["']?\s{0,3}[:=]\s{0,3}["']?)(?!\\?\[masked)[^\s"'&,;)}\]]+/gi,
  /(\b[\w.-]{0,40}(?:secret|token|credentials?|api[_-]?key|access[_-]?key|private[_-]?key|signature|session(?:[_-]?id)?|cookie|authorization)["']?\s{0,3}=\s{0,3}["']?)(?!\\?\[masked)[^\s"'&,;)}\]]+/gi,
  // After a colon, prose is as likely: only what no word looks like.
  /(\b[\w.-]{0,40}(?:secret|token|credentials?|api[_-]?key|access[_-]?key|private[_-]?key|signature|session(?:[_-]?id)?|cookie|authorization)["']?\s{0,3}:\s{0,3}["']?)(?=[^\s"'&,;)}\]]{0,500}\d)[^\s"'&,;)}\]]{8,}/gi,
  // Tokens that say of themselves what they are.
  /()\b(?:sk|rk|pk)[-_](?:live|test|proj|ant)?[-_]?[\w-]{16,}/g,
  /()\b(?:gh[opsur]_|github_pat_|glpat-|xox[abeprs]-|npm_|hf_|whsec_|tocsin_|dop_v1_|shpat_|SG\.)[\w.+/=-]{8,}/g,
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
