/**
 * Could there be a card number at all? Thirteen digits in a row, perhaps with single spaces or hyphens between them; or
 * one of the ways in which JSON hides digits: escapes of digits and separators, and numbers with an exponent.
 */
const SUSPICIOUS = /\d(?:[ -]?\d){12}|\\u00(?:3\d|2[0d])|[:[,]\s*\d[\d.]*e/i

/** Stands in a path for an object's key that is itself the card number: a path gets logged and answered. */
const HIDDEN_KEY = '<card number>'

interface Place {
  readonly value: unknown
  readonly key: string
  readonly within: Place | undefined
}

/** The path of the first field that holds a valid card number, if there is one. `parsed` is `rawBody` as JSON. */
export function rawCardPath(rawBody: string, parsed: unknown): string[] | undefined {
  if (!SUSPICIOUS.test(rawBody)) return undefined
  // A stack of our own: a body may be nested deeper than calls may.
  const open: Place[] = [{ value: parsed, key: '', within: undefined }]
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { value } = place
    if (typeof value === 'string' && holdsCardNumber(value)) return pathOf(place)
    if (typeof value === 'number' && isCardNumber(value, rawBody)) return pathOf(place)
    if (typeof value !== 'object' || value === null) continue
    const entries = Object.entries(value)
    if (!Array.isArray(value) && entries.some(([key]) => holdsCardNumber(key))) return [...pathOf(place), HIDDEN_KEY]
    for (const [key, inner] of entries.reverse()) open.push({ value: inner, key, within: place })
  }
  return undefined
}

function pathOf(place: Place): string[] {
  const path: string[] = []
  for (let at: Place | undefined = place; at?.within !== undefined; at = at.within) path.push(at.key)
  return path.reverse()
}

/** A number of 17 digits and more has lost some of them by being parsed, so the raw text is asked for those. */
function isCardNumber(value: number, rawBody: string): boolean {
  if (!Number.isInteger(value) || value < 1e12 || value >= 1e19) return false
  return Number.isSafeInteger(value) ? isCard(String(value)) : holdsCardNumber(rawBody)
}

/**
 * Digits with single spaces or hyphens between them, not glued to a letter, digit, hyphen or underscore on either side,
 * so that ids never match; nor are they the decimals of a number.
 */
const RUN = /(?<![\w-])(?<!\d\.)\d+(?:[ -]\d+)*(?![\w-])/g

/** Nineteen digits, with a separator between any two. */
const LONGEST = 37

/** How cards print their digits in groups: most, with 13 to 19 digits; American Express; Diners Club. */
const PRINTED = [
  [4, 4, 4, 4],
  [4, 4, 4, 1],
  [4, 4, 4, 4, 1],
  [4, 4, 4, 4, 2],
  [4, 4, 4, 4, 3],
  [4, 6, 5],
  [4, 6, 4],
]

/** A day as in 2026-11-20: two of them in a row have sixteen digits, and are no card. */
const DAY = /(?:^|[ -])(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:$|[ -])/

function holdsCardNumber(text: string): boolean {
  for (const [run] of text.matchAll(RUN)) {
    if (run.length < 13) continue
    if (isWrittenCard(run)) return true
    const words = run.split(' ')
    if (words.some((word, at) => isWrittenCard(word) || printedAt(words, at).some(isWrittenCard))) return true
  }
  return false
}

/** What may be a card beside other numbers, as in «2 x 4242 4242 4242 4242»: words that have the shape of a printed one. */
const printedAt = (words: readonly string[], at: number): string[] =>
  PRINTED.filter((shape) => shape.every((digits, index) => words[at + index]?.length === digits)).map((shape) =>
    words.slice(at, at + shape.length).join(' '),
  )

function isWrittenCard(text: string): boolean {
  return text.length >= 13 && text.length <= LONGEST && !DAY.test(text) && isCard(text.replaceAll(/[ -]/g, ''))
}

function isCard(digits: string): boolean {
  return digits.length >= 13 && digits.length <= 19 && !/^(\d)\1*$/.test(digits) && passesLuhn(digits)
}

/** From the right, every second digit counts double, with its own digits added up; the sum ends in zero. */
function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let index = 0; index < digits.length; index++) {
    const digit = digits.charCodeAt(digits.length - 1 - index) - 48
    const counted = index % 2 === 1 ? digit * 2 : digit
    sum += counted > 9 ? counted - 9 : counted
  }
  return sum % 10 === 0
}
