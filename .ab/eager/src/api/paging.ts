import { z } from '@hono/zod-openapi'

/** Rows in one answer: enough for a screen, and for a program that asks again. */
const MAX_PAGE = 100
const DEFAULT_PAGE = 20

/** `limit` and `cursor`. A cursor is `next_cursor` of the page before, and nothing else. */
export const pageQuery = (cursor: RegExp) =>
  z.object({
    limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
    cursor: z.string().regex(cursor, 'Use next_cursor of the page before').optional(),
  })

/** Cuts a page out of one row more than was asked for: the row too many says that there is another page. */
export function paged<Row>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (last: Row) => string,
): { page: readonly Row[]; next: string | null } {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { page, next: rows.length > limit && last !== undefined ? cursorOf(last) : null }
}
