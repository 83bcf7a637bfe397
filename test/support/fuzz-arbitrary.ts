import fc from 'fast-check'
import type { OpenApi, Schema } from './openapi.ts'

/** Values that a schema describes: its edges, and what lies between them. */
export function arbitraryOf(document: OpenApi, given: Schema): fc.Arbitrary<unknown> {
  const schema = document.resolved(given)
  const of = (inner: unknown) => arbitraryOf(document, inner as Schema)
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum)
  const choices = schema.anyOf ?? schema.oneOf
  if (Array.isArray(choices)) return fc.oneof(...choices.map(of))
  if (Array.isArray(schema.allOf)) return of(merged(document, schema.allOf as Schema[]))
  if (Array.isArray(schema.type)) return fc.oneof(...schema.type.map((type) => of({ ...schema, type })))
  switch (schema.type) {
    case 'object':
      return object(schema, of)
    case 'array':
      return fc.array(of(schema.items ?? {}), lengths(schema.minItems, schema.maxItems, 5))
    case 'string':
      return string(schema)
    case 'integer':
      return integer(schema)
    case 'number':
      return fc.double({ ...bounds(schema), ...above(schema), noNaN: true, noDefaultInfinity: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case undefined:
      return fc.jsonValue({ maxDepth: 2 })
    default:
      throw new Error(`Nobody has said how to make a ${JSON.stringify(schema.type)}`)
  }
}

/** Several schemas of objects that hold at once. */
function merged(document: OpenApi, all: readonly Schema[]): Schema {
  const schemas = all.map((schema) => document.resolved(schema))
  return {
    type: 'object',
    properties: Object.assign({}, ...schemas.map(({ properties }) => properties)),
    required: schemas.flatMap(({ required }) => (required ?? []) as string[]),
  }
}

function object(
  { properties, required, additionalProperties }: Schema,
  of: (schema: unknown) => fc.Arbitrary<unknown>,
) {
  const fields = Object.entries((properties ?? {}) as Record<string, Schema>).map(([name, schema]) => [
    name,
    of(schema),
  ])
  const known = fc.record(Object.fromEntries(fields), {
    requiredKeys: (required ?? []) as never[],
    noNullPrototype: true,
  })
  if (typeof additionalProperties !== 'object') return known
  const others = fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), of(additionalProperties), { maxKeys: 3 })
  return fc.tuple(others, known).map(([more, fields]) => ({ ...more, ...fields }))
}

function string({ format, pattern, minLength, maxLength }: Schema): fc.Arbitrary<string> {
  // A format says more than the pattern that comes with it, and is quicker to make.
  if (format === undefined && typeof pattern === 'string' && pattern !== NO_CONTROL)
    return fc.stringMatching(new RegExp(pattern)).filter((text) => fits(text, minLength, maxLength))
  switch (format) {
    case 'uuid':
      return fc.uuid()
    case 'date-time':
      return date.map((at) => at.toISOString())
    case 'date':
      return date.map((at) => at.toISOString().slice(0, 10))
    case 'email':
      return fc.emailAddress().filter((address) => typeof pattern !== 'string' || new RegExp(pattern).test(address))
    case 'uri':
      return fc.webUrl()
    case undefined: {
      const { minLength: least, maxLength: most } = lengths(minLength, maxLength, 40)
      // Of which none is a space: texts of nothing else are empty to whoever reads them.
      const text = fc.string({ unit: fc.oneof(letter, accented), minLength: least, maxLength: Math.max(least, most) })
      if (typeof maxLength !== 'number') return text
      return fc.oneof({ weight: 5, arbitrary: text }, { weight: 1, arbitrary: fc.constant('x'.repeat(maxLength)) })
    }
    default:
      throw new Error(`Nobody has said how to make a text of the format ${format}`)
  }
}

/** What plain text looks like in the document: every text of letters fits. */
const NO_CONTROL = '^[^\\u0000-\\u001f\\u007f-\\u009f]*$'

const fits = (text: string, least: unknown, most: unknown): boolean =>
  text.length >= Number(least ?? 0) && text.length <= Number(most ?? Number.POSITIVE_INFINITY)

const letter = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.,:;!?*&%$#@\'"\\/<>(){}[]')
const accented = fc.constantFrom(...'äßéñøжلम漢字‎\u{301}')
const date = fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })

function integer(schema: Schema): fc.Arbitrary<number> {
  const { min = -1_000, max = Number.MAX_SAFE_INTEGER } = bounds(schema)
  return fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min, max: Math.min(max, min + 20) }) },
    { weight: 1, arbitrary: fc.constantFrom(min, max) },
    { weight: 1, arbitrary: fc.integer({ min, max: Math.min(max, min + 1_000_000) }) },
  )
}

const bounds = ({ minimum, maximum }: Schema): { min?: number; max?: number } => ({
  ...(typeof minimum === 'number' ? { min: minimum } : {}),
  ...(typeof maximum === 'number' ? { max: maximum } : {}),
})

const above = ({ exclusiveMinimum }: Schema): { min?: number; minExcluded?: true } =>
  typeof exclusiveMinimum === 'number' ? { min: exclusiveMinimum, minExcluded: true } : {}

const lengths = (least: unknown, most: unknown, usual: number): { minLength: number; maxLength: number } => {
  const minLength = typeof least === 'number' ? least : 0
  return { minLength, maxLength: Math.max(minLength, Math.min(typeof most === 'number' ? most : usual, usual)) }
}
