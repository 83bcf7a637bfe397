import type Stripe from 'stripe'
import type { Unknown } from '../port.ts'
import { type Heard, type Line, unknown } from './line.ts'

/*
 * How our reference is found again at Stripe. It travels as the idempotency key and as `metadata.reference`.
 *
 * - Stripe's search is eventually consistent (about a minute, longer in an outage), so that a miss there proves nothing.
 * - Repeating the request under its key is exact, but only for 24 hours: after that Stripe has forgotten the key and would
 *   charge again, which is no way to ask a question.
 * - Lists are consistent, and can be cut by the time of making. Our references are UUIDv7 and hold the time at which they
 *   were minted, which is shortly before they were first sent: so the list is read from there, a narrow piece first.
 */

/** Milliseconds for which Stripe keeps a key, less an hour for clocks that differ. */
const KEY_LIFE_MS = 23 * 3_600_000

/** Seconds by which Stripe's clock may be behind ours. */
const SKEW_S = 600

/** Seconds after minting within which nearly everything is sent. */
const SOON_S = 3_600

const PAGE = 100

/** Pages of one piece of a list that are read for one look-up: past ten thousand objects a person should look. */
const MAX_PAGES = 100

/** When a reference was minted, Unix milliseconds. One that does not say so (no UUIDv7) may be as old as can be. */
export function mintedAt(reference: string): number {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7/i.test(reference)
    ? Number.parseInt(reference.replace('-', '').slice(0, 12), 16)
    : 0
}

/** May Stripe have forgotten the key, so that sending it again could do it twice? */
export const mayBeForgotten = (reference: string, now: Date): boolean =>
  now.getTime() - mintedAt(reference) > KEY_LIFE_MS

interface Made {
  readonly id: string
  readonly metadata: Stripe.Metadata | null
}

export interface ListParams {
  readonly limit: number
  readonly created?: Stripe.RangeQueryParam
  readonly starting_after?: string
}

export type ReadPage<T> = (stripe: Stripe, params: ListParams) => Promise<{ data: T[]; has_more: boolean }>

/** The one that carries our reference, of all that were made since it was minted; undefined: there is none. */
export async function findMade<T extends Made>(
  line: Line,
  reference: string,
  now: Date,
  readPage: ReadPage<T>,
): Promise<Heard<T | undefined>> {
  const minted = Math.floor(mintedAt(reference) / 1_000)
  const since = Math.max(0, minted - SKEW_S)
  if (now.getTime() / 1_000 < minted + SOON_S) return findInList(line, reference, readPage, { gte: since })
  const soon = await findInList(line, reference, readPage, { gte: since, lt: minted + SOON_S })
  if (soon.outcome !== 'heard' || soon.value !== undefined) return soon
  return findInList(line, reference, readPage, { gte: minted + SOON_S })
}

/** The same in one list, of which `created` may cut a piece. */
export async function findInList<T extends Made>(
  line: Line,
  reference: string,
  readPage: ReadPage<T>,
  created?: Stripe.RangeQueryParam,
): Promise<Heard<T | undefined>> {
  let last: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const heard = await line.ask((stripe) =>
      readPage(stripe, {
        limit: PAGE,
        ...(created === undefined ? {} : { created }),
        ...(last === undefined ? {} : { starting_after: last }),
      }),
    )
    if (heard.outcome !== 'heard') return heard
    const { data, has_more } = heard.value
    const found = data.find(({ metadata }) => metadata?.reference === reference)
    if (found !== undefined || !has_more) return { outcome: 'heard', value: found }
    last = data.at(-1)?.id
    if (last === undefined) break
  }
  return unknown('Stripe has made too much since to find this reference in its list')
}

/** A look-up that could not be made leaves the thing as unknown as it was, whatever stopped it. */
export function stillUnknown(heard: Exclude<Heard<unknown>, { outcome: 'heard' }>): Unknown {
  return heard.outcome === 'refused'
    ? unknown(`Stripe refused a look-up (${heard.code}, status ${heard.status})`)
    : unknown(heard.reason)
}
