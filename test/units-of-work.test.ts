import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { Token } from '../src/domain/tokens/token.ts'
import { isFault } from '../src/kit/fault.ts'
import { type Database, openDatabase, openPool } from '../src/platform/database.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'

const CONNECTIONS = 3

let fresh: TestDatabase
let database: Database
let pool: ReturnType<typeof openPool>
beforeAll(async () => {
  fresh = await freshDatabase()
  pool = openPool({ url: fresh.url, name: 'units of work', max: CONNECTIONS })
  database = await openDatabase(pool, [Token])
})
afterAll(async () => {
  // Never ends while a connection is missing.
  await database.close()
  await fresh.drop()
})

const endAllSessions = () =>
  fresh.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'units of work'`,
  )

test('A unit of work whose connection is lost gives it back: as many can be lost as one likes', async () => {
  for (let lost = 0; lost < 2 * CONNECTIONS; lost++) {
    await expect(
      database.unitOfWork(async ({ sql }) => {
        await endAllSessions()
        await sql.query('select 1')
      }),
    ).rejects.toThrow(/terminat|not queryable/)
  }
  expect(await database.unitOfWork(({ sql }) => sql.query('select 1 as one'))).toEqual([{ one: 1 }])
})

test('A unit of work that cannot even begin on the connection that it was given does not keep it', async () => {
  for (let lost = 0; lost < 2 * CONNECTIONS; lost++) {
    await answersAgain()
    // Most of them are noticed by the pool before they are used; what is not must not be kept either.
    const ending = endAllSessions()
    await Promise.allSettled([1, 2, 3].map(() => database.unitOfWork(({ sql }) => sql.query('select 1'))))
    await ending
  }
  await answersAgain()
})

/** The last sessions to end may be lost only now, and each is lost once. */
const answersAgain = () =>
  vi.waitFor(async () =>
    expect(await database.unitOfWork(({ sql }) => sql.query('select 1 as one'))).toEqual([{ one: 1 }]),
  )

test('However many units of work come at once, each has its turn, and none waits in the pool, which gives up on whoever does', async () => {
  let waited = 0
  const answers = await Promise.all(
    Array.from({ length: 20 * CONNECTIONS }, (_, nth) =>
      database.unitOfWork(async ({ sql }) => {
        await sql.query('select pg_sleep(0.005)')
        waited = Math.max(waited, pool.waitingCount)
        return nth
      }),
    ),
  )
  expect(answers).toEqual(answers.map((_, nth) => nth))
  expect(waited).toBe(0)
})

test('A unit of work by key has each statement planned once, and on an empty table as for a full one', async () => {
  const find = 'select status from token where id = $1'
  const planned = await database.unitOfWork(
    async ({ sql }) => {
      const { rows } = await fresh.pool.query('select count(*)::int as tokens from token')
      expect(rows).toEqual([{ tokens: 0 }])
      for (let time = 0; time < 3; time++) await sql.query(find, [randomUUID()])
      const [prepared] = await sql.query<{ name: string; custom: number; generic: number }>(
        `select name, custom_plans::int as custom, generic_plans::int as generic
         from pg_prepared_statements where statement = $1`,
        [find],
      )
      const plan = await sql.query<object>(`explain execute ${prepared?.name}('${randomUUID()}')`)
      return { ...prepared, plan: JSON.stringify(plan) }
    },
    { byKey: true },
  )
  expect(planned).toMatchObject({ custom: 0, generic: 3 })
  expect(planned.plan).toMatch(/Index Scan using token_pkey/)
  const [after] = await database.unitOfWork(({ sql }) => sql.query('show plan_cache_mode'))
  expect(after).toEqual({ plan_cache_mode: 'force_custom_plan' })
})

test('A unit of work whose tables a migration has just changed is a fault: its next try finds them as they are', async () => {
  const one = new pg.Pool({ connectionString: fresh.url, max: 3 })
  const alone = await openDatabase(one, [Token])
  const look = () => alone.unitOfWork(({ sql }) => sql.query<object>('select * from changing where id = $1', [1]))
  await fresh.pool.query('create table changing (id int primary key)')
  expect(await look()).toEqual([])
  await fresh.pool.query('alter table changing add column more text')
  const error = await look().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(Error)
  expect(isFault(error)).toBe(true)
  await fresh.pool.query('insert into changing values (1, $1)', ['seen'])
  expect(await look()).toEqual([{ id: 1, more: 'seen' }])
  await alone.close()
})
