import { z } from 'zod'
import { Created, Expand, Int } from './form.ts'
import { noSuch, refused } from './problem.ts'
import type { Row } from './rows.ts'
import { shown } from './world.ts'

/** What every list takes. */
export const Paging = z.strictObject({
  limit: Int.default(10),
  starting_after: z.string().optional(),
  ending_before: z.string().optional(),
  created: Created,
  expand: Expand,
})

/** One page, newest first, as https://docs.stripe.com/api/pagination has it. */
export function page(rows: readonly Row[], url: string, wanted: z.infer<typeof Paging>): Record<string, unknown> {
  const { limit, starting_after, ending_before, created } = wanted
  if (limit < 1 || limit > 100)
    throw refused(`Invalid integer: ${limit}. The limit must be from 1 to 100.`, 'parameter_invalid_integer', 'limit')
  const newestFirst = rows.toReversed().filter(({ created: at }) => within(at, created))
  const indexOf = (id: string, param: string): number => {
    const index = newestFirst.findIndex((row) => row.id === id)
    if (index < 0) throw noSuch('object', id, param)
    return index
  }
  const before = ending_before === undefined ? undefined : newestFirst.slice(0, indexOf(ending_before, 'ending_before'))
  const rest =
    before ??
    (starting_after === undefined ? newestFirst : newestFirst.slice(indexOf(starting_after, 'starting_after') + 1))
  // Backwards, the page is the one next to the cursor.
  const data = before === undefined ? rest.slice(0, limit) : rest.slice(-limit)
  return { object: 'list', data: data.map(shown), has_more: rest.length > data.length, url }
}

function within(at: number, range: z.infer<typeof Created>): boolean {
  if (range === undefined) return true
  const { gt, gte, lt, lte } = range as { gt?: number; gte?: number; lt?: number; lte?: number }
  return (
    (gt === undefined || at > gt) &&
    (gte === undefined || at >= gte) &&
    (lt === undefined || at < lt) &&
    (lte === undefined || at <= lte)
  )
}
