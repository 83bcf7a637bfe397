import type { Problem } from './errors.ts'

/** Nothing that we are asked nests deeper than a few levels. */
const MAX_DEPTH = 64

/** A request with more problems than this was not written by hand: the rest would say nothing new. */
const MAX_PROBLEMS = 100

/** Names that reach into JavaScript's own objects. No field of ours is called so. */
const RESERVED = new Set(['__proto__', 'constructor', 'prototype'])

/** A double holds 15 digits for certain; only a longer number, or one with an exponent, can lose some. */
const CERTAIN_DIGITS = 15

/** An object or a list that is open at some place of the text. */
interface Frame {
  /** The names seen so far; undefined in a list. */
  readonly names: Set<string> | undefined
  at: string | number
}

/**
 * What JSON.parse passes over in silence: names that come twice or reach into JavaScript's own objects, numbers that lose
 * digits, text that PostgreSQL cannot store. `text` must be valid JSON. Undefined where it nests too deep.
 */
export function silentProblems(text: string): Problem[] | undefined {
  const problems: Problem[] = []
  const frames: Frame[] = []
  const tell = (type: string, msg: string) => {
    if (problems.length < MAX_PROBLEMS) problems.push({ loc: ['body', ...frames.map(({ at }) => at)], msg, type })
  }

  for (let at = 0; at < text.length; at++) {
    const frame = frames.at(-1)
    switch (text[at]) {
      case '{':
      case '[':
        if (frames.length === MAX_DEPTH) return undefined
        frames.push(text[at] === '{' ? { names: new Set(), at: '' } : { names: undefined, at: 0 })
        break
      case '}':
      case ']':
        frames.pop()
        break
      case ',':
        if (typeof frame?.at === 'number') frame.at += 1
        break
      case '"': {
        const end = endOfString(text, at)
        const string = unescaped(text.slice(at, end + 1))
        if (frame?.names !== undefined && isName(text, end)) {
          frame.at = string
          if (frame.names.has(string)) tell('duplicate_name', 'This field comes twice; send it once')
          if (RESERVED.has(string)) tell('reserved_name', 'No field may have this name; leave it out')
          frame.names.add(string)
        }
        if (!isStorable(string)) tell('unstorable_text', 'This text has a NUL character or half a surrogate pair')
        at = end
        break
      }
      case '-':
      case '0':
      case '1':
      case '2':
      case '3':
      case '4':
      case '5':
      case '6':
      case '7':
      case '8':
      case '9': {
        const end = endOfNumber(text, at)
        if (losesDigits(text.slice(at, end)))
          tell('imprecise_number', 'This number loses digits in JSON; send it as a string or with fewer digits')
        at = end - 1
        break
      }
    }
  }
  return problems
}

/** The closing quote of the string that opens at `start`: the first that has an even number of backslashes before it. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text[end - 1 - backslashes] === '\\') backslashes += 1
    if (backslashes % 2 === 0) return end
  }
  return text.length
}

const unescaped = (literal: string): string =>
  literal.includes('\\') ? String(JSON.parse(literal)) : literal.slice(1, -1)

/** Is the string that ends here the name of a field? */
function isName(text: string, end: number): boolean {
  let at = end + 1
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at += 1
  return text[at] === ':'
}

function endOfNumber(text: string, start: number): number {
  let end = start + 1
  while ('0123456789.eE+-'.includes(text[end] ?? ' ')) end += 1
  return end
}

const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed()

function losesDigits(literal: string): boolean {
  if (literal.length <= CERTAIN_DIGITS && !/e/i.test(literal)) return false
  return digitsOf(literal) !== digitsOf(String(Number(literal)))
}

/** A number's sign, digits and exponent, whichever way it was written; a text of its own for what is no number. */
function digitsOf(written: string): string {
  const parts = /^(-?)(\d+)\.?(\d*)(?:e([+-]?\d+))?$/i.exec(written)
  if (parts === null) return written
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  return `${sign}${significant}e${Number(exponent) - fraction.length + (digits.length - significant.length)}`
}
