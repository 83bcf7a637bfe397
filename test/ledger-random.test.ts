import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Account, type Books, openBooks } from '../src/domain/ledger/books.ts'
import { platformBalance } from '../src/domain/ledger/reads.ts'
import { rollUp } from '../src/domain/ledger/roll-up.ts'
import { sealBlock } from '../src/domain/ledger/seal.ts'
import { newId } from '../src/kit/ids.ts'
import { type Amount, amount, covers } from '../src/kit/money.ts'
import { inTransaction, sqlOf } from '../src/platform/database.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'
import { findingsIn, issuance, issueToken, NOON, revenue } from './support/ledger.ts'

/** Batches in all: runs × connections × about 14 each. */
const RUNS = 28
const CONNECTIONS = 6

/** Few, so that the connections are in each other's way all the time. */
const SLOTS = 5

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)

let database: TestDatabase

beforeAll(async () => {
  process.stdout.write(`ledger-random: SEED=${seed} repeats this run\n`)
  database = await freshDatabase()
})

afterAll(() => database.drop())

/** More comes in than goes out, or the accounts would be empty, and every operation refused, most of the time. */
const verbs = [
  'issue',
  'issue',
  'issue',
  'deduct',
  'deduct',
  'hold',
  'hold',
  'capture',
  'release',
  'expire',
  'close',
] as const

const step = fc.record({
  does: fc.constantFrom(...verbs),
  slot: fc.nat(SLOTS - 1),
  size: fc.integer({ min: 1, max: 60 }),
  pick: fc.nat(100),
})
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

/** Some steps; every fourth one or so is refused at its end and must leave nothing behind. */
const operation = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 3 }),
  refused: fc.nat(3).map((value) => value === 0),
})
const batch = fc.array(operation, { minLength: 1, maxLength: 8, size: 'max' })
type Batch = typeof batch extends fc.Arbitrary<infer Value> ? Value : never

/** What an account should be, kept without any database. Changed only while the real one is locked. */
interface Expected {
  balance: bigint
  held: bigint
  entries: bigint
  closed: boolean
  holds: Map<string, Amount>
}

const copyOf = (expected: Expected): Expected => ({ ...expected, holds: new Map(expected.holds) })

/** What our own accounts should have, over all runs. */
const platform: Record<string, bigint> & { issuance: bigint; revenue: bigint } = { issuance: 0n, revenue: 0n }

class Refused extends Error {}

/** The accounts that are in use, by slot, and what all accounts that ever were should be. */
interface World {
  readonly slots: string[]
  readonly expected: Map<string, Expected>
}

test('thousands of random batches on many connections leave the books exactly as a plain model of them', async () => {
  let played = 0
  let transfers = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(batch, { minLength: 8, maxLength: 20, size: 'max' }), {
        minLength: CONNECTIONS,
        maxLength: CONNECTIONS,
      }),
      async (batchesOfConnections) => {
        const world = await newWorld()
        await Promise.all([
          ...batchesOfConnections.map(async (batches) => {
            for (const one of batches) {
              const posted = await playBatch(world, one)
              transfers += posted
              played += 1
            }
          }),
          tidyMeanwhile(),
        ])
        await expectDatabaseToMatch(world)
        expect(await findingsIn(database.pool)).toEqual([])
      },
    ),
    { seed, numRuns: RUNS, endOnFailure: true },
  )
  process.stdout.write(`ledger-random: ${played} batches, ${transfers} transfers\n`)
  expect(played).toBeGreaterThan(2_000)
}, 90_000)

async function newWorld(): Promise<World> {
  const slots = await Promise.all(Array.from({ length: SLOTS }, () => issueToken(database.pool, 400)))
  platform.issuance -= 400n * BigInt(SLOTS)
  const fresh = { balance: 400n, held: 0n, entries: 1n, closed: false }
  return { slots, expected: new Map(slots.map((id) => [id, { ...fresh, holds: new Map() }])) }
}

/** Rolling up and sealing go on beside the posting; neither may ever be noticed. */
async function tidyMeanwhile(): Promise<void> {
  for (let round = 0; round < 5; round += 1) {
    await rollUp(sqlOf(database.pool), 20)
    await inTransaction(database.pool, (sql) => sealBlock(sql, { now: new Date(), lagMs: 0, maxRows: 50 }))
  }
}

/** Answers how many transfers it posted. A deadlock, or anything else that goes wrong, ends the test. */
async function playBatch(world: World, operations: Batch): Promise<number> {
  const slots = [...new Set(operations.flatMap(({ steps }) => steps.map(({ slot }) => slot)))]
  const ids = new Map(slots.map((slot) => [slot, idIn(world, slot)]))
  const holds = [...ids.values()].flatMap((id) => [...expectedOf(world, id).holds.keys()])
  const play = await inTransaction(database.pool, async (sql) => {
    const books = await openBooks(sql, [...ids.values()], NOON, { holds })
    const play = new Play(world, books, new Map(ids), new Set(holds))
    play.expectBooksToMatch()
    for (const { steps, refused } of operations) {
      play.playOperation(steps, refused)
      play.expectBooksToMatch()
    }
    await books.write(sql)
    play.settle()
    return play
  })
  // Only now can others see the accounts that were opened.
  for (const [slot, id] of play.slots) if (id !== ids.get(slot)) world.slots[slot] = id
  return play.transfers
}

/** One batch. While it lasts, its accounts are locked, so nobody else plays with what is expected of them. */
class Play {
  readonly #world: World
  readonly #books: Books
  readonly slots: Map<number, string>
  readonly #loadedHolds: Set<string>
  #expected: Map<string, Expected>
  #moved = { issuance: 0n, revenue: 0n, transfers: 0 }

  constructor(world: World, books: Books, ids: Map<number, string>, loadedHolds: Set<string>) {
    this.#world = world
    this.#books = books
    this.slots = ids
    this.#loadedHolds = loadedHolds
    this.#expected = new Map([...ids.values()].map((id) => [id, copyOf(expectedOf(world, id))]))
  }

  playOperation(steps: readonly Step[], refused: boolean): void {
    const mark = this.#books.mark()
    const before = new Map([...this.#expected].map(([id, expected]) => [id, copyOf(expected)]))
    const ids = new Map(this.slots)
    const moved = { ...this.#moved }
    const operationId = newId()
    try {
      for (const step of steps) this.#play(step, operationId)
      if (refused) throw new Refused()
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.#books.undo(mark)
      this.#expected = before
      for (const [slot, id] of ids) this.slots.set(slot, id)
      this.#moved = moved
    }
  }

  expectBooksToMatch(): void {
    for (const [id, { balance, held, entries, closed }] of this.#expected)
      expect(this.#books.account(id)).toMatchObject({ balance, held, entries, closed, available: balance - held })
  }

  get transfers(): number {
    return this.#moved.transfers
  }

  /** While the accounts are still locked. */
  settle(): void {
    for (const [id, expected] of this.#expected) this.#world.expected.set(id, expected)
    platform.issuance += this.#moved.issuance
    platform.revenue += this.#moved.revenue
  }

  #play({ does, slot, size, pick }: Step, operationId: string): void {
    const id = this.slots.get(slot) ?? ''
    const account = this.#books.account(id)
    const expected = this.#expected.get(id)
    if (expected === undefined || expected.closed) throw new Refused()
    const wanted = amount(size)
    const covered = covers(account.available, wanted)
    expect(covered).toBe(expected.balance - expected.held >= wanted)

    switch (does) {
      case 'issue':
        this.#post('token.issue', account, expected, wanted, operationId)
        return
      case 'deduct':
        if (!covered) throw new Refused()
        this.#post('token.deduct', account, expected, wanted, operationId)
        return
      case 'hold': {
        if (!covered) throw new Refused()
        const hold = this.#books.hold(account, { amount: wanted, operationId, expiresAt: NOON })
        this.#loadedHolds.add(hold.id)
        expected.held += wanted
        expected.holds.set(hold.id, wanted)
        return
      }
      case 'close': {
        if (expected.held > 0n) throw new Refused()
        if (expected.balance > 0n) this.#post('token.expire', account, expected, amount(expected.balance), operationId)
        this.#books.close(account)
        expected.closed = true
        const next = this.#books.open({ owner: `token:${newId()}`, purpose: 'token', asset: 'BUDGET' })
        this.#expected.set(next.id, { balance: 0n, held: 0n, entries: 0n, closed: false, holds: new Map() })
        this.slots.set(slot, next.id)
        return
      }
      default:
        this.#endHold(does, expected, wanted, pick, operationId)
    }
  }

  #endHold(
    does: 'capture' | 'release' | 'expire',
    expected: Expected,
    wanted: Amount,
    pick: number,
    operationId: string,
  ): void {
    const open = [...expected.holds].filter(([id]) => this.#loadedHolds.has(id))
    const [id, held] = open[pick % open.length] ?? []
    if (id === undefined || held === undefined) return
    const hold = this.#books.placedHold(id)
    expect(hold).toMatchObject({ status: 'held', amount: held })
    expected.held -= held
    expected.holds.delete(id)
    if (does === 'release') this.#books.release(hold)
    if (does === 'expire') this.#books.expire(hold)
    if (does !== 'capture') return
    const captured = wanted < held ? wanted : held
    this.#books.capture(hold, { movement: 'token.deduct', credit: revenue, amount: captured, operationId })
    expected.balance -= captured
    expected.entries += 1n
    this.#moved.revenue += captured
    this.#moved.transfers += 1
  }

  #post(
    movement: 'token.issue' | 'token.deduct' | 'token.expire',
    account: Account,
    expected: Expected,
    some: Amount,
    operationId: string,
  ): void {
    const sides = {
      'token.issue': { debit: issuance, credit: account },
      'token.deduct': { debit: account, credit: revenue },
      'token.expire': { debit: account, credit: issuance },
    }
    this.#books.post(movement, { ...sides[movement], amount: some, operationId })
    const change = movement === 'token.issue' ? some : -some
    expected.balance += change
    expected.entries += 1n
    this.#moved[movement === 'token.deduct' ? 'revenue' : 'issuance'] -= change
    this.#moved.transfers += 1
  }
}

async function expectDatabaseToMatch(world: World): Promise<void> {
  const sql = sqlOf(database.pool)
  const rows = await sql.query<{ id: string; balance: string; held: string; entries: string; closed: boolean }>(
    'select id, balance, held, entries, closed from account where id = any($1::uuid[]) order by id',
    [[...world.expected.keys()]],
  )
  const found = rows.map((row) => [row.id, BigInt(row.balance), BigInt(row.held), BigInt(row.entries), row.closed])
  const expected = [...world.expected].map(([id, is]) => [id, is.balance, is.held, is.entries, is.closed])
  expect(found).toEqual(expected.sort(([one], [other]) => (`${one}` < `${other}` ? -1 : 1)))
  for (const account of [issuance, revenue]) expect(await platformBalance(sql, account)).toBe(platform[account.purpose])
}

function idIn(world: World, slot: number): string {
  const id = world.slots[slot]
  if (id === undefined) throw new Error(`No slot ${slot}`)
  return id
}

function expectedOf(world: World, id: string): Expected {
  const expected = world.expected.get(id)
  if (expected === undefined) throw new Error(`Nothing expected of ${id}`)
  return expected
}
