import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, Deployment, onBothBackends } from './support/deployment.ts'
import { type SecondDoor, secondDoor } from './support/second-door.ts'

const PER_MINUTE = 6

const statuses = (answers: readonly Answer[]) => answers.map(({ status }) => status)

const ratio = ({ headers }: Answer) =>
  ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after'].map((name) => headers.get(name))

onBothBackends('The general limit', (backend) => {
  let bursar: Deployment
  let otherDoor: SecondDoor
  beforeAll(async () => {
    const env = {
      RATE_LIMIT_REQUESTS_PER_MINUTE: '4',
      RATE_LIMIT_BURST: '2',
      TOKEN_REQUESTS_PER_MINUTE: '3',
      TRUST_PROXY: '1',
    }
    bursar = await Deployment.start({ backend, env, workers: false })
    otherDoor = await secondDoor(bursar)
  })
  afterAll(async () => {
    await otherDoor.stop()
    await bursar.stop()
  })

  const operations = (as: string, at?: string) =>
    bursar.get('/api/v1/operations', { as, ...(at === undefined ? {} : { at }) })
  const balance = (from: string) =>
    bursar.get('/balance/00000000-0000-4000-8000-000000000000', { headers: { 'X-Forwarded-For': from } })
  const issue = (from: string) =>
    bursar.ask('POST', '/token', {
      body: { budget: 1, voice_id: 'voice_limits' },
      headers: { 'X-Forwarded-For': from },
    })

  test('is each subject’s own, counted over both doors, and tells them where they stand', async () => {
    const answers: Answer[] = []
    for (let n = 0; n < PER_MINUTE + 2; n++)
      answers.push(await operations('alice', n % 2 === 0 ? undefined : otherDoor.url))

    expect(statuses(answers)).toEqual([...Array(PER_MINUTE).fill(200), 429, 429])
    const [first] = answers
    expect(first && ratio(first)).toEqual(['6', '5', expect.stringMatching(/^(60|59)$/), null])
    const refused = answers.at(-1)
    expect(refused && ratio(refused)).toEqual([
      '6',
      '0',
      expect.stringMatching(/^\d+$/),
      expect.stringMatching(/^[1-9]\d*$/),
    ])
    expect(refused?.body).toMatchObject({ error: 'TooManyRequests', code: 'request.tooMany' })
    expect((await operations('bob')).status).toBe(200)
  })

  test('is each address’s own where nobody says who is asking, as our one proxy saw it', async () => {
    const answers: Answer[] = []
    for (let n = 0; n < PER_MINUTE + 1; n++) answers.push(await balance(`203.0.113.${n}, 198.51.100.1`))
    expect(statuses(answers)).toEqual([...Array(PER_MINUTE).fill(404), 429])
    // The proxy's own line counts, not what the caller wrote in front of it.
    expect((await balance('198.51.100.1, 198.51.100.2')).status).toBe(404)
    expect((await balance('203.0.113.77, 198.51.100.1')).status).toBe(429)
  })

  test('stands beside the limit of tokens for each address, which nobody gets around by naming themselves', async () => {
    const answers: Answer[] = []
    for (let n = 0; n < 4; n++) answers.push(await issue('192.0.2.1'))
    expect(statuses(answers)).toEqual([202, 202, 202, 429])
    const asSomebody = await bursar.ask('POST', '/token', {
      as: 'carol',
      body: { budget: 1, voice_id: 'voice_limits' },
      headers: { 'X-Forwarded-For': '192.0.2.1' },
    })
    expect(asSomebody.status).toBe(429)
    expect((await issue('192.0.2.2')).status).toBe(202)
    expect(await bursar.statuses('token.issue')).toEqual({ queued: 4 })
  })
})

describe('Without further configuration', () => {
  let bursar: Deployment
  let door: SecondDoor
  beforeAll(async () => {
    bursar = await Deployment.start({ workers: false })
    door = await secondDoor(bursar, { TOKEN_REQUESTS_PER_MINUTE: '' })
  })
  afterAll(async () => {
    await door.stop()
    await bursar.stop()
  })

  test('an address gets ten tokens a minute, whatever it says about where it comes from', async () => {
    const answers: Answer[] = []
    for (let n = 0; n < 11; n++) {
      answers.push(
        await bursar.ask('POST', '/token', {
          at: door.url,
          body: { budget: 1, voice_id: 'voice_ten' },
          headers: { 'X-Forwarded-For': `192.0.2.${n}` },
        }),
      )
    }
    expect(statuses(answers)).toEqual([...Array(10).fill(202), 429])
  })

  test('nothing else is limited', async () => {
    const answers = await Promise.all(Array.from({ length: 150 }, () => bursar.get('/openapi.json', { at: door.url })))
    expect(new Set(statuses(answers))).toEqual(new Set([200]))
    expect(answers[0]?.headers.get('ratelimit-limit')).toBeNull()
  })
})
