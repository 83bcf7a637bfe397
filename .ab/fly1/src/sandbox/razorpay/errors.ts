import type { Context } from 'hono'
import { z } from 'zod'

export interface RazorpayError {
  readonly code: 'BAD_REQUEST_ERROR' | 'GATEWAY_ERROR' | 'SERVER_ERROR'
  readonly description: string
  readonly source: string
  readonly step: string
  readonly reason: string
  readonly metadata: Readonly<Record<string, string>>
  readonly field?: string
}

/** What Razorpay says no with. */
export class Refused extends Error {
  readonly status: 400 | 401 | 404
  readonly error: RazorpayError

  constructor(error: Partial<RazorpayError> & { description: string }, status: 400 | 401 | 404 = 400) {
    super(error.description)
    this.status = status
    this.error = { code: 'BAD_REQUEST_ERROR', source: 'NA', step: 'NA', reason: 'NA', metadata: {}, ...error }
  }
}

export const invalid = (description: string, field: string): Refused =>
  new Refused({
    description,
    field,
    source: 'business',
    step: 'payment_initiation',
    reason: 'input_validation_failed',
  })

export const noSuchId = (): Refused => new Refused({ description: 'The id provided does not exist' })

export const refusal = (c: Context, { status, error }: Refused): Response => c.json({ error }, status)

/** How a mood's failure looks. */
export const trouble = (c: Context, status: 429 | 500): Response =>
  status === 429
    ? c.json({ error: new Refused({ description: 'Request failed. Please try after sometime.' }).error }, 429)
    : c.json(
        {
          error: new Refused({
            code: 'SERVER_ERROR',
            description: 'We are facing some trouble completing your request at the moment. Please try again shortly.',
          }).error,
        },
        500,
      )

export async function bodyOf<One extends z.ZodType>(c: Context, shape: One): Promise<z.infer<One>> {
  const read = shape.safeParse(await c.req.json().catch(() => ({})))
  if (read.success) return read.data
  const [issue] = read.error.issues
  const field = issue?.path.join('.') ?? ''
  const missing = issue?.code === 'invalid_type' && issue.input === undefined
  throw invalid(missing ? `The ${field} field is required.` : `The ${field} is invalid: ${issue?.message}`, field)
}

export const Amount = z.int().min(1)

/** Fifteen pairs at most, of 256 letters; none are an empty list. */
export const NotesBody = z
  .union([z.record(z.string(), z.coerce.string().max(256)), z.tuple([])])
  .nullish()
  .transform((notes) => (notes && Object.keys(notes).length > 0 ? (notes as Record<string, string>) : ([] as const)))

const Page = z.object({
  from: z.coerce.number().int().optional(),
  to: z.coerce.number().int().optional(),
  count: z.coerce.number().int().min(1).max(100, 'The count may not be greater than 100.').default(10),
  skip: z.coerce.number().int().min(0).default(0),
})

/** The newest first. */
export function listed<Row extends { created_at: number }>(
  c: Context,
  rows: readonly Row[],
): { items: readonly Row[] } {
  const page = Page.safeParse(c.req.query())
  if (!page.success) throw new Refused({ description: page.error.issues[0]?.message ?? 'Invalid query' })
  const { from = 0, to = Number.MAX_SAFE_INTEGER, count, skip } = page.data
  const items = rows
    .filter(({ created_at }) => created_at >= from && created_at <= to)
    .toReversed()
    .slice(skip, skip + count)
  return { items }
}

export const collection = (items: readonly object[]) => ({ entity: 'collection', count: items.length, items })
