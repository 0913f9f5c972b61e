import { createCipheriv, createDecipheriv, createHmac, hash, hkdfSync, randomBytes } from 'node:crypto'

/**
 * Stored secrets: AES-256-GCM as `1.<key id>.<nonce, ciphertext and tag in base64url>`. `aad` is the place the secret
 * belongs to, `table/row/column`, so that a ciphertext moved to another row does not open.
 */
export function sealSecret(key: Buffer, plain: string, aad: string, random: Random = randomBytes): string {
  const { id, encryption } = derived(key)
  const nonce = random(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', encryption, nonce).setAAD(Buffer.from(aad))
  const sealed = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return `1.${id}.${sealed.toString('base64url')}`
}

/** Throws when the secret was sealed with another key, for another place, or was changed. */
export function openSecret(key: Buffer, sealed: string, aad: string): string {
  const { id, encryption } = derived(key)
  const [version, sealedWith, text] = sealed.split('.')
  if (version !== '1' || text === undefined) throw new Error(`${aad} is not a sealed secret.`)
  if (sealedWith !== id) {
    throw new Error(
      `${aad} was sealed with another key: TOCSIN_SECRET_KEY must be the one it was stored with.`,
    )
  }
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new Error(`${aad} is cut off.`)

  const end = bytes.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', encryption, bytes.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
    .setAAD(Buffer.from(aad))
    .setAuthTag(bytes.subarray(end))
  try {
    return decipher.update(bytes.subarray(NONCE_BYTES, end), undefined, 'utf8') + decipher.final('utf8')
  } catch (error) {
    throw new Error(`${aad} was changed outside Tocsin, or belongs elsewhere.`, { cause: error })
  }
}

/** A value to keep in the database: a start with another key is refused when it differs. Reveals nothing of the key. */
export function keyCheck(key: Buffer): string {
  return derived(key).check
}

/** For secrets that are only compared: API keys and the tokens of addresses, which are random and long. */
export function hashToken(text: string): string {
  return hash('sha256', text, 'base64url')
}

/** The same for a credential that names its source at the fixed address of an adapter: each has names of its own. */
export function hashDropIn(adapter: string, secret: string): string {
  return hashToken(`${adapter}/${secret}`)
}

/** 256 random bits as 43 characters that fit a URL and a header. */
export function newSecret(random: Random): string {
  return random(32).toString('base64url')
}

/** As `randomBytes` of node:crypto. */
export type Random = (size: number) => Buffer

const NONCE_BYTES = 12
const TAG_BYTES = 16

interface Derived {
  id: string
  check: string
  encryption: Buffer
}

const known = new WeakMap<Buffer, Derived>()

function derived(key: Buffer): Derived {
  let keys = known.get(key)
  if (!keys) {
    if (key.length !== 32) throw new Error('TOCSIN_SECRET_KEY must be 32 bytes.')
    const check = createHmac('sha256', key).update('tocsin key check').digest('base64url')
    const encryption = Buffer.from(hkdfSync('sha256', key, '', 'tocsin stored secrets', 32))
    keys = { id: check.slice(0, 8), check, encryption }
    known.set(key, keys)
  }
  return keys
}
