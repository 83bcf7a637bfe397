import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Deployment, onBothBackends } from './support/deployment.ts'
import { OPERATOR, sweep, voiceOf } from './support/tokens.ts'

onBothBackends('After a day in the life of tokens', (backend) => {
  let bursar: Deployment
  let tokens: readonly string[]
  const VOICES = ['reticent_voice_4711', 'reject_voice_4711', 'unheard_voice_4711', 'revoking_voice_4711']
  const [talker = '', rejected = '', unheard = '', revoker = ''] = VOICES
  beforeAll(async () => {
    bursar = await Deployment.start({ backend, env: { LOG_LEVEL: 'trace' }, backoff: () => 1 })
    tokens = await live()
  })
  afterAll(() => bursar.stop())

  /** Everything that happens to tokens, well and unwell; answers with their ids and signed forms. */
  async function live(): Promise<string[]> {
    const ask = (budget: number, voice_id: string) => bursar.do('POST', '/token', { budget, voice_id })
    const { body: spent } = await ask(100, talker)
    const { body: revoked } = await ask(100, revoker)
    for (const token of [spent.token_id, spent.token, spent.token_id.toUpperCase()]) {
      await bursar.deduct(token, 30, { headers: { 'Idempotency-Key': `from ${token}`.slice(0, 200) } })
      await bursar.get(`/balance/${token}`)
      await bursar.get(`/token/${token}/report`)
      await bursar.get(`/token/${token}/transactions`)
    }
    await bursar.deduct(spent.token, 1_000)
    await bursar.ask('GET', `/token/${spent.token_id}/nowhere`)
    await bursar.ask('PATCH', `/token/${spent.token_id}`)
    await bursar.do('DELETE', `/token/${revoked.token}`)
    await bursar.deduct(revoked.token_id, 1)
    await ask(10, rejected)
    await ask(-1, talker)
    await ask(501, talker)
    await voiceOf(bursar).mood('down')
    const { body: stuck } = await ask(10, unheard)
    expect(stuck.status).toBe('stuck')
    await voiceOf(bursar).mood('ok')
    await whileTheDiskIsFull(async () => {
      expect((await ask(10, talker)).body.status).toBe('stuck')
    })
    bursar.clock.advance({ seconds: 3_600 })
    await sweep(bursar)
    return [spent.token_id, spent.token, revoked.token_id, revoked.token]
  }

  /** PostgreSQL refuses rows of tokens and quotes them in its error, as it does with a constraint that does not hold. */
  async function whileTheDiskIsFull(work: () => Promise<void>): Promise<void> {
    await bursar.pool.query(`
      create function refuse_token() returns trigger language plpgsql as $$
      begin
        raise exception 'No room' using errcode = '53100', detail = format('Failing row contains (%s)', new);
      end $$`)
    await bursar.pool.query(
      'create trigger full_disk before insert on token for each row execute function refuse_token()',
    )
    await work()
    await bursar.pool.query('drop trigger full_disk on token')
  }

  function expectNothingIn(text: string, secrets: readonly string[]): void {
    const lower = text.toLowerCase()
    for (const secret of secrets) expect(lower.includes(secret.toLowerCase()), secret).toBe(false)
  }

  test('no log line at any level names a voice or a token', () => {
    const log = bursar.logged.join('')
    expect(log).toContain('token.issue')
    expect(log).toContain('No room')
    expect(log).not.toContain('Failing row')
    expectNothingIn(log, [...VOICES, ...tokens])
  })

  test('no metric does', async () => {
    const { username, password } = bursar.config.board
    const basic = `Basic ${Buffer.from(`${username}:${password.reveal()}`).toString('base64')}`
    const { status, body } = await bursar.get('/metrics', { headers: { Authorization: basic } })
    expect(status).toBe(200)
    expect(body).toContain('payment_tokens_created_total')
    expectNothingIn(body, [...VOICES, ...tokens])
  })

  test('nor does anything that the board shows', async () => {
    const seen: string[] = []
    for (const queue of ['ledger', 'gateways']) {
      for (const status of ['latest', 'active', 'waiting', 'completed', 'failed', 'delayed']) {
        const query = `activeQueue=${queue}&status=${status}&page=1&jobsPerPage=100`
        const { status: found, body } = await bursar.get(`/admin/queues/api/queues?${query}`, OPERATOR)
        expect(found).toBe(200)
        seen.push(JSON.stringify(body))
      }
    }
    const shown = seen.join('')
    for (const kind of ['token.issue', 'token.deduct', 'token.revoke']) expect(shown).toContain(kind)
    expectNothingIn(shown, [...VOICES, ...tokens])
  })

  test('nor does any job, wherever the queue keeps it', async () => {
    const kept = backend === 'redis' ? await everythingInRedis(bursar.redis?.url ?? '') : await everythingIn('bullmq')
    expect(kept).toContain('token.issue')
    expectNothingIn(kept, [...VOICES, ...tokens, 'Failing row'])
  })

  test('no column of the database holds a voice id, nor a signed form, that can be read', async () => {
    const rows = await everythingIn('public')
    expect(rows).toContain('token.issue')
    const hex = (text: string) => Buffer.from(text).toString('hex')
    const forms = tokens.filter((token) => token.startsWith('eyJ'))
    expectNothingIn(rows, [...VOICES, ...VOICES.map(hex), ...forms, 'Failing row'])
  })

  /** Every row of every table of a schema, with all its columns. */
  async function everythingIn(schema: string): Promise<string> {
    const { rows: tables } = await bursar.pool.query(
      `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
       where table_schema = $1 and table_type = 'BASE TABLE'`,
      [schema],
    )
    expect(tables.length).toBeGreaterThan(0)
    const texts: string[] = []
    for (const { name } of tables) {
      const { rows } = await bursar.pool.query(`select t::text as row from ${name} t`)
      texts.push(...rows.map(({ row }) => row))
    }
    return texts.join('\n')
  }

  async function everythingInRedis(url: string): Promise<string> {
    const redis = new Redis(url)
    try {
      const texts: string[] = []
      for (const key of await redis.keys('*')) {
        const read: Record<string, () => Promise<unknown>> = {
          string: () => redis.get(key),
          hash: () => redis.hgetall(key),
          list: () => redis.lrange(key, 0, -1),
          set: () => redis.smembers(key),
          zset: () => redis.zrange(key, '0', '-1'),
          stream: () => redis.xrange(key, '-', '+'),
        }
        texts.push(key, JSON.stringify(await read[await redis.type(key)]?.()))
      }
      return texts.join('\n')
    } finally {
      redis.disconnect()
    }
  }
})
