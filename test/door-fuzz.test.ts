import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { Deployment } from './support/deployment.ts'
import { type Bytes, bytesTo } from './support/fuzz-bytes.ts'
import {
  type Ammunition,
  anyShot,
  bytesOf,
  described,
  isAnotherPath,
  mayChange,
  type Shot,
  validShot,
} from './support/fuzz-requests.ts'
import { exchange, Wire, type WireAnswer } from './support/fuzz-wire.ts'
import { type DocumentedRoute, errorMistakes, OpenApi } from './support/openapi.ts'

/*
 * Requests of every kind, made from our own OpenAPI document and sent to every route in it. Whatever is sent: no 5xx, no
 * change of state by what was refused, and an answer that the document describes. A failure prints the seed and the
 * smallest request that was found; BURSAR_FUZZ_SEED repeats it, BURSAR_FUZZ_REQUESTS sends more or fewer.
 */

const SEED = Number(process.env.BURSAR_FUZZ_SEED ?? randomInt(2 ** 31))

/** In all, spread over the tests below: as many as are promised. */
const REQUESTS = Number(process.env.BURSAR_FUZZ_REQUESTS ?? 10_000)

/** Asked at once: one at a time would leave both cores idle. */
const AT_ONCE = 25

/** For looking for a smaller request that fails like the first. */
const SHRINKING_MS = 10_000

const TIMEOUT_MS = 60_000 + 10 * REQUESTS

let bursar: Deployment
let wire: Wire
let document: OpenApi
let ammunition: Ammunition
let credentials: Record<string, string>
let sent = 0

beforeAll(async () => {
  bursar = await Deployment.start({ env: { TOKEN_REQUESTS_PER_MINUTE: '1000000', FRAUD_RULES: 'observe' } })
  wire = new Wire(bursar.door.url, AT_ONCE)
  document = new OpenApi((await bursar.get('/openapi.json')).body)
  const token = await bursar.issue(500)
  const { body: issued } = await bursar.do('POST', '/token', { budget: 300, voice_id: 'voice_2' })
  const { body: deducted } = await bursar.ask('POST', `/token/${token}/deduct`, { body: { amount: 1 }, as: 'fuzz' })
  const asService = { as: 'fuzz', roles: ['service'] } as const
  const card = { user_id: 'fuzz', type: 'card', gateway: 'mock', token: 'mock_fuzz' }
  const { body: method } = await bursar.do('POST', '/api/v1/payments/methods', card, asService)
  const paid = { user_id: 'fuzz', amount: 100, gateway: 'mock', payment_method_id: method.id }
  const { body: deposit } = await bursar.do('POST', '/api/v1/payments/deposits/initiate', paid, asService)
  const taken = { user_id: 'fuzz', amount: 10, payment_method_id: method.id }
  const { body: withdrawal } = await bursar.do('POST', '/api/v1/payments/withdrawals/initiate', taken, asService)
  ammunition = {
    document,
    existing: {
      token_id: [token, issued.token_id, issued.token],
      id: [deducted.operation_id],
      payment_method_id: [method.id],
      transaction_id: [deposit.transaction_id],
      withdrawal_id: [withdrawal.withdrawal_id],
    },
    callers: ['user', 'service', 'operator', 'admin'],
  }
  credentials = Object.fromEntries(
    await Promise.all(
      (['user', 'service', 'operator', 'admin'] as const).map(async (role) => [
        role,
        `Bearer ${await bursar.jwt('fuzz', [role])}`,
      ]),
    ),
  )
  await bursar.quiet()
})
afterAll(async () => {
  wire.close()
  await bursar.stop()
})

/** Routes by how much there is to get wrong. */
const ofEveryRoute = (shot: (route: DocumentedRoute) => fc.Arbitrary<Shot>): fc.Arbitrary<Shot> =>
  fc.oneof(
    ...document.routes.map((route) => ({
      weight: 1 + route.parameters.length + (route.body === undefined ? 0 : 6),
      arbitrary: shot(route),
    })),
  )

/** Sends so many requests and checks each answer. What fails is made smaller, and told with its seed. */
async function expectOf(
  shots: fc.Arbitrary<Shot>,
  share: number,
  check: (shot: Shot, answer: WireAnswer) => void,
): Promise<void> {
  let failed: { at: number; error: unknown } | undefined
  const together = fc.array(shots, { minLength: AT_ONCE, maxLength: AT_ONCE })
  const property = fc.asyncProperty(together, async (shots) => {
    fc.pre(failed === undefined || performance.now() - failed.at < SHRINKING_MS)
    try {
      await Promise.all(shots.map(async (shot) => check(shot, await ask(shot))))
    } catch (error) {
      failed = { at: failed?.at ?? performance.now(), error }
      throw error
    }
  })
  await fc.check(property, { seed: SEED, numRuns: Math.ceil((REQUESTS * share) / AT_ONCE) })
  if (failed !== undefined) throw failed.error
}

async function ask(shot: Shot): Promise<WireAnswer> {
  sent += 1
  try {
    return await wire.send(bytesOf(shot, credentials))
  } catch (error) {
    fail(shot, String(error))
  }
}

/** What holds for every answer to whatever request. Words are made only for what does not: there are thousands. */
function expectProper(shot: Shot, { status, headers, body }: WireAnswer): void {
  const type = headers.get('content-type') ?? ''
  const mistakes = isPage(shot, status, type)
    ? []
    : isAnotherPath(shot)
      ? errorMistakes(status, body)
      : document.mistakesIn(shot.route, { status, type, body })
  if (status >= 500) mistakes.push('a failure of ours')
  if (!headers.has('x-request-id')) mistakes.push('no request id')
  if (mistakes.length > 0) fail(shot, `${status} ${JSON.stringify(body).slice(0, 500)}: ${mistakes.join('; ')}`)
}

/** Whoever opens a page is shown one, too, where there is nothing to see. */
const isPage = ({ route }: Shot, status: number, type: string): boolean =>
  status === 404 && type.startsWith('text/html') && route.answers.get(200)?.type === 'text/html'

function fail(shot: Shot, what: string): never {
  throw new Error(`${described(shot)} → ${what} (BURSAR_FUZZ_SEED=${SEED})`)
}

/** Forged webhooks are written down, which is all that they do. */
const ownNotes: { readonly [table: string]: string } = {
  operation: `where kind <> 'security.record'`,
  audit_event: `where category <> 'security'`,
}

/** Every row of every table; not the counts of the limits, which every request moves. */
async function state(): Promise<Record<string, unknown>> {
  const { rows: tables } = await bursar.pool.query(
    `select table_name as name from information_schema.tables
     where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> 'rate_limit'`,
  )
  const found: Record<string, unknown> = {}
  for (const { name } of tables) {
    const { rows } = await bursar.pool.query(
      `select count(*)::int as rows, md5(string_agg(t::text, E'\\n' order by t::text)) as digest from ${name} t ${ownNotes[name] ?? ''}`,
    )
    found[name] = rows[0]
  }
  return found
}

/** Ids of the operations that callers were told of. */
const promised = new Set<string>()

function remember({ route }: Shot, { headers, body }: WireAnswer): void {
  const id =
    headers.get('operation-id') ?? (route.method === 'GET' ? undefined : Accepted.safeParse(body).data?.operation_id)
  if (id !== undefined) promised.add(id)
}

const Accepted = z.object({ operation_id: z.string() })

const Custom = z.array(z.object({ type: z.literal('custom') })).min(1)
const isAboutSeveralFields = (detail: unknown): boolean => Custom.safeParse(detail).success

test(
  `what only asks, and what the document does not allow, changes nothing (seed ${SEED})`,
  async () => {
    await bursar.quiet()
    const before = await state()
    const harmless = ofEveryRoute((route) => anyShot(ammunition, route).filter((shot) => !mayChange(document, shot)))
    await expectOf(harmless, 0.65, (shot, answer) => {
      expectProper(shot, answer)
      if (shot.route.method !== 'GET' && answer.status < 400) fail(shot, `${answer.status}: taken`)
    })
    expect(await state()).toEqual(before)
  },
  TIMEOUT_MS,
)

test(
  `what the document allows is never called invalid (seed ${SEED})`,
  async () => {
    await expectOf(
      ofEveryRoute((route) => validShot(ammunition, route)),
      0.05,
      (shot, answer) => {
        expectProper(shot, answer)
        remember(shot, answer)
        const { data: error } = z.object({ code: z.string(), detail: z.unknown() }).safeParse(answer.body)
        // What one field says of another is beyond the schema: those problems are told as such.
        if (isAboutSeveralFields(error?.detail)) return
        // Sixteen digits that happen to be a card number's are refused by what they are, not by their form.
        // Who asks a page too often is told so whatever is asked.
        const others = ['request.rawCardData', 'request.tooMany']
        if (error?.code.startsWith('request.') && !others.includes(error.code)) fail(shot, JSON.stringify(answer.body))
      },
    )
  },
  TIMEOUT_MS,
)

test(
  `every change has its operation, and every operation its promise (seed ${SEED})`,
  async () => {
    await bursar.quiet()
    const known = await idsIn('operation', 'id', CALLERS)
    await expectOf(
      ofEveryRoute((route) => anyShot(ammunition, route)),
      0.25,
      (shot, answer) => {
        expectProper(shot, answer)
        remember(shot, answer)
      },
    )
    await bursar.quiet()
    const all = new Set([...known, ...promised])
    expect(await idsIn('operation', 'id', CALLERS)).toEqual(all)
    // What follows from what was asked for, and what gateways tell of, is asked for by ourselves.
    for (const id of await idsIn('operation', 'id', `submitted_by like ' %'`)) all.add(id)
    const { rows: tables } = await bursar.pool.query(
      `select table_name as name from information_schema.columns where table_schema = 'public' and column_name = 'operation_id'`,
    )
    expect(tables.length).toBeGreaterThan(2)
    for (const { name } of tables)
      expect(
        [...(await idsIn(name, 'operation_id'))].filter((id) => !all.has(id)),
        name,
      ).toEqual([])
    const { rows: unearned } = await bursar.pool.query(
      `select operation_id from transfer join operation on operation.id = operation_id where status <> 'succeeded'`,
    )
    expect(unearned).toEqual([])
  },
  TIMEOUT_MS,
)

const CALLERS = `submitted_by is null or submitted_by not like ' %'`

async function idsIn(table: string, column: string, where = 'true'): Promise<Set<string>> {
  const { rows } = await bursar.pool.query(`select ${column} as id from ${table} where ${where}`)
  return new Set(rows.map(({ id }) => id))
}

test(
  `bytes that are hardly HTTP are refused or understood, and change nothing (seed ${SEED})`,
  async () => {
    await bursar.quiet()
    const before = await state()
    const all = fc.sample(bytesTo(document.routes), { seed: SEED, numRuns: Math.ceil(REQUESTS * 0.05) })
    for (let at = 0; at < all.length; at += AT_ONCE) await Promise.all(all.slice(at, at + AT_ONCE).map(expectRefusal))
    sent += all.length
    expect(await state()).toEqual(before)
  },
  TIMEOUT_MS,
)

/** A body with a GET is not waited for. TCP tells a sender of more than its buffers hold of the end first, and drops the answer. */
const isUnread = (bytes: Buffer): boolean =>
  bytes.length > 65_536 && /^(GET|HEAD) /.test(bytes.toString('latin1', 0, 5))

async function expectRefusal({ what, bytes, hangUp }: Bytes): Promise<void> {
  const answers = (await exchange(bursar.door.url, bytes, { hangUp })).filter(({ status }) => status !== 100)
  // Whoever goes away may be gone before the answer; so may one whose bytes nobody reads, when the door closes on them.
  if (!hangUp && !isUnread(bytes)) expect(answers.length, what).toBeGreaterThan(0)
  for (const { status, headers, body } of answers) {
    const seen = `${what} → ${status} ${JSON.stringify(body).slice(0, 300)}`
    expect(status, seen).toBeLessThan(500)
    if (headers.has('x-request-id')) expect(errorMistakes(status, body), seen).toEqual([])
    // What Node's parser refuses never came to us: it says its status, and closes.
    else expect([status >= 400, headers.get('connection'), body], seen).toEqual([true, 'close', ''])
  }
}

test('and after all of it the books are clean, nothing is stuck, and nobody had to be told of an error', async () => {
  expect(sent).toBeGreaterThanOrEqual(REQUESTS)
  await bursar.quiet()
  expect((await bursar.pool.query(`select kind, error from operation where status = 'stuck'`)).rows).toEqual([])
  await bursar.expectCleanBooks()
  expect(bursar.logged.filter((line) => line.includes('"level":"error"'))).toEqual([])
})
