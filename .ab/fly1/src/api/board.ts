import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { HonoAdapter } from '@bull-board/hono'
import { serveStatic } from '@hono/node-server/serve-static'
import type { Job, Queue } from 'bullmq'
import { type Context, Hono } from 'hono'
import { contextStorage, getContext } from 'hono/context-storage'
import type { JobData } from '../jobs/envelope.ts'
import type { Intake } from '../jobs/intake.ts'
import type { QueueName } from '../jobs/kind.ts'
import { progressBody, progressOf } from '../jobs/runs.ts'
import type { Clock } from '../kit/clock.ts'
import { refusals } from '../kit/refusal.ts'
import type { Sql } from '../kit/sql.ts'
import { type Authenticator, requireRole } from './access.ts'
import { doorRefusals } from './door-refusals.ts'
import { BASIC_CHALLENGE } from './errors.ts'
import { addHeader, headerOf } from './reply.ts'
import type { Env, RouterParts } from './route.ts'

const BASE = '/admin/queues'

/** What a queue is for, where the board shows it. */
const descriptions: { readonly [name in QueueName]: string } = {
  ledger: 'Work that waits only for our own database',
  inbound: 'Webhooks that came in, to be looked up at their gateways',
  gateways: 'Work that waits for somebody else’s answer: gateways, the voice service',
  outbound: 'What we send and nobody waits for, such as records to a vault',
  runs: 'Periodic work that fans out: plans, and chunks of subjects such as the customers of a month',
}

/** What an operator may do: run jobs again or at once, and slow queues down or hold them. */
const PERMITTED =
  /^\/api\/queues\/(.+\/)?(pause|resume|promote|retry|retry\/\w+|concurrency|rate-limit|rate-limit\/release)$/

/** Everything comes from us: the board works offline (its page asks for fonts elsewhere, and does without), and in no other page's frame. */
const CSP =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"

/**
 * Where somebody opened `https://user:password@host/…`, relative addresses carry the password along, and a page's scripts
 * may not fetch from such an address. The browser has learnt the password by now, so the page is opened again without it.
 */
const PLAIN_ADDRESS = `if (new URL(document.baseURI).password !== '') location.replace(location.origin + location.pathname + location.search)\n`

const boardRefusals = refusals('board', {
  notPermitted: {
    status: 403,
    error: 'Forbidden',
    says: () =>
      'Jobs are only messages: they are neither made, changed nor deleted here. The work is in the operations, and the relay would bring deleted jobs back.',
  },
  otherSite: {
    status: 403,
    error: 'Forbidden',
    says: () => 'This was asked by a page of another site. Open the board itself.',
  },
})

/** The board, for operators. An app of its own: it needs Hono's middleware, which all other routes do without. */
export function board(
  { app: door, attend }: RouterParts,
  parts: { queues: readonly Queue[]; intake: Intake; authenticator: Authenticator; reads: Sql; clock: Clock },
): void {
  const app = new Hono<Env>()
  app.use(contextStorage(), (c, next) =>
    attend(c, async () => {
      c.set('route', BASE)
      c.set('challenge', BASIC_CHALLENGE)
      addHeader(c, 'Content-Security-Policy', CSP)
      const caller = await parts.authenticator.authenticate(headerOf(c, 'authorization'), { basic: true })
      c.set('caller', requireRole(caller, 'operator'))
      if (c.req.method !== 'GET' && c.req.method !== 'HEAD') {
        // A browser sends the password along whichever page asks.
        if (isFromAnotherSite(c)) throw boardRefusals.otherSite()
        if (!PERMITTED.test(c.req.path.slice(BASE.length))) throw boardRefusals.notPermitted()
      }
      await next()
      if (c.res.headers.get('content-type')?.startsWith('text/html')) c.res = await withPlainAddress(c.res)
      return c.res
    }),
  )
  const server = new HonoAdapter(serveStatic)
  server.setBasePath(BASE)
  createBullBoard({
    queues: parts.queues.map((queue) => new OperationsAdapter(queue, parts)),
    serverAdapter: server as never,
    options: { uiConfig: { boardTitle: 'Bursar', hideRedisDetails: true } },
  })
  // Hono's and the board's own would tell what broke; ours logs that.
  const passOn = (error: Error) => {
    throw error
  }
  app.onError(passOn)
  server.setErrorHandler(passOn)
  app.get(`${BASE}/`, (c) => c.redirect(BASE))
  app.get(`${BASE}/plain-address.js`, (c) =>
    c.body(PLAIN_ADDRESS, 200, { 'Content-Type': 'text/javascript; charset=utf-8' }),
  )
  app.notFound(() => {
    throw doorRefusals.notFound()
  })
  const pages = server.registerPlugin() as unknown as Hono<Env>
  pages.onError(passOn)
  app.route(BASE, pages)
  door.mount(BASE, app.fetch, { replaceRequest: false })
}

const withPlainAddress = async (page: Response): Promise<Response> =>
  new Response((await page.text()).replace(/<base [^>]*>/, `$&<script src="${BASE}/plain-address.js"></script>`), page)

function isFromAnotherSite(c: Context): boolean {
  const site = headerOf(c, 'sec-fetch-site')
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  const origin = headerOf(c, 'origin')
  return origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== headerOf(c, 'host'))
}

/** Shows jobs with what they carry, and makes the board's «retry» mean an operator's second chance. */
class OperationsAdapter extends BullMQAdapter {
  readonly #parts: { readonly intake: Intake; readonly reads: Sql; readonly clock: Clock }
  readonly #fansOut: boolean

  constructor(queue: Queue, parts: { readonly intake: Intake; readonly reads: Sql; readonly clock: Clock }) {
    super(queue as never, {
      description: Object.entries(descriptions).find(([name]) => name === queue.name)?.[1] ?? '',
    })
    this.#parts = parts
    this.#fansOut = queue.name === ('runs' satisfies QueueName)
    this.setFormatter('data', (data: JobData) => ({
      operations: data.operations?.map((id) => `/api/v1/operations/${id}`),
      preview: data.preview,
    }))
  }

  override async getJob(id: string) {
    const job = await super.getJob(id)
    if (job === undefined || job === null) return job
    await this.#withProgress([job as never])
    return this.#withSecondChance(job as never)
  }

  override async getJobs(...args: Parameters<BullMQAdapter['getJobs']>) {
    const jobs = await super.getJobs(...args)
    await this.#withProgress(jobs as never)
    return jobs.map((job) => this.#withSecondChance(job as never)) as never
  }

  /** How far their runs are: the messages themselves are done long before. */
  async #withProgress(jobs: readonly Job<JobData>[]): Promise<void> {
    if (!this.#fansOut) return
    const { reads, clock } = this.#parts
    const progress = await progressOf(
      reads,
      jobs.flatMap(({ data }) => data.operations ?? []),
      clock.now(),
    )
    for (const job of jobs) {
      const [one] = job.data.operations ?? []
      const known = one === undefined ? undefined : progress.get(one)
      if (known !== undefined) job.progress = progressBody(known)
    }
  }

  /** A job that is run again passes over stuck operations; so they are asked to be queued again first. */
  #withSecondChance(job: Job<JobData>): Job<JobData> {
    const retry = job.retry.bind(job)
    job.retry = async (...args) => {
      const { operations } = job.data
      if (operations?.length > 0) {
        await this.#parts.intake.submit({
          kind: 'operation.retry',
          input: { operation_ids: [...operations] },
          submittedBy: getContext<Env>().get('caller').subject,
        })
      }
      await retry(...args)
    }
    return job
  }
}
