import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kinds } from '../src/jobs/catalogue.ts'
import { processors } from '../src/processors/index.ts'
import { Breakable } from './support/breakable.ts'
import { Deployment } from './support/deployment.ts'

const revoking = new Breakable()
let bursar: Deployment
beforeAll(async () => {
  bursar = await Deployment.start({
    env: { LOG_LEVEL: 'trace', VOICE_TIMEOUT_MS: '500' },
    processors: { ...processors, 'token.revoke': revoking.around(kinds['token.revoke'], processors['token.revoke']) },
  })
})
afterAll(() => bursar.stop())

interface Line {
  readonly level: string
  readonly time: string
  readonly msg: string
  readonly [field: string]: unknown
}

/** What the log says of a request or an operation. */
const linesWith = (text: string): Line[] =>
  bursar.logged.filter((line) => line.includes(text)).map((line) => JSON.parse(line))

describe('The log', () => {
  test('is lines of JSON, each with its time, level and message', async () => {
    await bursar.issue(10)
    expect(bursar.logged.length).toBeGreaterThan(0)
    for (const line of bursar.logged) {
      expect(line.endsWith('}\n')).toBe(true)
      expect(JSON.parse(line)).toMatchObject({
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        level: expect.stringMatching(/^(trace|debug|info|warn|error|fatal)$/),
        msg: expect.any(String),
      })
    }
  })

  test('says of each submission its request, route, outcome, kind and operation', async () => {
    const token = await bursar.issue(10)
    const { body } = await bursar.ask('POST', `/token/${token}/deduct`, {
      body: { amount: 1 },
      headers: { 'X-Request-Id': 'request-17' },
    })
    expect(linesWith('request-17').filter(({ msg }) => msg === 'Request answered')).toEqual([
      expect.objectContaining({
        level: 'info',
        request_id: 'request-17',
        method: 'POST',
        route: '/token/{token_id}/deduct',
        status: 202,
        ms: expect.any(Number),
        kind: 'token.deduct',
        operation_id: body.operation_id,
      }),
    ])
  })

  test('says of each job its kind, its id and what became of its operations', async () => {
    const token = await bursar.issue(10)
    const { headers } = await bursar.do('POST', `/token/${token}/deduct`, { amount: 100 })
    const id = headers.get('operation-id') ?? ''
    await expect.poll(() => linesWith(id).filter(({ msg }) => msg === 'Job done')).toHaveLength(1)
    const [line] = linesWith(id).filter(({ msg }) => msg === 'Job done')
    const { rows } = await bursar.pool.query('select job_id from operation where id = $1', [id])
    expect(line).toMatchObject({
      kind: 'token.deduct',
      job_id: rows[0].job_id,
      operation_id: id,
      succeeded: 0,
      refused: { 'token.insufficient': 1 },
    })
  })

  test('says loudly of each bug which operation it stopped', async () => {
    revoking.broken = true
    const { body } = await bursar.ask('DELETE', `/token/${await bursar.issue(10)}`)
    await bursar.settled(body.operation_id)
    revoking.broken = false
    const bug = linesWith(body.operation_id).find(({ level }) => level === 'error')
    expect(bug).toMatchObject({ kind: 'token.revoke', operation_id: body.operation_id, err: { type: 'Bug' } })
  })

  test('says of each fault which job it stopped, and why', async () => {
    await fetch(`${bursar.foundation.voiceUrl}/_mood`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: '{"mode":"down"}',
    })
    const { body } = await bursar.ask('POST', '/token', { body: { budget: 1, voice_id: 'voice_down' } })
    const { rows } = await bursar.pool.query('select job_id from operation where id = $1', [body.operation_id])
    await expect.poll(() => linesWith(rows[0].job_id).length).toBeGreaterThan(0)
    expect(linesWith(rows[0].job_id)[0]).toMatchObject({
      level: 'warn',
      kind: 'token.issue',
      job_id: rows[0].job_id,
      err: { type: 'Fault', message: expect.stringContaining('voice service') },
    })
    await fetch(`${bursar.foundation.voiceUrl}/_mood`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: '{"mode":"ok"}',
    })
  })

  test('is quiet about health and metrics, which machines ask all day', async () => {
    const before = bursar.logged.length
    await bursar.get('/health')
    await bursar.get('/metrics', { as: 'olga', roles: ['operator'] })
    const lines = bursar.logged.slice(before).map((line): Line => JSON.parse(line))
    const answered = lines.filter(({ msg }) => msg === 'Request answered')
    expect(answered.map(({ level }) => level)).toEqual(['debug', 'debug'])
  })

  test('knows no token, no voice, no secret, no address and no text of a request, whatever is asked', async () => {
    const { body } = await bursar.do('POST', '/token', { budget: 100, voice_id: 'voice_of_the_president' })
    const [token, form] = [body.token_id, body.token]
    const jwt = await bursar.jwt('alice')
    for (const path of [
      `/balance/${token}`,
      `/token/${form}/report`,
      `/token/${token}/transactions?limit=x`,
      `/nowhere/${token}?key=${form}`,
    ])
      await bursar.get(path, { headers: { Authorization: `Bearer ${jwt}` } })
    await bursar.do('POST', `/token/${token}/deduct`, { amount: 1, description: 'a secret dinner' })
    await bursar.do('POST', `/token/${form}/deduct`, { amount: 1_000, description: 'a secret dinner' })
    await bursar.do('POST', `/token/${token}/deduct`, { amount: 'a secret amount' })
    await bursar.do('POST', '/token', `{"budget": 1, "voice_id": "voice_of_the_president"`)
    await bursar.do('POST', '/token', { budget: 1, voice_id: 'reject_the_president' })
    await bursar.ask('DELETE', `/token/${token}`, {
      headers: { 'Idempotency-Key': 'my-own-secret-key', Cookie: 'session=sesame' },
    })
    await bursar.get('/metrics', {
      headers: { Authorization: `Basic ${Buffer.from('operator:wrong-password').toString('base64')}` },
    })
    await bursar.quiet()

    const log = bursar.logged.join('')
    const { jwt: settings, encryption, board, databaseUrl } = bursar.config
    const secrets = [settings.secret, encryption.current, board.password, databaseUrl].map(
      (secret) => secret?.reveal() ?? '',
    )
    for (const text of [
      ...[token, form, jwt, ...secrets],
      ...[
        'the_president',
        'secret dinner',
        'secret amount',
        'my-own-secret-key',
        'sesame',
        'wrong-password',
        '127.0.0.1',
      ],
      ...[Buffer.from('operator:wrong-password').toString('base64')],
    ])
      expect(log).not.toContain(text)
    // The routes themselves are there, without what was in their place.
    expect(log).toContain('"route":"/balance/{token_id}"')
    expect(log).toContain('"route":"unknown"')
  })
})
