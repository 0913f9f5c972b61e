import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cleanLine, cleanText } from '../../core/untrusted-text.ts'

describe('characters nobody sees', () => {
  test.each([
    ['a terminal colour', '\u001b[31mred\u001b[0m', 'red'],
    ['a terminal title', 'a\u001b]0;owned\u0007b', 'ab'],
    ['controls', 'a\u0000b\u0008c\u007fd\u0085e', 'abcd\ne'],
    ['bidi marks', 'user\u202e\u2066gnp\u2069.exe', 'usergnp.exe'],
    ['zero-width characters', 'pass\u200bword\u200d \ufeffx\u00ad', 'password x'],
    ['tag characters', 'hello\u{e0069}\u{e0067}\u{e006e}', 'hello'],
    ['variation selectors', 'a\ufe0fb\u{e0101}c', 'abc'],
    ['private characters', 'a\ue000b', 'ab'],
    ['Hangul fillers', 'a\u3164\u115fb', 'ab'],
    ['line ends of all kinds', 'a\r\nb\rc\u2028d', 'a\nb\nc\nd'],
    ['half a surrogate pair', 'a\ud83d b', 'a\ufffd b'],
  ])('%s', (_, text, cleaned) => {
    expect(cleanText(text, 100)).toBe(cleaned)
  })

  test('letters, accents, emoji and other scripts stay', () => {
    const text = 'Größe 12 µs – naïve 日本語 שלום 🔥 “x”'
    expect(cleanText(text, 100)).toBe(text)
  })

  test('whatever comes in, none of them comes out', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 50 }), (text, most) => {
        const cleaned = cleanText(text, most)
        expect(cleaned).not.toMatch(/[^\P{Cc}\n]|[\p{Cf}\p{Default_Ignorable_Code_Point}]/u)
        expect(cleaned.length).toBeLessThanOrEqual(most)
        expect(cleaned.isWellFormed()).toBe(true)
        expect(cleanLine(text, most)).not.toMatch(/[\n\t]/)
      }),
      { numRuns: 1000 },
    )
  })
})

const CANARY = 'Zq7Xw2Rv9Tn4Kp6Ys8Bd3Fh5Jm1Lc0Ga'

describe('what looks like a secret', () => {
  test.each([
    `Authorization: Bearer ${CANARY}`,
    'Authorization: Basic dXNlcjpodW50ZXIy',
    `postgres://tocsin:${CANARY}@db.example.com/shop`,
    `https://${CANARY}@example.com/hook`,
    'password=hunter2&user=mia',
    'DB_PASSWORD: hunter2',
    '{"password":"hunter2"}',
    `api_key=${CANARY}`,
    `https://example.com/hook?token=${CANARY}&x=1`,
    '"client_secret": "a1b2c3d4e5"',
    'AKIAIOSFODNN7EXAMPLE',
    `ghp_${CANARY}`,
    `glpat-${CANARY}`,
    'xoxb-123456789012-abcdefghij',
    `sk-proj-${CANARY}`,
    'sk_live_abcdefghijklmnop1234',
    'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD',
    'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U',
    `https://tocsin.example.com/api/webhooks/betterstack/${CANARY}`,
    `https://tocsin.example.com/webhooks/${CANARY}`,
    'https://hooks.slack.com/services/T00000000/B00000000/abcdefghijklmnop',
    `-----BEGIN RSA PRIVATE KEY-----\nMIIE${CANARY}\n-----END RSA PRIVATE KEY-----`,
    `the key ${CANARY} was used`,
    `pass\u200bword=hunter2`,
    '"password": "hunter2 and then hunter2"',
    "password='my hunter2 phrase'",
    '{\\"password\\":\\"hunter2 hunter2\\"}',
    'api_key="the hunter2 key"',
    'postgresql://u:p@hunter2@db/x',
    'AccountKey=abcdefghijabcdefghij+/==',
    'https://x.blob.core.windows.net/c?sv=1&sig=hunter2%2Bxyz%3D',
    'glsa_abcdefghijklmnop',
    'lin_api_abcdefghijklmnop',
    'dckr_pat_abcdefghijklmnop',
    'ya29.a0AfH6SMBabcdefghijk',
    'Authorization: Bearer abcdefghij.def-ghijkl',
    '"authorization": "Bearer abcdefghij.def-ghijkl"',
    'X-Api-Key: abcdefghijkl',
    'client_secret: abcdefghijklmnop',
    'curl -u admin:hunter2 https://example.com',
    'curl -s --user "admin:hunter2" https://example.com',
  ])('%s', (text) => {
    const cleaned = cleanText(`before ${text} after`, 1000)
    expect(cleaned).toContain('[masked]')
    expect(cleaned).not.toMatch(
      /hunter2|dXNlcjpodW50ZXIy|Zq7Xw2|AKIA|abcdefghij|a1b2c3|C2FVsB|eyJ|dozjg|MIIE/,
    )
    expect(cleaned).toMatch(/^before .* after$/s)
    expect(cleanText(cleaned, 1000)).toBe(cleaned)
    const inMarkdown = cleaned.replace(/[[\]]/g, '\\$&')
    expect(cleanText(inMarkdown, 1000)).toBe(inMarkdown)
  })

  test.each([
    'Error rate of /api/checkout above 5 %',
    'release 9fceb02d0ae598e95dc970b74767f19372d61af8 is out',
    '0198f3c2-7b1a-7c3d-9e4f-1a2b3c4d5e6f',
    'The token: expired',
    '"session": "checkout page opened"',
    'The signature: bold, the cookie: gone',
    'Authorization failed for mia, authorization: denied',
    'https://shop.example.com/?design=1&signal=2&config=3',
    'curl -u is not set; run curl -u admin https://example.com',
    'client_secret: missing',
    'mail ops@example.com or see https://example.com/a@b',
    'Basic authentication failed for mia',
    'handleCheckoutRequestWithRetryAndTimeout failed',
    'https://grafana.example.com/alerting/grafana/be7q2m4xk1c0ya/view?orgId=1',
    'charge (shop/payments.py:48)',
  ])('but not: %s', (text) => {
    expect(cleanText(text, 1000)).toBe(text)
  })

  test('a long text of an attacker takes no time worth telling', () => {
    const texts = [
      'token'.repeat(20_000),
      'a'.repeat(100_000),
      'eyJ'.repeat(30_000),
      '-----BEGIN '.repeat(9_000),
      'https://'.repeat(12_000),
    ]
    for (const text of texts) expect(cleanText(text, 200).length).toBeLessThanOrEqual(200)
  })
})
