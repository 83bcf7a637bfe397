import { createHmac, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mockEvent, mockSignature, Wallets } from './support/wallets.ts'

const DEPOSITS = 100
const DELIVERIES = 10_000
const FORGERIES = DELIVERIES / 10

/** Of the deposits, so many are argued about, and decided for us or for the customer. */
const WON = 10
const LOST = 10

/** Deliveries under way at once. */
const AT_ONCE = 48

/** Repeated by `SEED=… vitest run test/webhooks-storm.test.ts`. */
const seed = Number(process.env.SEED ?? randomInt(2 ** 31))

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start()
})
afterAll(() => wallets.stop())

/** A number generator whose seed repeats it (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function shuffle<Item>(items: Item[], random: () => number): Item[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    ;[items[last], items[other]] = [items[other] as Item, items[last] as Item]
  }
  return items
}

interface Delivery {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

describe('ten thousand webhooks', () => {
  test(`in triples and more, shuffled, a tenth of them forged, have each effect exactly once (SEED=${seed})`, {
    timeout: 240_000,
  }, async () => {
    const random = randomFrom(seed)
    const { mock, bursar } = wallets
    await mock.webhooks({ mode: 'drop' })
    await mock.mood('POST /charges', 'stay_pending', DEPOSITS)

    const users = Array.from({ length: DEPOSITS }, () => wallets.user())
    const begun = await Promise.all(users.map((user, n) => wallets.deposit(user, { amount: 100 + n, gateway: 'mock' })))
    expect(new Set(begun.map(({ body }) => body.status))).toEqual(new Set(['PENDING']))
    await mock.pass(61)
    const { charges } = await mock.done()
    expect(charges.filter(({ times }) => times === 1)).toHaveLength(DEPOSITS)

    const events = charges.flatMap(({ reference, id, amount, currency }, n) => {
      const data = { object: 'charge', payment_id: id, reference, amount, currency }
      const said = ['processing', 'captured', 'captured', 'processing', 'declined', 'captured', 'canceled']
      const about = said.map((status) => mockEvent(`charge.${status}`, { ...data, status }))
      if (n >= WON + LOST) return about
      const decided = n < WON ? 'won' : 'lost'
      const dispute = { object: 'dispute', dispute_id: `mock_dispute_${n}`, payment_id: id, amount, currency }
      return [
        ...about,
        mockEvent('dispute.opened', { ...dispute, status: 'needs_response' }),
        mockEvent('dispute.updated', { ...dispute, status: 'under_review' }),
        mockEvent('dispute.updated', { ...dispute, status: decided }),
      ]
    })

    const now = bursar.clock.now()
    const genuine = Array.from({ length: DELIVERIES - FORGERIES }, (_, n): Delivery => {
      const body = events[n % events.length] as string
      return { body, headers: mockSignature(body, now) }
    })
    expect(genuine.length).toBeGreaterThanOrEqual(3 * events.length)
    const forged = Array.from({ length: FORGERIES }, (_, n) => forgery(events[n % events.length] as string, n, now))
    const deliveries = shuffle([...genuine, ...forged], random)

    const statuses = await deliver(`${bursar.door.url}/webhooks/mock`, deliveries)
    expect(statuses).toEqual({ 200: DELIVERIES - FORGERIES, 401: FORGERIES })
    await bursar.quiet()

    // What came before the deposit was known to have ended waits its minute.
    for (let minute = 0; minute < 3; minute++) {
      bursar.clock.advance({ seconds: 301 })
      await wallets.unpark()
    }
    const { rows: inbox } = await bursar.pool.query('select status, count(*)::int from webhook group by 1')
    expect(inbox).toEqual([{ status: 'processed', count: events.length }])
    expect(await bursar.statuses('webhook.process')).toEqual({ succeeded: events.length })
    expect(await bursar.transfers('deposit.settle')).toBe(DEPOSITS)

    const { rows: disputes } = await bursar.pool.query(
      'select status, count(*)::int from dispute group by 1 order by 1',
    )
    expect(disputes).toEqual([
      { status: 'lost', count: LOST },
      { status: 'won', count: WON },
    ])
    expect(await bursar.transfers('dispute.open')).toBe(WON + LOST)
    expect(await bursar.transfers('dispute.win')).toBe(WON)
    expect(await bursar.transfers('dispute.lose')).toBe(LOST)

    const { rows: balances } = await bursar.pool.query(
      `select owner, balance from account where purpose = 'wallet' and owner = any($1)`,
      [users.map((user) => `user:${user}`)],
    )
    const lost = new Set(charges.slice(WON, WON + LOST).map(({ amount }) => amount))
    const expected = users.map((user, n) => {
      const amount = (100 + n) * 100
      return [`user:${user}`, String(lost.has(amount) ? 0 : amount)]
    })
    expect(Object.fromEntries(balances.map(({ owner, balance }) => [owner, balance]))).toEqual(
      Object.fromEntries(expected),
    )
    await wallets.expectAllInOrder()
  })
})

/** What somebody would try who has no secret: another one, none, a signature of something else, or of another time. */
function forgery(genuine: string, n: number, now: Date): Delivery {
  const body = genuine.replace('"amount":', '"amount":1')
  const t = Math.floor(now.getTime() / 1_000)
  const guessed = createHmac('sha256', 'mock_webhooks_guess').update(`${t}.${body}`).digest('hex')
  switch (n % 4) {
    case 0:
      return { body, headers: { 'x-mock-signature': `t=${t},v1=${guessed}` } }
    case 1:
      return { body, headers: {} }
    case 2:
      return { body, headers: mockSignature(genuine, now) }
    default:
      return { body: genuine, headers: mockSignature(genuine, new Date(now.getTime() - 600_000)) }
  }
}

/** All of them, so many at once, in this order; answers how many were answered with what. */
async function deliver(url: string, deliveries: readonly Delivery[]): Promise<Record<number, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE })
  const answered: Record<number, number> = {}
  let next = 0
  const carry = async () => {
    for (let delivery = deliveries[next++]; delivery !== undefined; delivery = deliveries[next++]) {
      const sent = request(url, {
        ...{ method: 'POST', agent },
        headers: { 'content-type': 'application/json', ...delivery.headers },
      })
      sent.end(delivery.body)
      const [answer] = (await once(sent, 'response')) as [IncomingMessage]
      answer.resume()
      await once(answer, 'end')
      const status = answer.statusCode ?? 0
      answered[status] = (answered[status] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, carry))
  agent.destroy()
  return answered
}
