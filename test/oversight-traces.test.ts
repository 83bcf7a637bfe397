import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { Deployment } from './support/deployment.ts'

const Traces = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({
        attributes: z.array(z.object({ key: z.string(), value: z.object({ stringValue: z.string().optional() }) })),
      }),
      scopeSpans: z.array(
        z.object({ spans: z.array(z.object({ name: z.string(), traceId: z.string(), kind: z.number() })) }),
      ),
    }),
  ),
})

type Span = { name: string; traceId: string; kind: number; service: string | undefined }

/** A collector that keeps the spans that it is sent. */
const spans: Span[] = []
const paths = new Set<string>()
const collector = createServer(async (request, response) => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  paths.add(`${request.method} ${request.url}`)
  const { resourceSpans } = Traces.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')))
  for (const { resource, scopeSpans } of resourceSpans) {
    const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue
    spans.push(...scopeSpans.flatMap((scope) => scope.spans.map((span) => ({ ...span, service }))))
  }
  response.setHeader('Content-Type', 'application/json').end('{}')
})

let endpoint: string
beforeAll(async () => {
  collector.listen(0, '127.0.0.1')
  await once(collector, 'listening')
  endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
})
afterAll(() => {
  collector.close()
  collector.closeAllConnections()
})

/** What a short life of a whole Bursar is traced as. Stopping sends what is still waiting. */
async function traced(): Promise<Span[]> {
  spans.length = 0
  const bursar = await Deployment.start({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: `${endpoint}/` } })
  await bursar.deduct(await bursar.issue(100, 'voice_of_the_president'), 30)
  await bursar.stop()
  return [...spans]
}

test('a job is one trace from its queue to its worker, and nothing of it is lost when Bursar stops', async () => {
  const seen = await traced()
  expect(paths).toEqual(new Set(['POST /v1/traces']))
  expect(new Set(seen.map(({ service }) => service))).toEqual(new Set(['bursar']))

  const [PRODUCER, CONSUMER] = [4, 5]
  for (const queue of ['gateways', 'ledger']) {
    const added = seen.filter(({ name, kind }) => kind === PRODUCER && name.includes(queue))
    const processed = seen.filter(({ name, kind }) => kind === CONSUMER && name.includes(queue))
    expect(added.length).toBeGreaterThan(0)
    expect(processed.map(({ traceId }) => traceId)).toEqual(added.map(({ traceId }) => traceId))
  }
  expect(JSON.stringify(seen)).not.toContain('the_president')
})

test('the next Bursar in the same process is traced, too', async () => {
  expect((await traced()).length).toBeGreaterThan(0)
})

test('a collector that is away keeps nobody waiting', async () => {
  const bursar = await Deployment.start({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' } })
  expect((await bursar.deduct(await bursar.issue(100), 30)).status).toBe(200)
  const startedAt = performance.now()
  await bursar.stop()
  expect(performance.now() - startedAt).toBeLessThan(20_000)
})
