/** Where a secret was found: its name, and how it was written there. */
export interface Leak {
  secret: string
  form: string
}

/** Answers which of these secrets stand in some bytes, as they are or in base64, hex or the writing of addresses. */
export function secretFinder(
  secrets: ReadonlyMap<string, string | Uint8Array>,
): (bytes: Uint8Array) => Leak[] {
  const needles = Array.from(secrets, ([secret, value]) => ({ secret, forms: formsOf(Buffer.from(value)) }))
  return (bytes) => {
    const text = Buffer.from(bytes)
    return needles.flatMap(({ secret, forms }) =>
      forms.filter(([, form]) => text.includes(form)).map(([form]) => ({ secret, form })),
    )
  }
}

function formsOf(secret: Buffer): [string, Buffer | string][] {
  const text = secret.toString('utf8')
  const url = encodeURIComponent(text)
  return [
    ['itself', secret],
    ...(url === text ? [] : [['URL', url] as [string, string]]),
    ['hex', secret.toString('hex')],
    ['HEX', secret.toString('hex').toUpperCase()],
    ...[0, 1, 2].flatMap((shift) => base64At(secret, shift)),
  ]
}

/** The digits that a secret has in base64 when it stands so many bytes behind a whole group, its neighbours unknown. */
function base64At(secret: Buffer, shift: number): [string, string][] {
  const padded = Buffer.concat([Buffer.alloc(shift), secret])
  // Of the first and the last group only those digits that no neighbour has a part in.
  const start = shift === 0 ? 0 : shift + 1
  const end = Math.floor((padded.length * 8) / 6)
  return [
    ['base64', padded.toString('base64').slice(start, end)],
    ['base64url', padded.toString('base64url').slice(start, end)],
  ]
}
