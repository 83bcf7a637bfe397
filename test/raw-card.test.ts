import fc from 'fast-check'
import { v4, v7 } from 'uuid'
import { describe, expect, test } from 'vitest'
import { rawCardPath } from '../src/api/raw-card.ts'

const found = (body: unknown) => rawCardPath(JSON.stringify(body), body)
const foundIn = (raw: string) => rawCardPath(raw, JSON.parse(raw))

const CARD = '4242424242424242'

describe('a card number is found', () => {
  test.each<[string, unknown, string[]]>([
    ['as a string', { card: CARD }, ['card']],
    ['as a number', { card: Number(CARD) }, ['card']],
    ['with spaces', { card: '4242 4242 4242 4242' }, ['card']],
    ['with hyphens', { card: '4242-4242-4242-4242' }, ['card']],
    ['of American Express', { card: '3782 822463 10005' }, ['card']],
    ['of Diners Club', { card: '3056 930902 5904' }, ['card']],
    ['with 13 digits', { card: '4222222222222' }, ['card']],
    ['with 19 digits', { card: '6304000000000000000' }, ['card']],
    ['deep inside', { a: [{ b: 1 }, { c: ['x', CARD] }] }, ['a', '1', 'c', '1']],
    ['in a sentence', { note: `My card is ${CARD}. Thanks` }, ['note']],
    ['beside an amount', { note: 'pay 100 4242 4242 4242 4242 now' }, ['note']],
    ['beside a date', { note: `2026-11-20 ${CARD}` }, ['note']],
    ['after a colon', { note: `card:${CARD},cvc:123` }, ['note']],
    ['as a spreadsheet writes it', { note: `${CARD}.0` }, ['note']],
    ['in a list at the top', [CARD], ['0']],
    ['alone', CARD, []],
    ['first of two', { a: { b: CARD }, c: CARD }, ['a', 'b']],
  ])('%s', (_, body, path) => {
    expect(found(body)).toEqual(path)
  })

  test('as the name of a field, and the path does not repeat it', () => {
    expect(found({ cards: { [CARD]: true } })).toEqual(['cards', '<card number>'])
  })

  test('hidden behind escapes, exponents, or more digits than a number keeps', () => {
    expect(foundIn(`{"a":"${[...CARD].map((digit) => `\\u003${digit}`).join('')}"}`)).toEqual(['a'])
    expect(foundIn('{"a":"4242\\u00204242\\u00204242\\u00204242"}')).toEqual(['a'])
    expect(foundIn('{"a": 4.242424242424242E15}')).toEqual(['a'])
    expect(foundIn('{"a": 18e12}')).toEqual(['a'])
    expect(foundIn('{"a":{"b":6304000000000000000}}')).toEqual(['a', 'b'])
    expect(foundIn('{"a":{"b":4917610000000000003}}')).toEqual(['a', 'b'])
  })
})

describe('nothing is found', () => {
  test.each<[string, unknown]>([
    ['when the check digit is wrong', { card: '4242424242424241' }],
    ['in zeros', { a: '0000000000000000', b: '0'.repeat(13) }],
    ['in twelve digits', { amount: 999999999999 }],
    ['in twenty digits', { a: '42424242424242424242' }],
    ['in an id', { id: `pay_${CARD}`, other: `${CARD}x`, third: `tok-${CARD}`, fourth: `${CARD}-x` }],
    ['in decimals', { rate: 0.4242424242424242, text: '1.4242424242424242' }],
    ['in two dates', { period: '2026-11-20 2026-12-24', other: '2026-01-01 2026-01-06' }],
    ['in digits with two spaces', { a: '4242  4242  4242  4242' }],
    ['in nothing', null],
    ['in what most requests look like', { budget: 1000, voice_id: 'voice_1', description: 'two coffees' }],
  ])('%s', (_, body) => {
    expect(found(body)).toBeUndefined()
  })

  test('in a body that is nested deeper than calls may be', () => {
    const depth = 100_000
    expect(foundIn(`${'['.repeat(depth)}"4242424242424241"${']'.repeat(depth)}`)).toBeUndefined()
    expect(foundIn(`${'['.repeat(depth)}"${CARD}"${']'.repeat(depth)}`)).toHaveLength(depth)
  })

  test('and a megabyte of digits costs no more than reading it', () => {
    const started = performance.now()
    const pieces = ['1 ', '12-', '1234 ', '4000 600000 ', '2026-11-20 ', '4242-4242 ']
    for (const piece of pieces) found({ a: `${piece.repeat(1_000_000 / piece.length)}_` })
    expect((performance.now() - started) / pieces.length).toBeLessThan(1_000)
  })
})

describe('whatever is sent', () => {
  /** Digits that pass Luhn: any at all, and the check digit that belongs to them. */
  const luhn = fc
    .tuple(fc.integer({ min: 1, max: 9 }), fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 11, maxLength: 17 }))
    .map(([first, rest]) => [first, ...rest])
    .map((digits) => {
      const sum = [...digits].reverse().reduce((sum, digit, index) => {
        const counted = index % 2 === 0 ? digit * 2 : digit
        return sum + Math.floor(counted / 10) + (counted % 10)
      }, 0)
      return `${digits.join('')}${(10 - (sum % 10)) % 10}`
    })
    .filter((digits) => new Set(digits).size > 1)

  /** The same number as people write it. */
  const written = fc
    .tuple(luhn, fc.constantFrom('', ' ', '-'), fc.integer({ min: 1, max: 6 }))
    .map(([digits, separator, size]) => (digits.match(new RegExp(`\\d{1,${size}}`, 'g')) ?? []).join(separator))
    .filter((text) => !/(^|[ -])(19|20)\d\d-\d\d-\d\d($|[ -])/.test(text))

  const wrapped = fc.constantFrom<(leaf: unknown) => unknown>(
    (leaf) => leaf,
    (leaf) => ({ note: leaf, amount: 12 }),
    (leaf) => [{ deep: [null, { er: leaf }] }],
    (leaf) => ({ id: v7(), at: new Date().toISOString(), [String(leaf)]: 1 }),
    (leaf) => ({ text: `Please charge ${leaf}, thank you` }),
    (leaf) => ({ text: `${leaf}` }),
  )

  test('every number that passes Luhn is found, however written and wrapped', () => {
    fc.assert(
      fc.property(written, wrapped, (card, wrap) => {
        expect(found(wrap(card))).toBeDefined()
      }),
      { numRuns: 2_000 },
    )
  })

  test('every number that passes Luhn is found as a JSON number', () => {
    fc.assert(
      fc.property(luhn, (card) => {
        expect(foundIn(`{"a":[1,{"b":${card}}]}`)).toEqual(['a', '1', 'b'])
      }),
      { numRuns: 2_000 },
    )
  })

  test('no id, time or amount is ever taken for one', () => {
    const id = fc.constantFrom(v4, v7).map((make) => make())
    const allDigits = fc
      .tuple(fc.constantFrom(4, 7), fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 32, maxLength: 32 }))
      .map(([version, digits]) => {
        const text = digits.join('')
        return `${text.slice(0, 8)}-${text.slice(8, 12)}-${version}${text.slice(13, 16)}-8${text.slice(17, 20)}-${text.slice(20)}`
      })
    const hexed = fc.uuid()
    const time = fc
      .date({ min: new Date('1990-01-01'), max: new Date('2099-12-31'), noInvalidDate: true })
      .chain((date) => fc.constantFrom(date.toISOString(), date.toISOString().slice(0, 19).replace('T', ' ')))
    const amount = fc.oneof(
      fc.integer({ min: -999_999_999_999, max: 999_999_999_999 }),
      fc.integer({ min: 0, max: 999_999_999_999 }).map((minor) => (minor / 100).toFixed(2)),
      fc.integer({ min: 0, max: 999_999_999_999 }).map((minor) => minor / 100),
      fc.double({ min: 0, max: 1_000_000_000, noNaN: true }),
    )
    const leaf = fc.oneof(id, allDigits, hexed, time, amount)
    fc.assert(
      fc.property(fc.array(leaf, { maxLength: 6 }), (leaves) => {
        expect(found({ leaves, ...Object.fromEntries(leaves.map((one, n) => [`field ${n}`, one])) })).toBeUndefined()
      }),
      { numRuns: 3_000 },
    )
  })
})
