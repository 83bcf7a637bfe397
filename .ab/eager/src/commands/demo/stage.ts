import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { SignJWT } from 'jose'
import type { Sql } from '../../kit/sql.ts'
import { type Config, readConfig } from '../../platform/config.ts'
import { openPool, sqlOf } from '../../platform/database.ts'
import { makeLog } from '../../platform/log.ts'
import { openDoor } from '../../start/door.ts'
import { layFoundation } from '../../start/foundation.ts'
import { startScheduler } from '../../start/scheduler.ts'
import { startWorkers } from '../../start/worker.ts'

/** An answer's body: the demo looks into whatever the contract says that there is. */
export type Body = Readonly<Record<string, unknown>>

export interface Stage {
  readonly config: Config
  readonly url: string
  readonly databaseUrl: string
  readonly sql: Sql
  /** One request to Bursar, waited for; `as` is the caller's role. */
  ask(
    method: string,
    path: string,
    body?: unknown,
    as?: 'service' | 'operator',
  ): Promise<{ status: number; body: Body }>
  /** One request to a gateway's stand-in: what a customer's browser or a bank would do there. */
  play(gateway: 'stripe' | 'razorpay', method: string, path: string, body: unknown): Promise<Body>
  close(): Promise<void>
}

/** Names of variables that the demo shares with a deployment; gateways' keys are not among them, so that no real one is asked. */
const SHARED = ['NODE_ENV', 'DATABASE_URL', 'ENCRYPTION_KEY', 'ENCRYPTION_PASSWORD', 'ENCRYPTION_KEY_PREVIOUS'] as const

/** A whole Bursar of its own in this process: API, worker and scheduler, on a free port, with stand-ins for everybody else. */
export async function openStage(env: Readonly<Record<string, string | undefined>>): Promise<Stage> {
  const home = mkdtempSync(join(tmpdir(), 'bursar-demo-'))
  // As root, PostgreSQL's own user must reach what is inside.
  chmodSync(home, 0o755)
  const closers: (() => Promise<unknown> | unknown)[] = [() => rmSync(home, { recursive: true, force: true })]
  const close = async () => {
    for (const one of closers.toReversed()) await one()
    closers.length = 0
  }
  try {
    const config = readConfig({
      ...Object.fromEntries(SHARED.map((name) => [name, env[name]])),
      PORT: '0',
      DATA_DIR: home,
      SANDBOX: 'true',
      DEFAULT_WAIT_SECONDS: '30',
      FRAUD_RULES: 'observe',
    })
    const foundation = await layFoundation(config, { log: makeLog({ level: 'silent' }) })
    closers.push(() => foundation.close())
    const workers = await startWorkers(foundation)
    closers.push(() => workers.stop())
    const scheduler = startScheduler(foundation)
    closers.push(() => scheduler.stop())
    const door = await openDoor(foundation)
    closers.push(() => door.stop())
    foundation.sandbox?.sendWebhooksTo(`${door.url}/webhooks`)
    const pool = openPool({ url: foundation.databaseUrl, name: 'bursar demo', max: 2, readOnly: true })
    closers.push(() => pool.end())

    const jwt = (role: string) =>
      new SignJWT({ roles: [role] })
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject('demo')
        .setExpirationTime('10m')
        .sign(new TextEncoder().encode(config.jwt.secret.reveal()))
    const tokens = { service: await jwt('service'), operator: await jwt('operator') }

    return {
      config,
      url: door.url,
      databaseUrl: foundation.databaseUrl,
      sql: sqlOf(pool),
      ask: (method, path, body, as = 'service') =>
        send(door.url + path, method, body, { authorization: `Bearer ${tokens[as]}` }),
      async play(gateway, method, path, body) {
        const answer = await send(`${foundation.sandbox?.gateways[gateway].apiBase}${path}`, method, body)
        if (answer.status >= 400) throw new Error(`${gateway} ${path}: ${JSON.stringify(answer.body)}`)
        return answer.body
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function send(url: string, method: string, body: unknown, headers: Record<string, string> = {}) {
  const answer = await fetch(url, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: answer.status, body: (await answer.json()) as Body }
}

/** Longer than any step takes; beyond it the demo has found something that does not work. */
const PATIENCE_MS = 15_000

/** Asks again until it is so. */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`In vain waited for: ${what}`)
    await pause(50)
  }
}
