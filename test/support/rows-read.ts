import type pg from 'pg'
import { vi } from 'vitest'
import type { Services } from '../../src/processors/context.ts'
import { Workshop } from './workshop.ts'

/**
 * Rows read for each of so many, from the first to the last statement of some work, in a workshop of its own whose planner believes
 * that every table is empty.
 */
export async function readForEach(
  count: number,
  work: (shop: Workshop, count: number) => Promise<void>,
  services: Partial<Services> = {},
): Promise<number> {
  const shop = await Workshop.open(services)
  try {
    await believeEmpty(shop.pool)
    await work(shop, count)
    return (await rowsRead(shop)) / count
  } finally {
    await shop.database.drop()
  }
}

/**
 * As empty as a queue that was just worked off: pages, and nothing in them. Joins that are chosen for that are the wrong ones for
 * everything else.
 */
async function believeEmpty(pool: pg.Pool): Promise<void> {
  await pool.query(
    `update pg_class set relpages = 10, reltuples = 0 where relkind = 'r' and relnamespace = 'public'::regnamespace`,
  )
}

/** Rows of our tables that this workshop has read in its whole life. Its work is over then: connections tell as they end. */
async function rowsRead({ context, pool }: Workshop): Promise<number> {
  await context.database.close()
  await vi.waitFor(async () => {
    const { rowCount } = await pool.query(
      `select from pg_stat_activity where application_name = 'workshop' and datname = current_database()`,
    )
    if (rowCount !== 0) throw new Error('A connection of the workshop still ends')
  }, 10_000)
  // Those of the test itself, which long reads use as well.
  const clients = await Promise.all(Array.from({ length: pool.totalCount }, () => pool.connect()))
  try {
    for (const client of clients) await client.query('select pg_stat_force_next_flush()')
  } finally {
    for (const client of clients) client.release()
  }
  const { rows } = await pool.query(
    'select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int as read from pg_stat_user_tables',
  )
  return rows[0].read
}
