import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { preferredWait } from '../src/api/prefer.ts'
import { Waiting } from '../src/api/waiting.ts'
import { kinds } from '../src/jobs/catalogue.ts'
import type { OperationView } from '../src/jobs/operation-reads.ts'
import { newId } from '../src/kit/ids.ts'
import { processors } from '../src/processors/index.ts'
import { Breakable } from './support/breakable.ts'
import { Deployment } from './support/deployment.ts'
import { Gate } from './support/gate.ts'
import { type SecondDoor, secondDoor } from './support/second-door.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

const gate = new Gate()
const revoking = new Breakable()
let bursar: Deployment
let token: string

beforeAll(async () => {
  bursar = await Deployment.start({
    env: { VOICE_TIMEOUT_MS: '1000' },
    processors: {
      ...processors,
      'token.deduct': gate.before(processors['token.deduct']),
      'token.revoke': revoking.around(kinds['token.revoke'], processors['token.revoke']),
    },
  })
  token = await bursar.issue(500)
})
afterAll(() => bursar.stop())

const deduct = (amount: unknown, headers: Record<string, string> = {}, as?: string) =>
  bursar.ask('POST', `/token/${token}/deduct`, { body: { amount }, headers, ...(as === undefined ? {} : { as }) })

/** Work on deductions waits while this runs. */
async function whileShut<Result>(work: () => Promise<Result>): Promise<Result> {
  gate.shut()
  try {
    return await work()
  } finally {
    gate.open()
  }
}

describe('A submission without a preference', () => {
  test('is accepted with an operation to poll, and says where and when', async () => {
    const { status, headers, body } = await deduct(1)

    expect(status).toBe(202)
    expect(body).toEqual({
      operation_id: expect.stringMatching(UUID),
      kind: 'token.deduct',
      status: 'queued',
      status_url: `/api/v1/operations/${body.operation_id}`,
      submitted_at: expect.stringMatching(INSTANT),
    })
    expect(headers.get('location')).toBe(body.status_url)
    expect(headers.get('retry-after')).toBe('1')
    expect(headers.get('vary')).toBe('Prefer')
    expect(headers.get('content-type')).toMatch(/^application\/json/)
    expect(headers.get('x-request-id')).toMatch(UUID)
    expect(headers.get('preference-applied')).toBeNull()
    expect(headers.get('operation-id')).toBeNull()
    expect(headers.get('idempotency-replayed')).toBeNull()
    await expect(bursar.settled(body.operation_id)).resolves.toMatchObject({ status: 'succeeded' })
  })

  test('keeps the name that the caller gave the request, if it fits a log line', async () => {
    expect((await deduct(1, { 'X-Request-Id': 'order-17.b_2' })).headers.get('x-request-id')).toBe('order-17.b_2')
    expect((await deduct(1, { 'X-Request-Id': 'not a name' })).headers.get('x-request-id')).toMatch(UUID)
    expect((await deduct(1, { 'X-Request-Id': 'x'.repeat(65) })).headers.get('x-request-id')).toMatch(UUID)
  })
})

describe('Prefer: wait=N', () => {
  test('answers with the documented body once it is done', async () => {
    const { status, headers, body } = await deduct(2, { Prefer: 'wait=20' })

    expect(status).toBe(200)
    expect(body).toEqual({
      success: true,
      token_id: token,
      amount: 2,
      remaining: expect.any(Number),
      transaction_id: expect.stringMatching(UUID),
    })
    expect(headers.get('preference-applied')).toBe('wait=20')
    expect(headers.get('vary')).toBe('Prefer')
    expect(headers.get('location')).toBeNull()
    expect(headers.get('retry-after')).toBeNull()
    const { body: operation } = await bursar.get(`/api/v1/operations/${headers.get('operation-id')}`)
    expect(operation).toMatchObject({ kind: 'token.deduct', status: 'succeeded', result: body })
  })

  test('answers with the refusal and its status when it ended in one', async () => {
    const { status, headers, body } = await deduct(100_000, { Prefer: 'wait=20', 'X-Request-Id': 'too-much' })

    expect(status).toBe(400)
    expect(body).toEqual({
      error: 'InsufficientBudget',
      code: 'token.insufficient',
      message: expect.stringContaining('100000 wanted'),
      detail: body.message,
      timestamp: expect.stringMatching(INSTANT),
      request_id: 'too-much',
    })
    expect(headers.get('preference-applied')).toBe('wait=20')
    expect(headers.get('operation-id')).toMatch(UUID)
  })

  test('answers 202 when it was not done in time, and says that nothing was applied', async () => {
    const { status, headers, body } = await whileShut(() => deduct(1, { Prefer: 'wait=1' }))

    expect(status).toBe(202)
    expect(body.status).toBe('queued')
    expect(headers.get('location')).toBe(body.status_url)
    expect(headers.get('retry-after')).toBe('1')
    expect(headers.get('preference-applied')).toBeNull()
    await expect(bursar.settled(body.operation_id)).resolves.toMatchObject({ status: 'succeeded' })
  })

  test('answers 202 at once when the operation got stuck: there is no outcome to wait for', async () => {
    const stuck = await bursar.issue(5)
    revoking.broken = true
    const { status, body } = await bursar.do('DELETE', `/token/${stuck}`)
    revoking.broken = false

    expect(status).toBe(202)
    expect(body.status).toBe('stuck')
  })

  test.each([
    ['wait=99', 'wait=30'],
    ['wait=99999999999999999999', 'wait=30'],
    ['WAIT = "7"', 'wait=7'],
    ['respond-async, wait=9; strict, handling=lenient', 'wait=9'],
    ['wait=soon, wait=8', 'wait=8'],
    ['wait=6, wait=9', 'wait=6'],
  ])('«%s» is applied as %s', async (preference, applied) => {
    const { status, headers } = await deduct(1, { Prefer: preference })
    expect(status).toBe(200)
    expect(headers.get('preference-applied')).toBe(applied)
  })

  test.each([
    'wait=soon',
    'wait=-1',
    'wait=1.5',
    'wait="5',
    'wait',
    'wait=',
    'respond-async',
    'return=minimal; wait=5',
    ',',
  ])('«%s» is no wait, and is passed over', async (preference) => {
    expect(preferredWait(preference)).toBeUndefined()
    expect((await deduct(1, { Prefer: preference })).status).toBe(202)
  })

  test('wait=0 does not wait', async () => {
    expect((await deduct(1, { Prefer: 'wait=0' })).status).toBe(202)
  })

  test('newcomers do not keep those before them waiting', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    const done = newId()
    const waiting = new Waiting({
      query: async <Row>(_text: string, [ids]: readonly unknown[] = []) =>
        (ids as string[]).filter((id) => id === done).map((id) => ({ id }) as OperationView) as Row[],
    })
    let told = false
    void waiting.until(done, 30_000).then(() => {
      told = true
    })
    // One newcomer each millisecond: no look would ever be due if each put it off.
    for (let ms = 0; ms < 50; ms++) {
      void waiting.until(newId(), 30_000)
      await vi.advanceTimersByTimeAsync(1)
    }
    waiting.close()
    expect(told).toBe(true)
  })
})

describe('DEFAULT_WAIT_SECONDS', () => {
  let door: SecondDoor
  beforeAll(async () => {
    door = await secondDoor(bursar, { DEFAULT_WAIT_SECONDS: '10' })
  })
  afterAll(() => door.stop())

  test('is applied where the caller states no wait', async () => {
    const { status, headers, body } = await bursar.ask('POST', '/token', {
      at: door.url,
      body: { budget: 100, voice_id: 'voice_default' },
    })
    expect(status).toBe(200)
    expect(Object.keys(body).sort()).toEqual(['expire_in', 'token', 'token_id'])
    expect(headers.get('operation-id')).toMatch(UUID)
    expect(headers.get('preference-applied')).toBeNull()
  })

  test('gives way to what the caller states', async () => {
    const asking = { at: door.url, body: { amount: 1 }, headers: { Prefer: 'wait=0' } }
    expect((await bursar.ask('POST', `/token/${token}/deduct`, asking)).status).toBe(202)
  })
})

describe('An operation', () => {
  const operation = (id: string, asking = {}) => bursar.get(`/api/v1/operations/${id}`, asking)

  test('reads as queued, and then as succeeded with the documented body', async () => {
    const { id, queued } = await whileShut(async () => {
      const { body } = await deduct(3)
      return { id: body.operation_id, queued: await operation(body.operation_id) }
    })
    expect(queued.status).toBe(200)
    expect(queued.headers.get('vary')).toBe('Prefer')
    expect(queued.body).toEqual({
      operation_id: id,
      kind: 'token.deduct',
      status: 'queued',
      result: null,
      error: null,
      attempts: 0,
      submitted_at: expect.stringMatching(INSTANT),
      started_at: null,
      finished_at: null,
    })
    expect(await bursar.settled(id)).toEqual({
      ...queued.body,
      status: 'succeeded',
      result: {
        success: true,
        token_id: token,
        amount: 3,
        remaining: expect.any(Number),
        transaction_id: expect.stringMatching(UUID),
      },
      attempts: 1,
      started_at: expect.stringMatching(INSTANT),
      finished_at: expect.stringMatching(INSTANT),
    })
  })

  test('reads as processing while somebody else is asked', async () => {
    const { body } = await bursar.ask('POST', '/token', { body: { budget: 1, voice_id: 'hang_up' } })
    let seen = await operation(body.operation_id)
    while (seen.body.status === 'queued') seen = await operation(body.operation_id)
    expect(seen.body).toMatchObject({ status: 'processing', result: null, error: null, finished_at: null })
    expect(seen.body.started_at).toMatch(INSTANT)
  })

  test('that failed carries the error body, with its HTTP status', async () => {
    const { body } = await deduct(100_000, { 'X-Request-Id': 'the-first-request' })
    expect(await bursar.settled(body.operation_id)).toMatchObject({
      status: 'failed',
      result: null,
      error: {
        error: 'InsufficientBudget',
        code: 'token.insufficient',
        message: expect.any(String),
        detail: expect.any(String),
        timestamp: expect.stringMatching(INSTANT),
        request_id: 'the-first-request',
        http_status: 400,
      },
      finished_at: expect.stringMatching(INSTANT),
    })
  })

  test('that is stuck says so, is not finished, and names nothing of our inside', async () => {
    const broken = await bursar.issue(5)
    revoking.broken = true
    const { body } = await bursar.ask('DELETE', `/token/${broken}`)
    const stuck = await bursar.settled(body.operation_id)
    revoking.broken = false

    expect(stuck).toMatchObject({ status: 'stuck', result: null, finished_at: null, error: { code: 'operation.bug' } })
    expect(JSON.stringify(stuck)).not.toMatch(/\bat .*\.ts\b/)
  })

  test('is given a second chance by an operator only, and once', async () => {
    const broken = await bursar.issue(5)
    revoking.broken = true
    const { body } = await bursar.ask('DELETE', `/token/${broken}`)
    await bursar.settled(body.operation_id)
    revoking.broken = false

    const retry = (asking: object) =>
      bursar.do('POST', `/api/v1/operations/${body.operation_id}/retry`, undefined, asking)
    expect((await retry({})).status).toBe(401)
    expect((await retry({ as: 'somebody' })).status).toBe(403)
    const retried = await retry({ as: 'olga', roles: ['operator'] })
    expect([retried.status, retried.body]).toEqual([200, { requeued: [body.operation_id] }])
    expect(await bursar.settled(body.operation_id)).toMatchObject({ status: 'succeeded', error: null })
    const again = await retry({ as: 'olga', roles: ['operator'] })
    expect([again.status, again.body.code]).toEqual([409, 'operation.notStuck'])
  })

  test('is told of by a long poll the moment that it is done', async () => {
    const { polled, at } = await (async () => {
      gate.shut()
      const { body } = await deduct(1)
      const polling = operation(body.operation_id, { headers: { Prefer: 'wait=25' } })
      gate.open()
      const started = performance.now()
      return { polled: await polling, at: performance.now() - started }
    })()
    expect(polled.body.status).toBe('succeeded')
    expect(polled.headers.get('preference-applied')).toBe('wait=25')
    expect(at).toBeLessThan(20_000)
  })

  test('that is not done in time is told of as it stands', async () => {
    const polled = await whileShut(async () => {
      const { body } = await deduct(1)
      return operation(body.operation_id, { headers: { Prefer: 'wait=1' } })
    })
    expect([polled.status, polled.body.status]).toEqual([200, 'queued'])
  })

  test('submitted without a token is for whoever knows its id', async () => {
    const { body } = await deduct(1)
    expect((await operation(body.operation_id)).status).toBe(200)
    expect((await operation(body.operation_id, { as: 'anybody' })).status).toBe(200)
  })

  test('submitted with a token is for its submitter, operators and admins; for others it is not there', async () => {
    const { body } = await deduct(1, {}, 'alice')
    const asAlice = await operation(body.operation_id, { as: 'alice' })
    const asOperator = await operation(body.operation_id, { as: 'olga', roles: ['operator'] })
    const asAdmin = await operation(body.operation_id, { as: 'anna', roles: ['admin'] })
    const asBob = await operation(body.operation_id, { as: 'bob' })
    const asService = await operation(body.operation_id, { as: 'shop', roles: ['service'] })
    const asNobody = await operation(body.operation_id)

    expect([asAlice, asOperator, asAdmin].map(({ status }) => status)).toEqual([200, 200, 200])
    for (const answer of [asBob, asService, asNobody])
      expect([answer.status, answer.body.code]).toEqual([404, 'operation.notFound'])
  })

  test.each([newId(), 'not-an-id', '%00', "'; drop table operation --"])('called «%s» is not there', async (id) => {
    const { status, body } = await operation(id)
    expect([status, body.code]).toEqual([404, 'operation.notFound'])
  })
})

describe('The list of operations', () => {
  const list = (query: string, as: string, roles: ('operator' | 'service')[] = []) =>
    bursar.get(`/api/v1/operations${query}`, { as, roles })

  /** Every page, one after the other, while others go on submitting. */
  async function pages(as: string, limit: number): Promise<string[]> {
    const ids: string[] = []
    let cursor: string | null = null
    do {
      const { status, body } = await list(`?limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`, as)
      expect(status).toBe(200)
      expect(body.operations.length).toBeLessThanOrEqual(limit)
      ids.push(...body.operations.map((operation: { operation_id: string }) => operation.operation_id))
      cursor = body.next_cursor
      await deduct(1, {}, as)
    } while (cursor !== null)
    return ids
  }

  test('shows one’s own, newest first, without gaps or repeats while new ones come in', async () => {
    const submitted: string[] = []
    for (let n = 0; n < 11; n++) submitted.push((await deduct(1, {}, 'carol')).body.operation_id)
    await deduct(1, {}, 'dave')

    expect(await pages('carol', 3)).toEqual(submitted.toReversed())
    expect((await list('', 'carol')).body.operations).toHaveLength(11 + 4)
    expect((await list('', 'nobody-yet')).body).toEqual({ operations: [], next_cursor: null })
  })

  test('shows everybody’s to operators, and only one’s own to a back end', async () => {
    await deduct(1, {}, 'erin')
    const all = await list('?limit=100', 'olga', ['operator'])
    const kindsSeen = new Set(all.body.operations.map(({ kind }: { kind: string }) => kind))
    expect(kindsSeen).toContain('token.issue')
    expect(kindsSeen).toContain('token.deduct')
    expect((await list('', 'shop', ['service'])).body.operations).toEqual([])
  })

  test('is narrowed down by kind and status', async () => {
    const own = await bursar.do('POST', '/token', { budget: 5, voice_id: 'voice_frank' }, { as: 'frank' })
    await deduct(1, { Prefer: 'wait=20' }, 'frank')
    await deduct(100_000, { Prefer: 'wait=20' }, 'frank')

    const seen = async (query: string) =>
      (await list(query, 'frank')).body.operations.map(
        (one: { kind: string; status: string }) => `${one.kind} ${one.status}`,
      )
    expect(own.status).toBe(200)
    expect(await seen('')).toEqual(['token.deduct failed', 'token.deduct succeeded', 'token.issue succeeded'])
    expect(await seen('?kind=token.issue')).toEqual(['token.issue succeeded'])
    expect(await seen('?status=failed')).toEqual(['token.deduct failed'])
    expect(await seen('?kind=token.deduct&status=succeeded')).toEqual(['token.deduct succeeded'])
    expect(await seen('?kind=token.deduct&status=stuck')).toEqual([])
  })

  test.each([
    '?limit=0',
    '?limit=101',
    '?limit=many',
    '?kind=token.steal',
    '?status=lost',
    '?cursor=next',
    `?cursor=${'-'.repeat(36)}`,
    `?cursor=${'a'.repeat(36)}`,
  ])('refuses %s', async (query) => {
    const { status, body } = await list(query, 'alice')
    expect([status, body.code]).toEqual([422, 'request.invalid'])
    expect(body.detail).toEqual([
      { loc: ['query', /\w+/.exec(query)?.[0]], msg: expect.any(String), type: expect.any(String) },
    ])
  })

  test('lists every problem of a query at once', async () => {
    const { body } = await list('?limit=0&kind=x&status=y&cursor=z', 'alice')
    expect(body.detail.map(({ loc }: { loc: string[] }) => loc.join('.')).sort()).toEqual([
      'query.cursor',
      'query.kind',
      'query.limit',
      'query.status',
    ])
  })
})
