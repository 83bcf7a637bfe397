import { z } from 'zod'
import { badParameter } from './problem.ts'

/*
 * Stripe's requests are forms: `metadata[reference]=…`, `expand[0]=…` or `expand[]=…`, `created[gte]=…`.
 */

type Fields = { [name: string]: string | Fields }

/** Deepest nesting of a name that is read. */
const MAX_DEPTH = 5

export function parseForm(text: string): Fields {
  const root: Fields = Object.create(null) as Fields
  for (const [name, value] of new URLSearchParams(text)) {
    const path = [name.replace(/\[.*$/, ''), ...[...name.matchAll(/\[([^\]]*)\]/g)].map(([, part]) => part ?? '')]
    if (path.length > MAX_DEPTH) throw badParameter('parameter_invalid_string', `Invalid parameter: ${name}`, name)
    let at = root
    for (const part of path.slice(0, -1)) {
      const inner = at[part]
      const next: Fields = typeof inner === 'object' ? inner : (Object.create(null) as Fields)
      at[part] = next
      at = next
    }
    const last = path.at(-1) ?? ''
    // `expand[]` once more: each has its own place.
    at[last === '' ? String(Object.keys(at).length) : last] = value
  }
  return root
}

/** One text for equal forms, in whatever order they came. */
export const canonicalForm = (text: string): string =>
  [...new URLSearchParams(text)]
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .toSorted()
    .join('&')

/** Reads parameters, and says of the first that is wrong what Stripe would. */
export function read<S extends z.ZodObject>(schema: S, fields: unknown): z.infer<S> {
  const parsed = schema.safeParse({ ...(fields as object) })
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const param = issue?.code === 'unrecognized_keys' ? (issue.keys[0] ?? '') : (issue?.path.join('.') ?? '')
  const [first] = issue?.path ?? []
  if (issue?.code === 'unrecognized_keys')
    throw badParameter('parameter_unknown', `Received unknown parameter: ${param}`, param)
  if (issue?.path.length === 1 && (fields as Fields)[String(first)] === undefined)
    throw badParameter('parameter_missing', `Missing required param: ${param}.`, param)
  throw badParameter(
    'parameter_invalid_string',
    `Invalid ${param}: ${issue?.message ?? 'not what it should be'}`,
    param,
  )
}

export const Int = z
  .string()
  .regex(/^-?\d{1,15}$/, 'Invalid integer')
  .transform(Number)
export const Positive = Int.refine((value) => value >= 1, 'This value must be greater than or equal to 1.')
export const Bool = z.enum(['true', 'false']).transform((value) => value === 'true')
export const Text = z.string().max(5_000)

/** Keys of 40 letters and values of 500, at most 50 of them, as documented. */
export const Metadata = z
  .record(z.string().max(40), z.string().max(500))
  .refine((fields) => Object.keys(fields).length <= 50, 'At most 50 keys')
  .default({})

const Range = z.strictObject({ gt: Int.optional(), gte: Int.optional(), lt: Int.optional(), lte: Int.optional() })
export const Created = z.union([Int.transform((at) => ({ gte: at, lte: at })), Range]).optional()

/** A list comes as an object with numbers for names. */
export const Texts = z.record(z.string(), z.string()).transform((fields) => Object.values(fields))

export const Expand = Texts.optional()
