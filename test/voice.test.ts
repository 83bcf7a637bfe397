import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DEFAULT_VOICE_LIMITS, voiceService } from '../src/gateways/voice.ts'
import { Fault } from '../src/kit/fault.ts'
import { type Sandbox, startSandbox } from '../src/sandbox/server.ts'
import { voiceSandbox } from '../src/sandbox/voice.ts'

/** Longer than the sandbox's slowness here (20 ms), shorter than anybody's patience with this file. */
const TIMEOUT_MS = 250

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    (value) => expect.unreachable(`Expected a fault, got ${inspect(value)}`),
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(Fault)
  return error as Fault
}

describe('the voice service at work', () => {
  let sandbox: Sandbox
  const service = () => voiceService({ url: sandbox.voiceUrl, timeoutMs: TIMEOUT_MS })
  const raw = (path: string, init?: RequestInit) => fetch(`${sandbox.voiceUrl}${path}`, init)
  const mood = (body: unknown) => raw('/_mood', { method: 'PUT', body: JSON.stringify(body) })

  beforeAll(async () => {
    sandbox = await startSandbox({ slowMs: 20 })
  })
  afterEach(async () => {
    await mood({ mode: 'ok' })
  })
  afterAll(() => sandbox.stop())

  test.each([
    ['a researcher is who they say they are', 'voice_researcher_001', true],
    ['a voice that takes its time is verified in the end', 'slow_speaker', true],
    ['a voice that nobody knows is not verified', 'reject_impostor', false],
    ['an id may hold any letters', 'Zoë/ü %2F?#../«x»\ud800', true],
  ])('%s', async (_title, voiceId, verified) => {
    expect(await service().verify(voiceId)).toBe(verified)
  })

  test.each([
    ['down', 'down_voice', /status 503/],
    ['hanging', 'hang_voice', /did not answer within 250 ms/],
  ])('a service that is %s is a fault, neither yes nor no', async (_mode, voiceId, message) => {
    expect((await faultOf(service().verify(voiceId))).message).toMatch(message)
  })

  test('a voice without limits of its own has the usual ones: 500 at once, 1000 a day, 10000 a month', async () => {
    expect(await service().limits('voice_researcher_001')).toEqual({
      transaction: 500n,
      daily: 1_000n,
      monthly: 10_000n,
    })
  })

  test('a voice may have limits of its own', async () => {
    expect(await service().limits('limits_7_70_700_intern')).toEqual({ transaction: 7n, daily: 70n, monthly: 700n })
    expect(await service().limits('limits_0_0_0')).toEqual({ transaction: 0n, daily: 0n, monthly: 0n })
  })

  test('an id whose letters mean something in a URL is looked up as itself', async () => {
    for (const voiceId of ['limits_1_2_3_a/b', 'limits_1_2_3_%2F?x=1#y', 'limits_1_2_3_ü %'])
      expect(await service().limits(voiceId)).toEqual({ transaction: 1n, daily: 2n, monthly: 3n })
    for (const voiceId of ['.', '..']) expect(await service().limits(voiceId)).toEqual(DEFAULT_VOICE_LIMITS)
  })

  test('limits that cannot be had are a fault: nobody is given the usual ones by mistake', async () => {
    for (const mode of ['down', 'hang']) {
      await mood({ mode })
      await faultOf(service().limits('limits_1_2_3'))
    }
  })

  test('it is reachable while it answers, whatever it says about single voices', async () => {
    expect(await service().reachable()).toBe(true)
    await mood({ mode: 'down' })
    expect(await service().reachable()).toBe(false)
    await mood({ mode: 'slow', delay_ms: 1 })
    expect(await service().reachable()).toBe(true)
  })

  test('it remembers how often it was asked', async () => {
    const total = async () => (await raw('/_calls')).json() as Promise<Record<string, number>>
    const before = await total()
    await service().verify('counted/voice')
    await service().verify('counted/voice')
    await service().limits('counted/voice')
    await faultOf(service().verify('down_counted'))

    expect(await (await raw(`/_calls/${encodeURIComponent('counted/voice')}`)).json()).toEqual({
      verifies: 2,
      limits: 1,
    })
    expect(await (await raw('/_calls/never_heard')).json()).toEqual({ verifies: 0, limits: 0 })
    const after = await total()
    expect((after.verifies ?? 0) - (before.verifies ?? 0)).toBe(3)
    expect((after.limits ?? 0) - (before.limits ?? 0)).toBe(1)
    expect((after.voices ?? 0) - (before.voices ?? 0)).toBe(2)
  })

  test.each(['', '{', '[]', '{}', '{"voice_id":5}', '{"voice_id":"  "}'])(
    'a malformed question %j is refused',
    async (body) => {
      expect((await raw('/verify', { method: 'POST', body })).status).toBe(422)
    },
  )

  test('a mood that it does not know is refused', async () => {
    for (const body of [{ mode: 'angry' }, { mode: 'slow', delay_ms: -1 }, 'down'])
      expect((await mood(body)).status).toBe(422)
    expect(await service().verify('voice')).toBe(true)
  })
})

describe('the sandbox', () => {
  test('stopping it ends the requests that it keeps waiting', async () => {
    const sandbox = await startSandbox()
    const patient = voiceService({ url: sandbox.voiceUrl, timeoutMs: 20_000 })
    const waiting = [faultOf(patient.verify('hang_voice')), faultOf(patient.verify('slow_voice'))]
    const asked = async () => {
      const calls: unknown = await (await fetch(`${sandbox.voiceUrl}/_calls`)).json()
      return calls
    }
    await expect.poll(asked, { interval: 5 }).toMatchObject({ verifies: 2 })

    await sandbox.stop()
    for (const fault of await Promise.all(waiting)) expect(fault.message).toMatch(/could not be reached/)
    await sandbox.stop()
  })

  test('counts ten thousand voices one by one and forgets the longest known beyond', async () => {
    const standIn = voiceSandbox()
    const calls = async (path: string) => (await standIn.request(path)).json()
    for (let voice = 0; voice <= 10_000; voice += 1) await standIn.request(`/limits/voice_${voice}`)
    expect(await calls('/_calls')).toEqual({ verifies: 0, limits: 10_001, voices: 10_000 })
    expect(await calls('/_calls/voice_0')).toEqual({ verifies: 0, limits: 0 })
    expect(await calls('/_calls/voice_1')).toEqual({ verifies: 0, limits: 1 })
  })

  test('a port that is taken is said so', async () => {
    const sandbox = await startSandbox()
    const port = Number(new URL(sandbox.voiceUrl).port)
    await expect(startSandbox({ port })).rejects.toThrow(/EADDRINUSE/)
    await sandbox.stop()
  })
})

describe('a service that does not keep the contract', () => {
  let server: Server
  let url: string
  let answer: { status: number; body: string; headers?: Record<string, string> }
  let seen: { authorization: string | undefined; url: string | undefined }[]
  let connections: number

  beforeAll(async () => {
    server = createServer((request, response) => {
      seen.push({ authorization: request.headers.authorization, url: request.url })
      request.resume().on('end', () => response.writeHead(answer.status, answer.headers).end(answer.body))
    })
    server.on('connection', () => {
      connections += 1
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  })
  beforeEach(() => {
    seen = []
    connections = 0
  })
  afterAll(async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })

  const SECRET_VOICE = 'voice_of_a_patient'

  test.each([
    ['a word of its own', 200, '{"verified":"true"}'],
    ['a number for a yes', 200, '{"verified":1}'],
    ['nothing about it', 200, '{}'],
    ['null', 200, 'null'],
    ['a list', 200, '[{"verified":true}]'],
    ['a page', 200, `<html>${SECRET_VOICE} verified</html>`],
    ['an empty body', 204, ''],
    ['a yes with an error status', 500, '{"verified":true}'],
    ['a no with a server error', 503, '{"verified":false}'],
    ['a yes that was not allowed', 403, '{"verified":true}'],
    ['that it was asked too often', 429, '{"verified":false}'],
    ['that it gave up waiting', 408, '{"verified":false}'],
    ['that it does not know', 404, `{"detail":"${SECRET_VOICE} not found"}`],
    ['more than anybody wants to read', 200, `{"verified":true,"noise":"${'x'.repeat(1_100_000)}"}`],
  ])('verifies nobody by answering %s', async (_title, status, body) => {
    answer = { status, body }
    const fault = await faultOf(voiceService({ url, timeoutMs: 5_000 }).verify(SECRET_VOICE))
    expect(inspect(fault, { depth: 10 })).not.toContain(SECRET_VOICE)
  })

  test('may say no with a status of its own, and yes with more than was asked for', async () => {
    answer = { status: 401, body: '{"verified":false}' }
    expect(await voiceService({ url }).verify(SECRET_VOICE)).toBe(false)
    answer = { status: 200, body: '{"verified":true,"confidence":0.98}' }
    expect(await voiceService({ url }).verify(SECRET_VOICE)).toBe(true)
  })

  test('may not send the voice id elsewhere by a redirect', async () => {
    answer = { status: 307, body: '', headers: { location: '/elsewhere' } }
    await faultOf(voiceService({ url }).verify(SECRET_VOICE))
    expect(seen).toHaveLength(1)
  })

  test.each([
    ['negative', '{"daily_limit":-1}'],
    ['fractional', '{"transaction_limit":0.5}'],
    ['not exact as a number', '{"monthly_limit":9007199254740993}'],
    ['text', '{"daily_limit":"1000"}'],
    ['null', '{"daily_limit":null}'],
    ['no object', '[]'],
    ['no JSON', 'unlimited'],
  ])('grants no limits that are %s', async (_title, body) => {
    answer = { status: 200, body }
    await faultOf(voiceService({ url }).limits(SECRET_VOICE))
  })

  test('may leave limits out, which are then the usual ones', async () => {
    answer = { status: 200, body: '{"daily_limit":20}' }
    expect(await voiceService({ url }).limits('v')).toEqual({ transaction: 500n, daily: 20n, monthly: 10_000n })
    answer = { status: 501, body: '' }
    expect(await voiceService({ url }).limits('v')).toEqual(DEFAULT_VOICE_LIMITS)
    answer = { status: 401, body: '{}' }
    await faultOf(voiceService({ url }).limits('v'))
  })

  test('counts as reachable below a server error', async () => {
    for (const [status, reachable] of [
      [204, true],
      [404, true],
      [500, false],
    ] as const) {
      answer = { status, body: '' }
      expect(await voiceService({ url }).reachable()).toBe(reachable)
    }
  })

  test('is asked with the credentials of its URL, which no fault repeats', async () => {
    const withCredentials = url.replace('http://', 'http://bursar:s3cr%40t@')
    const service = voiceService({ url: `${withCredentials}/voices/` })
    answer = { status: 200, body: '{"verified":true}' }
    expect(await service.verify('v')).toBe(true)
    expect(seen).toEqual([
      { authorization: `Basic ${Buffer.from('bursar:s3cr@t').toString('base64')}`, url: '/voices/verify' },
    ])

    answer = { status: 500, body: '' }
    expect(inspect(await faultOf(service.verify('v')), { depth: 10 })).not.toMatch(/s3cr|bursar:/)
  })

  test('is asked over one connection as long as it answers', async () => {
    const service = voiceService({ url: `${url}/kept-alive` })
    for (const [status, body] of [
      [200, '{"verified":true}'],
      [500, 'oops'],
      [404, '{}'],
      [200, '{'],
    ] as const) {
      answer = { status, body }
      await service.verify('v').catch(() => {})
      await service.limits('v').catch(() => {})
      await service.reachable()
    }
    expect(seen).toHaveLength(12)
    expect(connections).toBeLessThanOrEqual(1)
  })
})

describe('a service that is not there', () => {
  test('is a fault without the voice id or the credentials of its URL', async () => {
    const sandbox = await startSandbox()
    await sandbox.stop()
    const url = sandbox.voiceUrl.replace('http://', 'http://bursar:s3cret@')
    const service = voiceService({ url, timeoutMs: TIMEOUT_MS })

    for (const fault of [await faultOf(service.verify('my_voice')), await faultOf(service.limits('my_voice'))]) {
      expect(fault.message).toBe('The voice service could not be reached (ECONNREFUSED)')
      expect(inspect(fault, { depth: 10 })).not.toMatch(/my_voice|s3cret/)
    }
    expect(await service.reachable()).toBe(false)
  })

  test('a URL that is none is a mistake of ours, told without the URL', () => {
    for (const url of ['bursar:s3cret@voice', 'ftp://bursar:s3cret@voice', ''])
      expect(() => voiceService({ url })).toThrow('The URL of The voice service is not an http(s) URL')
  })
})
