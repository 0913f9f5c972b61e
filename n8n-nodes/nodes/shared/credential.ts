const EXAMPLE = 'such as https://tocsin.example.com'

/** Of the API; the key as the header Authorization takes it. */
export interface Access {
  apiUrl: string
  key: string
}

/**
 * What someone put into the fields of the credential, where the meaning is clear: what is after the host may have been
 * copied along. Else a sentence about the field, without its text: it may be a key in the wrong place. Pure.
 */
export function readCredential(data: { baseUrl?: unknown; apiToken?: unknown }): Access | { fault: string } {
  const base = String(data.baseUrl ?? '').trim()
  if (base === '') return { fault: `The Base URL is empty. Put in where Tocsin answers, ${EXAMPLE}.` }
  if (!/^https?:\/\//i.test(base)) {
    return {
      fault: `The Base URL does not begin with https:// or http://. Put in the whole address, ${EXAMPLE}.`,
    }
  }
  if (!URL.canParse(base)) {
    return { fault: `The Base URL is no address. Check host and port; it has to be one ${EXAMPLE}.` }
  }
  const { origin, pathname, username, password, search, hash } = new URL(base)
  if (username !== '' || password !== '' || search !== '' || hash !== '') {
    return {
      fault: `The Base URL holds more than an address. Leave out a name and password before @, and all from ? or # on.`,
    }
  }

  const key = String(data.apiToken ?? '').trim()
  if (key === '') return { fault: 'The API Key is empty. Put in the secret that Tocsin gave for the key.' }
  if (!/^[\x21-\x7e]+$/.test(key)) {
    return {
      fault:
        'The API Key holds characters that no key has, such as a blank. Copy it again, alone and without Bearer.',
    }
  }
  return { apiUrl: `${origin}${pathname.replace(/\/api\/v1(\/.*)?$/, '').replace(/\/+$/, '')}/api/v1`, key }
}
