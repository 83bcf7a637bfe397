import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { attemptId } from '../src/domain/payments/attempt.ts'
import { fromPublicId } from '../src/kit/ids.ts'
import { decimal, type Movement, User } from './support/wallet-model.ts'
import { purse, refund, withdraw } from './support/wallet-moves.ts'
import { Wallets } from './support/wallets.ts'

const SEED = Number(process.env.BURSAR_WALLETS_SEED ?? randomInt(2 ** 31))
const STEPS = Number(process.env.BURSAR_WALLETS_STEPS ?? 200)

/** Steps between two moments in which everything that was begun is heard of. */
const RESTLESS = 20
const USERS = 4

const random = mulberry32(SEED)
const chance = (percent: number): boolean => random() * 100 < percent
const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item
const between = (least: number, most: number): number => least + Math.floor(random() * (most - least + 1))

const CARDS = [
  'mock_card',
  'mock_card',
  'mock_decline',
  'mock_3ds',
  'mock_pending',
  'mock_late_failure',
  'mock_wrong_amount',
]
const ACCOUNTS = [
  'mock_account',
  'mock_account',
  'mock_payout_pending',
  'mock_payout_fail',
  'mock_payout_late_failure',
  'mock_payout_returned',
]
const MOODS = ['lose_answer', 'fail_after', 'hang_up', 'fail', 'limit', 'stay_pending', 'late_failure', 'slow'] as const
const MOVES = ['POST /charges', 'POST /payouts', 'POST /refunds'] as const

let wallets: Wallets
let users: readonly User[]

beforeAll(async () => {
  process.stdout.write(`wallets-random: BURSAR_WALLETS_SEED=${SEED} repeats this run\n`)
  wallets = await Wallets.start()
  // What a gateway has to say is heard late, some of it twice, and in either order.
  await wallets.mock.webhooks({ mode: 'hold' })
  users = await Promise.all(
    Array.from({ length: USERS }, async () => {
      const id = await wallets.verified()
      const methods = async (tokens: readonly string[], type: string) => {
        const added: string[] = []
        for (const token of new Set(tokens)) added.push(await wallets.addMethod(id, 'mock', token, type))
        return new Map([...new Set(tokens)].map((token, nth) => [token, added[nth] ?? '']))
      }
      return new User(id, await methods(CARDS, 'CARD'), await methods(ACCOUNTS, 'BANK_TRANSFER'))
    }),
  )
})
afterAll(() => wallets.stop())

/** Each asks for something, or lets something happen. What it is asked with is drawn before anybody answers. */
const steps = {
  async deposit(user: User) {
    const amount = between(1, 50_000)
    const token = pick(CARDS)
    await begun(user, 'deposit', amount, (headers) =>
      wallets.deposit(
        user.id,
        { amount: decimal(amount), gateway: 'mock', payment_method_id: user.cards.get(token) },
        { headers },
      ),
    )
  },
  async withdraw(user: User) {
    const amount = between(1, 40_000)
    const token = pick(ACCOUNTS)
    await begun(user, 'withdrawal', amount, (headers) =>
      withdraw(wallets, user.id, { amount: decimal(amount), payment_method_id: user.accounts.get(token) }, { headers }),
    )
  },
  async refund(user: User) {
    const deposit = pick(user.movements.filter(({ type }) => type === 'deposit'))
    if (deposit === undefined) return
    const amount = between(1, Math.ceil(deposit.amount / 2))
    await begun(
      user,
      'refund',
      amount,
      (headers) => refund(wallets, deposit.id, { amount: decimal(amount) }, { headers }),
      deposit,
    )
  },
  /** Two that may not both be possible. */
  async race(user: User) {
    const both = [pick(['withdraw', 'refund'] as const), pick(['withdraw', 'refund', 'deposit'] as const)] as const
    await Promise.all(both.map((what) => steps[what](user)))
  },
  async misbehave() {
    await wallets.mock.mood(pick(MOVES), pick(MOODS))
  },
  async customer(user: User) {
    const does = chance(60) ? 'approve' : 'fail'
    const waiting = user.movements.filter(({ type, orderId }) => type === 'deposit' && orderId !== undefined)
    if (waiting.length > 0) await wallets.mock.ask('POST', `/_customer/${pick(waiting).orderId}`, { does })
  },
  async time() {
    await wallets.mock.pass(60)
  },
  news: () => heard(),
  async dispute(user: User) {
    await quiet()
    const deposit = pick(user.movements.filter((one) => one.type === 'deposit' && one.fate === 'moved'))
    if (deposit === undefined) return
    const status = pick(['needs_response', 'under_review', 'won', 'lost'] as const)
    const amount = deposit.dispute?.amount ?? between(1, Math.ceil(deposit.amount * 1.2))
    await wallets.mock.dispute(deposit.chargeId ?? '', status, { amount })
    await wallets.mock.release()
    await wallets.bursar.quiet()
    user.disputed(deposit, status, amount)
  },
}

const DRAWN: readonly (keyof typeof steps)[] = [
  ...['deposit', 'deposit', 'deposit', 'deposit', 'withdraw', 'withdraw', 'refund', 'refund', 'race'],
  ...['misbehave', 'misbehave', 'customer', 'time', 'news', 'dispute'],
] as (keyof typeof steps)[]

/** Asks, now and then twice at once under one key, and remembers what was let in. */
async function begun(
  user: User,
  type: Movement['type'],
  amount: number,
  ask: (headers: Record<string, string>) => ReturnType<Wallets['deposit']>,
  original?: Movement,
): Promise<void> {
  const headers = chance(15) ? { 'Idempotency-Key': `random ${type} ${between(0, 2 ** 31)}` } : undefined
  const answers = await Promise.all(headers === undefined ? [ask({})] : [ask(headers), ask(headers)])
  const [{ status, body } = { status: 0, body: undefined }] = answers
  const id = body.refund_id ?? body.transaction_id
  for (const other of answers) expect(other.body.refund_id ?? other.body.transaction_id).toBe(id)
  expect([200, 400, 402, 409, 502], JSON.stringify(body)).toContain(status)
  if (status !== 200) return
  if (original !== undefined && id === original.id) {
    original.calledOff = true
    return
  }
  const paymentId = fromPublicId('txn', id) ?? ''
  user.movements.push({
    ...{ type, id, amount, reference: attemptId(paymentId, 0), fate: 'open', original },
    orderId: type === 'deposit' ? (body.order_id ?? undefined) : undefined,
  })
}

/** Releases what was held, in either order and now and then twice. */
async function heard(): Promise<void> {
  await wallets.mock.webhooks({ copies: chance(20) ? 2 : 1 })
  await wallets.mock.release(chance(50) ? 'same' : 'reversed')
  await wallets.bursar.quiet()
}

/** Lets everything be heard of that was done, and has every open question asked again. */
async function quiet(): Promise<void> {
  await heard()
  await wallets.mock.behave()
  const { rows } = await wallets.bursar.pool.query(
    `select id from gateway_attempt where status in ('sent', 'pending', 'unknown')`,
  )
  await Promise.all(rows.map(({ id }) => wallets.ours('payment.lookup', { attempt_id: id })))
  await heard()
  const { charges, refunds, payouts } = await wallets.mock.done()
  const records = new Map([...charges, ...refunds, ...payouts].map((record) => [record.reference, record]))
  for (const user of users) user.learn(records)
}

/** What is there is what the gateway did, as a model of a few lines reckons it. */
async function expectAsReckoned(): Promise<void> {
  for (const user of users) {
    const { balance, held } = user
    expect(await purse(wallets, user.id), user.id).toEqual({
      balance: decimal(balance),
      locked: decimal(held),
      available: decimal(balance - held),
    })
    const { rows } = await wallets.bursar.pool.query(
      `select coalesce(sum(used), 0)::int as used from limit_use where user_id = $1 and length(period) = 10`,
      [user.id],
    )
    expect(rows[0].used, `limits of ${user.id}`).toBe(user.used)
    const { rows: deposits } = await wallets.bursar.pool.query(
      `select id, refunded::int from payment where user_id = $1 and type = 'deposit'`,
      [user.id],
    )
    for (const { id, refunded } of deposits) {
      const deposit = user.movements.find((one) => fromPublicId('txn', one.id) === id)
      expect(refunded, `refunded of ${id}`).toBe(deposit === undefined ? 0 : user.refundedOf(deposit))
    }
  }
  await wallets.expectAllInOrder()
}

test(`whatever happens to wallets, what is booked is what was done (seed ${SEED})`, { timeout: 180_000 }, async () => {
  const done: Record<string, number> = {}
  for (let step = 1; step <= STEPS; step++) {
    const what = pick(DRAWN)
    done[what] = (done[what] ?? 0) + 1
    await steps[what](pick(users))
    if (step % RESTLESS !== 0) continue
    await quiet()
    await expectAsReckoned()
  }
  expect(Object.keys(done).length).toBeGreaterThan(5)

  // A day later nothing is open any more: what was never received is free, and what nobody paid has expired.
  await wallets.mock.pass(60)
  await quiet()
  wallets.bursar.clock.advance({ seconds: 25 * 3_600 })
  while ((await wallets.follow()) > 0);
  const { charges, refunds, payouts } = await wallets.mock.done()
  const records = new Map([...charges, ...refunds, ...payouts].map((record) => [record.reference, record]))
  for (const user of users) user.learn(records, { given: 'up' })
  await expectAsReckoned()
  const { rows } = await wallets.bursar.pool.query(
    `select id, type, status from payment where completed_at is null and status <> 'review'`,
  )
  expect(rows).toEqual([])
  for (const user of users) expect((await purse(wallets, user.id)).locked).toBe('0.00')
})

/** Small and good enough: the same numbers for the same seed. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
