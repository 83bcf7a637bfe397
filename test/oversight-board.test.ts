import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kinds } from '../src/jobs/catalogue.ts'
import { processors } from '../src/processors/index.ts'
import { Breakable } from './support/breakable.ts'
import { type Answer, type Asking, Deployment, onBothBackends } from './support/deployment.ts'

interface BoardJob {
  readonly id: string
  readonly name: string
  readonly data: { operations: string[]; preview: Record<string, unknown>[] }
  readonly returnValue: unknown
  readonly failedReason?: string
  readonly isFailed: boolean
}

onBothBackends('The board', (backend) => {
  const revoking = new Breakable()
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({
      backend,
      relay: false,
      processors: {
        ...processors,
        'token.revoke': revoking.around(kinds['token.revoke'], processors['token.revoke']),
      },
    })
  })
  afterAll(() => bursar.stop())

  const operator = { as: 'olga', roles: ['operator'] } as const
  const board = (method: string, path: string, asking: Asking = operator): Promise<Answer> =>
    bursar.ask(method, `/admin/queues${path}`, asking)

  async function queue(
    name: string,
  ): Promise<{ name: string; description: string; counts: Record<string, number>; jobs: BoardJob[] }> {
    const { status, body } = await board('GET', `/api/queues?activeQueue=${name}&status=latest&page=1&jobsPerPage=50`)
    expect(status).toBe(200)
    return body.queues.find((one: { name: string }) => one.name === name)
  }

  /** The job that carries an operation, once the queue shows it as finished. */
  async function jobOf(queueName: string, operationId: string): Promise<BoardJob> {
    const find = async () =>
      (await queue(queueName)).jobs.find(({ data }) => data.operations.includes(`/api/v1/operations/${operationId}`))
    await expect
      .poll(async () => ((await find())?.returnValue ?? (await find())?.failedReason) !== undefined)
      .toBe(true)
    const job = await find()
    if (job === undefined) throw new Error(`No job carries ${operationId}`)
    return job
  }

  test('shows every queue, what each waits for, and its jobs with what they did', async () => {
    const token = await bursar.issue(100, 'voice_of_somebody')
    const { headers } = await bursar.do('POST', `/token/${token}/deduct`, { amount: 500, description: 'Tea' })
    const job = await jobOf('ledger', headers.get('operation-id') ?? '')

    expect(job.name).toBe('token.deduct')
    expect(job.returnValue).toMatchObject({
      succeeded: 0,
      refused: { 'token.insufficient': 1 },
      stuck: [],
      already_done: 0,
    })
    expect(job.isFailed).toBe(false)
    expect(job.data.preview).toEqual([{ token_id: `${token.slice(0, 8)}…`, amount: 500, description: 'Tea' }])

    const [ledger, gateways] = [await queue('ledger'), await queue('gateways')]
    expect(ledger.description).toMatch(/our own database/)
    expect(gateways.description).toMatch(/somebody else/)
    for (const name of bursar.foundation.queueNames) expect((await queue(name)).description).not.toBe('')
    expect(ledger.counts.completed).toBeGreaterThan(0)
    expect(gateways.jobs.map(({ name }) => name)).toContain('token.issue')
  })

  test('shows no token, no voice and no secret, on no page', async () => {
    const token = await bursar.issue(77, 'voice_of_the_president')
    await bursar.deduct(token, 7)
    await bursar.do('POST', '/token', { budget: 1, voice_id: 'reject_the_president' })
    const seen: string[] = []
    for (const name of bursar.foundation.queueNames) {
      const shown = await queue(name)
      seen.push(JSON.stringify(shown))
      for (const { id } of shown.jobs) {
        seen.push(JSON.stringify((await board('GET', `/api/queues/${name}/${id}`)).body))
        seen.push(JSON.stringify((await board('GET', `/api/queues/${name}/${id}/logs`)).body))
      }
    }
    expect(seen.join('')).toContain('"budget":77')
    expect(seen.join('')).toContain('"voice_id":"<redacted>"')
    for (const secret of [token, 'the_president', bursar.config.jwt.secret.reveal()])
      expect(seen.join('')).not.toContain(secret)
  })

  test('«retry» gives a stuck operation its second chance, and it is done once', async () => {
    const token = await bursar.issue(40)
    revoking.broken = true
    const { body } = await bursar.ask('DELETE', `/token/${token}`)
    const stuck = await bursar.settled(body.operation_id)
    expect(stuck.status).toBe('stuck')
    const job = await jobOf('ledger', body.operation_id)
    expect(job.failedReason).toMatch(/stuck/)

    revoking.broken = false
    expect((await board('PUT', `/api/queues/ledger/${job.id}/retry`)).status).toBe(204)
    await expect
      .poll(async () => (await bursar.get(`/api/v1/operations/${body.operation_id}`)).body)
      .toMatchObject({ status: 'succeeded', result: { success: true, returned: 40 }, error: null })
    await bursar.quiet()
    expect(await bursar.transfers('token.revoke')).toBe(1)
    await bursar.expectCleanBooks()

    // The second chance is an operation of its own, in the name of whoever gave it.
    const { body: list } = await bursar.get('/api/v1/operations?kind=operation.retry', operator)
    expect(list.operations[0].result).toEqual({ requeued: [body.operation_id] })
    const { rows } = await bursar.pool.query(`select submitted_by from operation where kind = 'operation.retry'`)
    expect(rows).toEqual([{ submitted_by: 'olga' }])
  })

  test('«retry all» gives all of them theirs', async () => {
    const tokens = [await bursar.issue(3), await bursar.issue(4)]
    revoking.broken = true
    const ids: string[] = []
    for (const token of tokens) {
      const { body } = await bursar.ask('DELETE', `/token/${token}`)
      await bursar.settled(body.operation_id)
      await jobOf('ledger', body.operation_id)
      ids.push(body.operation_id)
    }
    revoking.broken = false
    const { status } = await board('PUT', '/api/queues/ledger/retry/failed', { headers: { Authorization: basic() } })
    expect(status).toBe(200)
    for (const id of ids)
      await expect.poll(async () => (await bursar.get(`/api/v1/operations/${id}`)).body.status).toBe('succeeded')
    await bursar.quiet()
  })

  const basic = () => `Basic ${Buffer.from(`operator:${bursar.config.board.password.reveal()}`).toString('base64')}`

  test('holds a queue and lets it go again', async () => {
    const token = await bursar.issue(10)
    expect((await board('PUT', '/api/queues/ledger/pause')).status).toBe(200)
    const { body } = await bursar.ask('POST', `/token/${token}/deduct`, { body: { amount: 1 } })
    const held = await bursar.get(body.status_url, { headers: { Prefer: 'wait=1' } })
    expect(held.body.status).toBe('queued')
    expect((await board('PUT', '/api/queues/ledger/resume')).status).toBe(200)
    expect(await bursar.settled(body.operation_id)).toMatchObject({ status: 'succeeded' })
  })

  test('makes, changes and deletes no jobs: the work is in the operations', async () => {
    const { operation_id } = (await bursar.ask('DELETE', `/token/${await bursar.issue(10)}`)).body
    const { id } = await jobOf('ledger', operation_id)
    const forbidden: [method: string, path: string, body?: unknown][] = [
      ['POST', '/api/queues/ledger/add', { name: 'token.revoke', data: { operations: [operation_id] } }],
      ['PATCH', `/api/queues/ledger/${id}/update-data`, { jobData: { operations: [] } }],
      ['PUT', `/api/queues/ledger/${id}/clean`],
      ['PUT', '/api/queues/ledger/clean/completed'],
      ['PUT', '/api/queues/ledger/empty'],
      ['PUT', '/api/queues/ledger/obliterate'],
    ]
    const before = await queue('ledger')
    for (const [method, path, body] of forbidden) {
      const answer = await board(method, path, body === undefined ? operator : { ...operator, body })
      expect([path, answer.status, answer.body.code]).toEqual([path, 403, 'board.notPermitted'])
    }
    expect((await queue('ledger')).counts).toEqual(before.counts)
    expect((await queue('ledger')).jobs.map(({ id }) => id)).toEqual(before.jobs.map(({ id }) => id))
  })

  test('obeys no page of another site, which a browser would lend the password to', async () => {
    const resume = (headers: Record<string, string>) =>
      board('PUT', '/api/queues/ledger/resume', { headers: { Authorization: basic(), ...headers } })
    const own = bursar.door.url
    expect((await resume({ Origin: 'https://elsewhere.example' })).body.code).toBe('board.otherSite')
    expect((await resume({ Origin: 'null' })).status).toBe(403)
    expect((await resume({ Origin: own })).status).toBe(200)
    expect((await resume({})).status).toBe(200)
  })

  test('answers about what is not there as a board does, and about what breaks as we do', async () => {
    expect((await board('GET', '/api/queues/ledger/no-such-job')).status).toBe(404)
    expect((await board('GET', '/api/queues/no-such-queue/1')).status).toBe(404)
    const nowhere = await board('GET', '/api/nowhere')
    expect([nowhere.status, nowhere.body.code]).toEqual([404, 'request.notFound'])
  })
})

describe('The board’s page', () => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ workers: false })
  })
  afterAll(() => bursar.stop())

  const get = (path: string) => bursar.get(path, { as: 'olga', roles: ['operator'] })

  test('works without any other host: what it needs is here, and the rest is not asked for', async () => {
    const page = await get('/admin/queues')
    expect(page.headers.get('content-type')).toMatch(/^text\/html/)
    expect(page.body).toContain('<base href="/admin/queues/"')
    const loaded = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)]
      .map(([, url]) => String(url))
      .filter((url) => !url.startsWith('/admin'))
    expect(loaded.length).toBeGreaterThan(4)
    for (const url of loaded.filter((one) => !/^https?:/.test(one)))
      expect((await get(`/admin/queues/${url}`)).status).toBe(200)

    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'self'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe/)
  })

  test.each(['/', '/queue/ledger', '/queue/ledger/1', '/job-schedulers'])('is there at %s, too', async (path) => {
    expect((await get(`/admin/queues${path}`)).status).toBe(200)
  })

  test('gives away no file but its own', async () => {
    for (const path of [
      'static/../../package.json',
      'static/%2e%2e/%2e%2e/package.json',
      'static/..%2f..%2fpackage.json',
    ])
      expect((await get(`/admin/queues/${path}`)).status).toBe(404)
  })
})
