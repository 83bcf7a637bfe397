import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { HonoAdapter } from '@bull-board/hono'
import { serveStatic } from '@hono/node-server/serve-static'
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Job, Queue } from 'bullmq'
import { contextStorage, getContext } from 'hono/context-storage'
import type { JobData } from '../jobs/envelope.ts'
import type { Intake } from '../jobs/intake.ts'
import { type Authenticator, requireRole } from './access.ts'
import type { Env } from './route.ts'

const BASE = '/admin/queues'

/** What a queue is for, where the board shows it. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  ledger: 'Work that waits only for our own database',
  gateways: 'Work that waits for somebody else: gateways, the voice service, a vault',
}

/** The board. Bulk deletion of work is no operator's business: operations live in PostgreSQL, and the relay would bring the jobs back. */
export function board(
  app: OpenAPIHono<Env>,
  parts: { queues: readonly Queue[]; intake: Intake; authenticator: Authenticator },
): void {
  app.use(`${BASE}/*`, contextStorage())
  for (const path of [BASE, `${BASE}/*`]) {
    app.use(path, async (c, next) => {
      c.set('route', BASE)
      const header = c.req.header('authorization')
      // A browser asks for the password only when it is told that there is one.
      if (header === undefined) {
        return c.text('The board is for operators', 401, {
          'WWW-Authenticate': 'Basic realm="Bursar", charset="UTF-8"',
        })
      }
      const caller = await parts.authenticator.authenticate(header, { basic: true })
      requireRole(caller, 'operator')
      c.set('caller', caller)
      return next()
    })
  }
  const server = new HonoAdapter(serveStatic)
  server.setBasePath(BASE)
  createBullBoard({
    queues: parts.queues.map((queue) => new OperationsAdapter(queue, parts.intake)),
    serverAdapter: server as never,
    options: { uiConfig: { boardTitle: 'Bursar', hideRedisDetails: true } },
  })
  app.route(BASE, server.registerPlugin() as never)
}

/** Shows jobs with what they carry, and makes the board's «retry» mean an operator's second chance. */
class OperationsAdapter extends BullMQAdapter {
  readonly #intake: Intake

  constructor(queue: Queue, intake: Intake) {
    super(queue as never, { description: DESCRIPTIONS[queue.name] ?? '' })
    this.#intake = intake
    this.setFormatter('data', (data: JobData) => ({
      operations: data.operations?.map((id) => `/api/v1/operations/${id}`),
      preview: data.preview,
    }))
  }

  override async getJob(id: string) {
    const job = await super.getJob(id)
    return job && this.#withSecondChance(job as never)
  }

  override async getJobs(...args: Parameters<BullMQAdapter['getJobs']>) {
    const jobs = await super.getJobs(...args)
    return jobs.map((job) => this.#withSecondChance(job as never)) as never
  }

  /** A job that is run again passes over stuck operations; so they are asked to be queued again first. */
  #withSecondChance(job: Job<JobData>): Job<JobData> {
    const retry = job.retry.bind(job)
    job.retry = async (...args) => {
      const { operations } = job.data
      if (operations?.length > 0) {
        await this.#intake.submit({
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
