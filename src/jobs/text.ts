import { z } from '@hono/zod-openapi'

/** Room for any gateway's identifiers and for names of users. */
export const MAX_ID = 255

/** Text that may be stored and shown: PostgreSQL takes no NUL, and nobody means a control character. */
export const plainText = (max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .regex(/^[^\p{Cc}]*$/u, 'must not hold control characters')
    // Without the flag that our own expression needs.
    .openapi({ pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]*$' })

/** A day that somebody can have meant: PostgreSQL knows no year 0, and a year of five digits is a slip. */
export const calendarDay = z.iso
  .date()
  .refine((day) => day >= '2000-01-01' && day < '2200-01-01', { error: 'must be a day between 2000 and 2199' })
