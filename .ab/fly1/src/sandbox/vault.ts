import { randomUUID } from 'node:crypto'
import { type Context, Hono } from 'hono'
import { z } from 'zod'

/*
 * A stand-in for HashiCorp Vault with a KV v2 engine at `secret/`, in memory, as its HTTP API is documented:
 *
 *   GET             /v1/secret/data/{path}?version=   the latest version, or one of the last ten
 *   POST, PUT       /v1/secret/data/{path} {"data", "options": {"cas"}?}
 *   DELETE          /v1/secret/metadata/{path}        every version
 *   GET             /v1/sys/health                    without a token
 *   PUT             /v1/sys/seal, /v1/sys/unseal      sealed, it answers 503 to everything
 *
 * The token that it accepts is `sandbox`.
 */

const TOKEN = 'sandbox'

/** Versions kept of one secret: Vault's own default. */
const MAX_VERSIONS = 10

/** Secrets kept; beyond it the longest known is forgotten, so that memory stays flat. */
const MAX_SECRETS = 10_000

/** Letters of one request: what Vault's storage takes of one entry. */
const MAX_BODY = 1024 * 1024

const Write = z.object({
  data: z.record(z.string(), z.unknown()),
  options: z.object({ cas: z.int().nonnegative().optional() }).nullish(),
})

interface Version {
  readonly data: Record<string, unknown>
  readonly metadata: {
    readonly created_time: string
    readonly custom_metadata: null
    readonly deletion_time: ''
    readonly destroyed: false
    readonly version: number
  }
}

export function vaultSandbox(): Hono {
  const secrets = new Map<string, Version[]>()
  let sealed = false

  const app = new Hono()
  app.get('/v1/sys/health', (c) => c.json(healthOf(sealed), sealed ? 503 : 200))
  app.put('/v1/sys/unseal', (c) => {
    sealed = false
    return c.json({ sealed, t: 1, n: 1, progress: 0 })
  })

  app.use(async (c, next) => {
    if (sealed) return refuse(c, 503, 'Vault is sealed')
    if (c.req.header('x-vault-token') !== TOKEN) return refuse(c, 403, 'permission denied')
    return next()
  })

  app.put('/v1/sys/seal', (c) => {
    sealed = true
    return c.body(null, 204)
  })

  app.get('/v1/secret/data/:path{.+}', (c) => {
    const versions = secrets.get(c.req.param('path')) ?? []
    const wanted = Number(c.req.query('version') ?? 0)
    const found = wanted === 0 ? versions.at(-1) : versions.find(({ metadata }) => metadata.version === wanted)
    return found === undefined ? refuse(c, 404) : c.json(envelope(found))
  })

  app.on(['POST', 'PUT'], '/v1/secret/data/:path{.+}', async (c) => {
    const path = c.req.param('path')
    // Read whole before it is refused: an unread body would block the connection for the request after it.
    const text = await c.req.text()
    if (text.length > MAX_BODY) return refuse(c, 413, 'http: request body too large')
    const write = Write.safeParse(parseJson(text))
    if (!write.success) return refuse(c, 400, 'no data provided')

    const versions = secrets.get(path) ?? []
    const current = versions.at(-1)?.metadata.version ?? 0
    const { cas } = write.data.options ?? {}
    if (cas !== undefined && cas !== current)
      return refuse(c, 400, 'check-and-set parameter did not match the current version')

    const next = versionOf(write.data.data, current + 1)
    secrets.set(path, [...versions, next].slice(-MAX_VERSIONS))
    const [longestKnown] = secrets.keys()
    if (secrets.size > MAX_SECRETS && longestKnown !== undefined) secrets.delete(longestKnown)
    return c.json(envelope(next.metadata))
  })

  app.delete('/v1/secret/metadata/:path{.+}', (c) => {
    secrets.delete(c.req.param('path'))
    return c.body(null, 204)
  })

  app.all('/v1/secret/*', (c) => refuse(c, 405, 'unsupported operation'))
  app.all('*', (c) => refuse(c, 404, 'no handler for route. route entry not found.'))
  return app
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const versionOf = (data: Record<string, unknown>, version: number): Version => ({
  data,
  metadata: {
    created_time: new Date().toISOString(),
    custom_metadata: null,
    deletion_time: '',
    destroyed: false,
    version,
  },
})

const envelope = (data: unknown) => ({
  request_id: randomUUID(),
  lease_id: '',
  renewable: false,
  lease_duration: 0,
  data,
  wrap_info: null,
  warnings: null,
  auth: null,
})

const healthOf = (sealed: boolean) => ({
  initialized: true,
  sealed,
  standby: false,
  performance_standby: false,
  server_time_utc: Math.floor(Date.now() / 1_000),
  version: '1.20.0',
  cluster_name: 'sandbox',
})

const refuse = (c: Context, status: 400 | 403 | 404 | 405 | 413 | 503, ...errors: string[]): Response =>
  c.json({ errors }, status)
