import { z } from 'zod'
import { isTimeZone } from '../../kit/months.ts'
import { Secret } from '../../kit/secret.ts'

/** A variable's text as something else. `undefined` from `read` is a «no», explained by the sentence after «must be». */
function parsed<Value>(mustBe: string, read: (text: string) => Value | undefined, options = { quote: true }) {
  return z.string().transform((text, context): Value => {
    const value = read(text)
    if (value !== undefined) return value
    context.issues.push({
      code: 'custom',
      input: text,
      message: `must be ${mustBe}${options.quote ? `, not «${text}»` : ''}`,
    })
    return z.NEVER
  })
}

export const text = z.string()

export const secret = z.string().transform((value) => new Secret(value))

const split = (value: string): string[] =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

export const list = z.string().transform(split)

export const secrets = z.string().transform((value) => split(value).map((part) => new Secret(part)))

/** A whole number within bounds that make sense for it. */
export const integer = (least: number, most: number) =>
  parsed(`a whole number from ${least} to ${most}`, (value) => {
    const number = Number(value)
    return /^\d+$/.test(value) && number >= least && number <= most ? number : undefined
  })

const SWITCH: Record<string, boolean> = {
  true: true,
  false: false,
  1: true,
  0: false,
  yes: true,
  no: false,
  on: true,
  off: false,
}

export const flag = parsed('true or false', (value) => SWITCH[value.toLowerCase()])

/** One of a few words, in any case. */
export const oneOf = <const Word extends string>(...words: Word[]) =>
  parsed(`one of ${words.join(', ')}`, (value) => words.find((word) => word.toLowerCase() === value.toLowerCase()))

/** pino's levels, and the names that other systems have for them. */
const LEVELS: Record<string, string> = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  fatal: 'fatal',
  critical: 'fatal',
  silent: 'silent',
}

export const logLevel = parsed(
  'one of trace, debug, info, warn, error, fatal, silent',
  (value) => LEVELS[value.toLowerCase()],
)

export const jwtAlgorithm = parsed('HS256; for any other algorithm set JWT_JWKS_URL and leave this out', (value) =>
  value === 'HS256' ? value : undefined,
)

const BILLED = ['USD', 'EUR', 'INR', 'NGN', 'JPY', 'KWD'] as const

/** Upper or lower case. */
export const currency = parsed('USD, EUR, INR, NGN, JPY or KWD', (value) =>
  BILLED.find((code) => code === value.toUpperCase()),
)

export const country = parsed('a country code of two letters such as DE', (value) =>
  /^[a-z]{2}$/i.test(value) ? value.toUpperCase() : undefined,
)

export const timeZone = parsed('an IANA time zone such as Asia/Kolkata', (value) =>
  isTimeZone(value) ? value : undefined,
)

const isUrl = (value: string, schemes: readonly string[]): boolean =>
  URL.canParse(value) && schemes.includes(new URL(value).protocol.slice(0, -1))

const urlLike = (schemes: readonly string[]): string => `a URL that begins with ${schemes.join(':// or ')}://`

/** The address of a service. A trailing slash goes, so that paths can simply be appended. Never quoted back: it may carry a password. */
export const httpUrl = parsed(
  urlLike(['http', 'https']),
  (value) => (isUrl(value, ['http', 'https']) ? value.replace(/\/+$/, '') : undefined),
  { quote: false },
)

/** An address that usually carries a user and a password. */
export const secretUrl = (...schemes: string[]) =>
  parsed(urlLike(schemes), (value) => (isUrl(value, schemes) ? new Secret(value) : undefined), { quote: false })
