import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DEFAULT_VOICE_LIMITS, type VoiceService } from '../src/gateways/voice.ts'
import { Fault } from '../src/kit/fault.ts'
import type { Database } from '../src/platform/database.ts'
import { tokenIssue } from '../src/processors/tokens/issue.ts'
import { Deployment } from './support/deployment.ts'
import { OPERATOR, voiceOf } from './support/tokens.ts'
import { Workshop } from './support/workshop.ts'

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe('Issuing a payment token', () => {
  let bursar: Deployment
  let retryAfterMs = 20
  beforeAll(async () => {
    bursar = await Deployment.start({ env: { VOICE_TIMEOUT_MS: '500' }, backoff: () => retryAfterMs })
  })
  afterAll(() => bursar.stop())

  const ask = (body: unknown, headers = {}) => bursar.do('POST', '/token', body, { headers })

  describe('to a verified voice', () => {
    test('answers with a random id, the seconds that it is good for, and its signed form', async () => {
      const { status, body } = await ask({ budget: 50, voice_id: 'voice_researcher_001' })
      expect(status).toBe(200)
      expect(body).toEqual({
        token_id: expect.stringMatching(UUID_V4),
        expire_in: 3600,
        token: expect.stringMatching(/^eyJ/),
      })
    })

    test('puts the whole budget on it', async () => {
      const token = await bursar.issue(75, 'medical_researcher_voice')
      expect(await bursar.balance(token)).toBe(75)
      await bursar.expectCleanBooks()
    })

    test('is answered with 202 and an operation that ends in the same body, where nobody waits', async () => {
      const { status, headers, body } = await bursar.ask('POST', '/token', {
        body: { budget: 50, voice_id: 'patient' },
      })
      expect(status).toBe(202)
      expect(body).toMatchObject({ kind: 'token.issue', status: 'queued' })
      expect(headers.get('location')).toBe(body.status_url)

      const { status: end, result } = await bursar.settled(body.operation_id)
      expect(end).toBe('succeeded')
      expect(result).toMatchObject({ token_id: expect.stringMatching(UUID_V4), expire_in: 3600 })
    })

    test('happens once for one idempotency key, however often it is asked for', async () => {
      const before = await bursar.transfers('token.issue')
      const request = { budget: 60, voice_id: 'repeating_voice' }
      const answers = await Promise.all([1, 2, 3].map(() => ask(request, { 'Idempotency-Key': 'one of sixty' })))

      expect(new Set(answers.map(({ body }) => body.token_id)).size).toBe(1)
      expect((await bursar.transfers('token.issue')) - before).toBe(1)
    })

    test('passes over blanks around the voice id: with and without them it is one voice with one allowance', async () => {
      await bursar.issue(500, '  blank_voice\t')
      await bursar.issue(500, 'blank_voice')
      expect((await ask({ budget: 1, voice_id: ' blank_voice' })).status).toBe(400)
      expect(await voiceOf(bursar).verified('blank_voice')).toBeGreaterThanOrEqual(3)
    })
  })

  describe('is refused with every problem of the request', () => {
    const voice_id = 'voice_researcher_001'
    const budget = 50
    const problems: [what: string, body: unknown, at: string[]][] = [
      ['a budget of nothing', { budget: 0, voice_id }, ['budget']],
      ['a negative budget', { budget: -10, voice_id }, ['budget']],
      ['a fraction', { budget: 0.5, voice_id }, ['budget']],
      ['a budget in a string', { budget: '100', voice_id }, ['budget']],
      ['a budget beyond what JSON carries exactly', '{"budget": 9007199254740992, "voice_id": "v"}', ['budget']],
      ['a budget with digits that JSON loses', '{"budget": 9007199254740993, "voice_id": "v"}', ['budget']],
      ['a budget of a thousand digits', `{"budget": 1${'0'.repeat(1_000)}, "voice_id": "v"}`, ['budget']],
      ['a budget that is a truth', { budget: true, voice_id }, ['budget']],
      ['a budget of null', { budget: null, voice_id }, ['budget']],
      ['no budget', { voice_id }, ['budget']],
      ['no voice', { budget }, ['voice_id']],
      ['an empty voice id', { budget, voice_id: '' }, ['voice_id']],
      ['a blank voice id', { budget, voice_id: ' \t ' }, ['voice_id']],
      ['a voice id longer than 255 letters', { budget, voice_id: 'v'.repeat(256) }, ['voice_id']],
      ['a voice id that is a number', { budget, voice_id: 17 }, ['voice_id']],
      ['an empty request', {}, ['budget', 'voice_id']],
      ['two problems at once', { budget: -1, voice_id: '  ' }, ['budget', 'voice_id']],
    ]
    test.each(problems)('%s', async (_what, body, at) => {
      const before = await bursar.statuses('token.issue')
      const answer = await ask(body)
      expect(answer.status).toBe(422)
      expect(answer.body.error).toBe('ValidationError')
      const places = answer.body.detail.map(({ loc }: { loc: string[] }) => loc.join('.'))
      expect([...new Set(places)]).toEqual(at.map((field) => `body.${field}`))
      for (const problem of answer.body.detail) {
        expect(problem).toEqual({ loc: expect.any(Array), msg: expect.any(String), type: expect.any(String) })
      }
      expect(await bursar.statuses('token.issue')).toEqual(before)
    })

    test('in the words that clients of the first version know', async () => {
      const { body } = await ask({ budget: 0, voice_id: ' ' })
      expect(body.detail.map(({ msg }: { msg: string }) => msg)).toEqual([
        'ensure this value is greater than 0',
        'Voice ID cannot be empty',
      ])
    })
  })

  test('a voice that is not verified gets 401 and no token', async () => {
    const before = await bursar.transfers('token.issue')
    const { status, body } = await ask({ budget: 50, voice_id: 'reject_this_voice' })
    expect(status).toBe(401)
    expect(body).toMatchObject({
      error: 'VoiceVerificationError',
      code: 'token.voiceRejected',
      detail: 'Voice authentication failed',
    })
    expect(await bursar.transfers('token.issue')).toBe(before)
  })

  test('a budget over the transaction limit gets 400 with the limit, and no token', async () => {
    const before = await bursar.transfers('token.issue')
    const { status, body } = await ask({ budget: 501, voice_id: 'greedy_voice' })
    expect(status).toBe(400)
    expect(body).toMatchObject({
      error: 'BudgetLimitExceeded',
      code: 'token.overTransactionLimit',
      detail: 'Budget exceeds transaction limit of 500',
    })
    expect(await bursar.transfers('token.issue')).toBe(before)
  })

  describe('while the voice service is unwell', () => {
    afterEach(() => voiceOf(bursar).mood('ok'))

    /** Asks for a token without waiting for it. */
    async function asked(voiceId: string): Promise<string> {
      const { status, body } = await bursar.ask('POST', '/token', { body: { budget: 70, voice_id: voiceId } })
      expect(status).toBe(202)
      return body.operation_id
    }
    const operation = async (id: string) => (await bursar.get(`/api/v1/operations/${id}`)).body

    test('requests stay open and are tried again, other tokens are spent as ever, and then each is issued once', async () => {
      retryAfterMs = 300
      const token = await bursar.issue(100, 'earlier_voice')
      const before = await bursar.transfers('token.issue')
      await voiceOf(bursar).mood('down')
      const waiting = await Promise.all(['away_1', 'away_2', 'away_3'].map(asked))
      await expect.poll(() => voiceOf(bursar).verified('away_1')).toBeGreaterThanOrEqual(2)

      expect((await bursar.deduct(token, 40)).body).toMatchObject({ success: true, remaining: 60 })
      for (const id of waiting) expect((await operation(id)).status).toMatch(/^(queued|processing)$/)
      expect(await bursar.transfers('token.issue')).toBe(before)

      await voiceOf(bursar).mood('ok')
      for (const id of waiting) {
        const { status, result } = await bursar.settled(id)
        expect(status).toBe('succeeded')
        expect(await bursar.balance(result.token_id)).toBe(70)
      }
      expect((await bursar.transfers('token.issue')) - before).toBe(3)
    })

    test('a service that does not answer in time counts as away', async () => {
      retryAfterMs = 20
      await voiceOf(bursar).mood('hang')
      const id = await asked('waiting_voice')
      await expect.poll(async () => (await operation(id)).attempts, { timeout: 5_000 }).toBeGreaterThanOrEqual(1)
      expect(bursar.logged.join('')).toContain('The voice service did not answer within 500 ms')

      await voiceOf(bursar).mood('ok')
      expect((await bursar.settled(id)).status).toBe('succeeded')
    })

    test('when its tries run out a request is stuck and nothing was issued; an operator gives it a second chance', async () => {
      retryAfterMs = 1
      const before = await bursar.transfers('token.issue')
      await voiceOf(bursar).mood('down')
      const { status, body } = await ask({ budget: 70, voice_id: 'unlucky_voice' })
      expect(status).toBe(202)
      expect(body.status).toBe('stuck')
      const stuck = await operation(body.operation_id)
      expect(stuck).toMatchObject({ status: 'stuck', attempts: 20, result: null, finished_at: null })
      expect(stuck.error).toMatchObject({ code: 'operation.stuck', http_status: 503 })
      expect(stuck.error.detail).toContain('The voice service gave no usable answer')
      expect(await bursar.transfers('token.issue')).toBe(before)

      await voiceOf(bursar).mood('ok')
      const retry = await bursar.do('POST', `/api/v1/operations/${body.operation_id}/retry`, undefined, OPERATOR)
      expect(retry.body).toEqual({ requeued: [body.operation_id] })
      const { status: end, result } = await bursar.settled(body.operation_id)
      expect(end).toBe('succeeded')
      expect(await bursar.balance(result.token_id)).toBe(70)
      await bursar.expectCleanBooks()
    })
  })
})

describe('One address', () => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ workers: false, env: { TOKEN_REQUESTS_PER_MINUTE: '' } })
  })
  afterAll(() => bursar.stop())

  test('may ask for ten tokens a minute; the eleventh request hears when to come back, and nothing else is slowed', async () => {
    const ask = () => bursar.ask('POST', '/token', { body: { budget: 1, voice_id: 'busy_voice' } })
    for (let asked = 0; asked < 10; asked++) expect((await ask()).status).toBe(202)

    const { status, headers, body } = await ask()
    expect(status).toBe(429)
    expect(body.error).toBe('TooManyRequests')
    expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(60)
    expect(headers.get('ratelimit-remaining')).toBe('0')
    expect(await bursar.statuses('token.issue')).toEqual({ queued: 10 })
    expect((await bursar.get('/balance/nonexistent-token')).status).toBe(404)
  })
})

describe('A request for a token whose answer is lost on the way', () => {
  let workshop: Workshop
  let verify: VoiceService['verify']
  beforeAll(async () => {
    const voice: VoiceService = {
      verify: (id) => verify(id),
      limits: async () => DEFAULT_VOICE_LIMITS,
      reachable: async () => true,
    }
    workshop = await Workshop.open({ voice })
  })
  beforeEach(() => {
    verify = async () => true
  })
  afterAll(() => workshop.close())

  const submit = (voiceId: string) => workshop.submit('token.issue', { budget: 400, voice_id: voiceId })

  /** Work begins, the voice is asked, and `instead` happens to the transaction that would believe its answer. */
  async function cutShort(id: string, instead: (work: () => Promise<unknown>) => Promise<never>) {
    const { database } = workshop.context
    let transactions = 0
    const cut: Database = {
      ...database,
      unitOfWork: (work) => {
        transactions += 1
        return transactions < 2 ? database.unitOfWork(work) : database.unitOfWork((tx) => instead(() => work(tx)))
      },
    }
    await expect(tokenIssue.run({ ...workshop.context, database: cut }, [id])).rejects.toThrow(Fault)
    expect(transactions).toBe(2)
  }

  /** What stands in the tables for an operation: its tokens, its transfers, and what it used of its voice's allowance. */
  async function traces(id: string) {
    const { rows } = await workshop.pool.query(
      `select token.status,
         (select count(*)::int from transfer where operation_id = token.operation_id) as transfers,
         (select max(used)::int from voice_allowance where voice_digest = token.voice_digest) as used
       from token where operation_id = $1`,
      [id],
    )
    return rows
  }
  const ISSUED_ONCE = [{ status: 'active', transfers: 1, used: 400 }]

  test('when the worker dies between the voice’s yes and the commit, a second try issues one token for one allowance', async () => {
    let asked = 0
    verify = async () => {
      asked += 1
      return true
    }
    const id = await submit('lost_voice')
    await cutShort(id, async (work) => {
      await work()
      throw new Fault('Connection terminated before the commit')
    })
    expect(await traces(id)).toEqual([{ status: 'requested', transfers: 0, used: null }])

    expect((await workshop.run('token.issue', [id])).succeeded).toBe(1)
    expect(await traces(id)).toEqual(ISSUED_ONCE)
    expect(asked).toBe(2)
  })

  test('when the same job runs twice at once, both hear the yes and one believes it', async () => {
    const both = Promise.withResolvers<void>()
    let asked = 0
    verify = async () => {
      asked += 1
      if (asked === 2) both.resolve()
      await both.promise
      return true
    }
    const id = await submit('doubled_voice')
    const reports = await Promise.all([workshop.run('token.issue', [id]), workshop.run('token.issue', [id])])

    expect(reports.map(({ succeeded }) => succeeded).sort()).toEqual([0, 1])
    expect(await traces(id)).toEqual(ISSUED_ONCE)
  })

  test('when the job comes again long after, it finds its token issued', async () => {
    const id = await submit('late_voice')
    await workshop.run('token.issue', [id])
    const first = await workshop.operation(id)

    expect(await workshop.run('token.issue', [id])).toMatchObject({ succeeded: 0, already_done: 1 })
    expect(await workshop.operation(id)).toEqual(first)
    expect(await traces(id)).toEqual(ISSUED_ONCE)
  })

  test('when the voice says no to the second try, no is the outcome', async () => {
    const id = await submit('doubtful_voice')
    await cutShort(id, async () => {
      throw new Fault('Connection terminated')
    })
    verify = async () => false

    expect((await workshop.run('token.issue', [id])).refused).toEqual({ 'token.voiceRejected': 1 })
    expect(await traces(id)).toEqual([{ status: 'declined', transfers: 0, used: null }])
  })
})
