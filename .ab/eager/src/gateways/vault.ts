import { z } from 'zod'
import { assert } from '../kit/assert.ts'
import { Fault } from '../kit/fault.ts'
import type { Secret } from '../kit/secret.ts'
import { type Answer, remote } from './http.ts'

/** HashiCorp Vault's KV v2. Paths are relative to the mount: `tokens/<id>`. Whatever goes wrong is a Fault. */
export interface Vault {
  /** The latest version, or undefined where there is none. Values that are not text come as their JSON. */
  read(path: string): Promise<Record<string, string> | undefined>
  /** Overwrites, so that writing the same again changes nothing that is read. */
  write(path: string, data: Record<string, unknown>): Promise<void>
  /** Removes every version. What is already gone is fine. */
  remove(path: string): Promise<void>
  /** A sealed or uninitialised Vault is not reachable; a standby is. Never throws. */
  reachable(): Promise<boolean>
}

/** Milliseconds. Vault answers from its own storage, so this is long already. */
const TIMEOUT_MS = 5_000

const Secrets = z.object({ data: z.object({ data: z.record(z.string(), z.unknown()) }) })

/**
 * How Vault says with a 404 that there is nothing, or (the latest version being deleted) nothing any more. Any other 404 comes
 * from a mount that does not exist, or from somebody who is not Vault.
 */
const Nothing = z.union([
  z.object({ errors: z.array(z.string()).length(0) }),
  z.object({ data: z.object({ data: z.null() }) }),
])

export function vault(options: { url: string; token: Secret; mount?: string; timeoutMs?: number }): Vault {
  const service = remote({
    name: 'Vault',
    url: options.url,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    headers: { 'x-vault-token': options.token.reveal() },
  })
  const mount = segments(options.mount ?? 'secret')

  return {
    async read(path) {
      const answer = await service.ask({ method: 'GET', path: `/v1/${mount}/data/${segments(path)}` })
      if (isNothing(answer)) return undefined
      const secrets = Secrets.safeParse(answer.body)
      if (!isSuccess(answer) || !secrets.success) throw unusable(answer, 'read')
      return texts(secrets.data.data.data)
    },

    async write(path, data) {
      const answer = await service.ask({ method: 'POST', path: `/v1/${mount}/data/${segments(path)}`, body: { data } })
      if (!isSuccess(answer)) throw unusable(answer, 'write')
    },

    async remove(path) {
      const answer = await service.ask({ method: 'DELETE', path: `/v1/${mount}/metadata/${segments(path)}` })
      if (!isSuccess(answer) && !isNothing(answer)) throw unusable(answer, 'remove')
    },

    reachable: () => service.reachable('/v1/sys/health'),
  }
}

/** A path that climbs out of its mount is never a caller's doing: ids are parsed long before they come here. */
function segments(path: string): string {
  const parts = path.split('/')
  assert(!parts.some((part) => part === '' || part === '.' || part === '..'), 'Not a path in Vault')
  return parts.map(encodeURIComponent).join('/')
}

const texts = (data: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  )

const isSuccess = ({ status }: Answer): boolean => status >= 200 && status < 300

const isNothing = ({ status, body }: Answer): boolean => status === 404 && Nothing.safeParse(body).success

/** What an operator should look at, by Vault's status. */
const HINTS: Record<number, string> = {
  403: ': its policy does not allow this to our token',
  404: ': there is no KV v2 engine at the configured mount',
  429: ': it is a standby or limits our rate',
  501: ': it is not initialised',
  503: ': it is sealed or under maintenance',
}

/** Names neither path nor data: a path may end in a token id, which is a credential. */
const unusable = ({ status }: Answer, action: string): Fault =>
  new Fault(`Vault gave no usable answer to a ${action} (status ${status}${HINTS[status] ?? ''})`)
