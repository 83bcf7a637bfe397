import type { Context } from 'hono'
import { doorRefusals } from './door-refusals.ts'
import { Invalid, type Problem } from './errors.ts'
import { rawCardPath } from './raw-card.ts'

/** Nothing that we are asked is near this size. */
export const MAX_BODY_BYTES = 1_048_576

/** The JSON body of a request. Refuses what is too large, not JSON, not storable, or holds a card number. */
export async function jsonBody(c: Context): Promise<Record<string, unknown>> {
  if (!isJson(c.req.header('content-type'))) throw doorRefusals.unsupportedMediaType()
  const text = await bodyText(c)
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw doorRefusals.malformedJson()
  }
  const cardAt = rawCardPath(text, parsed)
  if (cardAt !== undefined) throw doorRefusals.rawCardData({ path: cardAt.join('.') })
  const problems = [...imprecise(text), ...unstorable(text, parsed)]
  if (problems.length > 0) throw new Invalid(problems)
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new Invalid([{ loc: ['body'], msg: 'Send one JSON object', type: 'invalid_type' }])
  }
  return parsed as Record<string, unknown>
}

const isJson = (contentType: string | undefined): boolean => /^application\/json\s*(;|$)/i.test(contentType ?? '')

const tooLarge = () => doorRefusals.tooLarge({ maxBytes: MAX_BODY_BYTES })

/** A body of stated length cannot be longer than it says; only one without is counted while it is read. */
async function bodyText(c: Context): Promise<string> {
  const stated = c.req.header('content-length')
  if (stated !== undefined) {
    if (Number(stated) > MAX_BODY_BYTES) throw tooLarge()
    return c.req.text()
  }
  const { body } = c.req.raw
  if (body === null) return ''
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.byteLength
    if (size > MAX_BODY_BYTES) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** A double holds 15 digits for certain; only a number with more can lose some on its way through JSON. */
const LONG_NUMBER = /\d[\d.]{15,}/

/** Numbers that JSON could not carry exactly: never rounded silently. */
function imprecise(text: string): Problem[] {
  if (!LONG_NUMBER.test(text)) return []
  const problems: Problem[] = []
  JSON.parse(text, function (this: unknown, key: string, value: unknown, context?: { source?: string }) {
    if (
      typeof value === 'number' &&
      context?.source !== undefined &&
      digitsOf(context.source) !== digitsOf(String(value))
    ) {
      problems.push({
        loc: ['body', key],
        msg: 'This number loses digits in JSON; send it as a string or with fewer digits',
        type: 'imprecise_number',
      })
    }
    return value
  } as (this: unknown, key: string, value: unknown) => unknown)
  return problems
}

/** A number's digits and exponent, whichever way it was written. */
function digitsOf(written: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(written) ?? []
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  return `${sign}${significant}e${Number(exponent) - fraction.length + (digits.length - significant.length)}`
}

/** Nothing that we are asked nests deeper than a few levels. */
const MAX_DEPTH = 64

/** PostgreSQL stores neither NUL nor half of a surrogate pair; in JSON both can only come as an escape. */
function unstorable(text: string, parsed: unknown): Problem[] {
  if (!text.includes('\\u')) return []
  const problems: Problem[] = []
  const walk = (value: unknown, loc: (string | number)[]): void => {
    if (loc.length > MAX_DEPTH) throw doorRefusals.malformedJson()
    if (typeof value === 'string' && !isStorable(value)) {
      problems.push({ loc, msg: 'This text has a NUL character or half a surrogate pair', type: 'unstorable_text' })
    } else if (value !== null && typeof value === 'object') {
      for (const [key, inner] of Object.entries(value)) {
        if (!isStorable(key)) walk(key, [...loc, '(key)'])
        walk(inner, [...loc, Array.isArray(value) ? Number(key) : key])
      }
    }
  }
  walk(parsed, ['body'])
  return problems
}

const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed()
