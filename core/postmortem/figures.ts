/** Numbers, durations and times of day in words, as the figures that `check` reads: "three hours" as "3 hours". */
export function inFigures(text: string): string {
  return text
    .normalize('NFKC')
    .replace(GROUPED, (said) => said.replace(/[. ]/g, ''))
    .replace(/\bmidnight\b/gi, '00:00')
    .replace(/\b(?:noon|midday)\b/gi, '12:00')
    .replace(/\ban hour and a half\b/gi, '90 min')
    .replace(/\bthree[- ]quarters of an hour\b/gi, '45 min')
    .replace(/\b(?:an? )?quarter of an hour\b/gi, '15 min')
    .replace(/\bhalf (?:an|of an)[ -]hour\b|\b(?:a )?half[- ]hour\b/gi, '30 min')
    .replace(/\bhalf a day\b/gi, '12 h')
    .replace(/\b(?:an|a) (hour|minute|day|week|month|year)\b/gi, '1 $1')
    .replace(/\btwice\b/gi, '2 times')
    .replace(/\bthrice\b/gi, '3 times')
    .replace(/\b(fired|reopened|came back|counted|recovered) once\b/gi, '$1 1 time')
    .replace(NUMBER, figure)
    .replace(
      /(?<![\d:.])\b(\d{1,2})(?: o['’]clock| ?([ap])\.?m\b\.?)/gi,
      (_, hour, half) => `${hour}:00${half ? ` ${half}m` : ''}`,
    )
}

/** `1 000` and `1.000`: no fraction is written with a last zero that says nothing. */
const GROUPED = /(?<![\p{L}\p{N}_.,:@/-])\d{1,3}(?:(?: \d{3})+|\.\d\d0)(?![\p{L}\p{N}_:-]|[.,]\d)/gu

const SMALL = [
  ...[
    'zero',
    'one',
    'two',
    'three',
    'four',
    'five',
    'six',
    'seven',
    'eight',
    'nine',
    'ten',
    'eleven',
    'twelve',
  ],
  ...['thirteen', 'fourteen', 'fifteen', 'sixteen', 'seventeen', 'eighteen', 'nineteen'],
]
const TENS = ['twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety']
const SCALES: Readonly<Record<string, number>> = {
  dozen: 12,
  hundred: 100,
  thousand: 1000,
  million: 1_000_000,
}
const WORD = [...SMALL, ...TENS, ...Object.keys(SCALES)].join('|')
/** The name of a template is no number, nor is what a word joins to: "two-step", unless it joins a unit. */
const NUMBER = new RegExp(
  String.raw`(?<![\p{L}\p{N}_-])(?:a (?=dozen|hundred|thousand|million))?(?:\d{1,9} (?=dozen|hundred|thousand|million))?(?:${WORD})(?:(?:[ -]| and )(?:${WORD}))*(?![\p{L}\p{N}_])(?! whys)(?!-(?!days?\b|hours?\b|minutes?\b|seconds?\b|weeks?\b))`,
  'giu',
)
/** "One" alone is more often no number: it is judged where it counts something. */
const PLAIN_ONE = /^one$/i
const COUNTS = /^[ -](?:days?|hours?|minutes?|seconds?|weeks?|months?|years?|percent|per cent|%)/i

function figure(said: string, ...rest: unknown[]): string {
  const [place, text] = rest.filter((one) => one !== undefined) as [number, string]
  if (PLAIN_ONE.test(said) && !COUNTS.test(text.slice(place + said.length))) return said
  let [whole, part] = [0, 0]
  for (const word of said.toLowerCase().split(/[ -]/)) {
    const scale = SCALES[word]
    if (scale === undefined) part += numberOf(word)
    else if (scale < 1000) part = Math.max(1, part) * scale
    else {
      whole += Math.max(1, part) * scale
      part = 0
    }
  }
  return String(whole + part)
}

function numberOf(word: string): number {
  if (/^\d/.test(word)) return Number(word)
  if (SMALL.includes(word)) return SMALL.indexOf(word)
  return TENS.includes(word) ? (TENS.indexOf(word) + 2) * 10 : 0
}

/** Shares and rough sizes, each with the numbers that would bear it out. */
export function sharesIn(text: string): { said: string; fits: (number: number) => boolean }[] {
  return Array.from(text.matchAll(SHARE), ([said, share, size]) => {
    const percents = SHARES[share?.toLowerCase() ?? '']
    const [from, to] = SIZES[size?.toLowerCase() ?? ''] ?? [0, 0]
    return { said, fits: (number) => percents?.includes(number) ?? (number >= from && number < to) }
  })
}

const SHARE =
  /\b(?:(half|quarter|third|quarters|thirds)(?=(?: of)? (?:of|the|all|our|its|their)\b)|(dozens|hundreds|thousands|millions)(?= of\b))/gi
const SHARES: Readonly<Record<string, readonly number[]>> = {
  half: [50, 0.5],
  quarter: [25, 0.25],
  third: [33, 33.3],
  quarters: [75, 0.75],
  thirds: [67, 66.7],
}
const SIZES: Readonly<Record<string, readonly [number, number]>> = {
  dozens: [24, 200],
  hundreds: [200, 2000],
  thousands: [2000, 1_000_000],
  millions: [2_000_000, Number.POSITIVE_INFINITY],
}
