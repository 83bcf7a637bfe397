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
