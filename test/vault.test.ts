import { randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Vault, vault } from '../src/gateways/vault.ts'
import { Bug } from '../src/kit/assert.ts'
import { Fault } from '../src/kit/fault.ts'
import { Secret } from '../src/kit/secret.ts'
import { type Sandbox, startSandbox } from '../src/sandbox/server.ts'
import { vaultSandbox } from '../src/sandbox/vault.ts'

let sandbox: Sandbox
let ours: Vault
const path = () => `tokens/${randomUUID()}`

beforeAll(async () => {
  sandbox = await startSandbox()
  ours = vault({ url: sandbox.vaultUrl, token: new Secret('sandbox'), timeoutMs: 2_000 })
})
afterEach(async () => {
  await raw('PUT', 'sys/unseal')
})
afterAll(() => sandbox.stop())

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    (value) => expect.unreachable(`Expected a fault, got ${inspect(value)}`),
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(Fault)
  return error as Fault
}

/** Asks the stand-in itself, as Vault's own clients do. */
async function raw(method: string, url: string, options: { body?: unknown; token?: string } = {}) {
  const response = await fetch(`${sandbox.vaultUrl}/v1/${url}`, {
    method,
    headers: { 'x-vault-token': options.token ?? 'sandbox' },
    body: options.body === undefined ? undefined : JSON.stringify(options.body),
  })
  const text = await response.text()
  const body: unknown = text === '' ? undefined : JSON.parse(text)
  return { status: response.status, body }
}

describe('secrets kept in Vault', () => {
  test('what is written is read', async () => {
    const token = path()
    await ours.write(token, { encryption_key: 'a long passphrase', note: '' })
    expect(await ours.read(token)).toEqual({ encryption_key: 'a long passphrase', note: '' })
  })

  test('a number or a list is read as its JSON', async () => {
    const token = path()
    await ours.write(token, { budget: 100, tags: ['a'], gone: null })
    expect(await ours.read(token)).toEqual({ budget: '100', tags: '["a"]', gone: 'null' })
  })

  test('writing replaces the whole, and writing the same again changes nothing', async () => {
    const token = path()
    await ours.write(token, { budget: '1', voice: 'sealed' })
    await ours.write(token, { budget: '2' })
    await ours.write(token, { budget: '2' })
    expect(await ours.read(token)).toEqual({ budget: '2' })
  })

  test('what was never written or was removed is not there, and removing it again is fine', async () => {
    const token = path()
    expect(await ours.read(token)).toBeUndefined()
    await ours.write(token, { budget: '1' })
    await ours.remove(token)
    await ours.remove(token)
    expect(await ours.read(token)).toBeUndefined()
  })

  test('a name may hold any letters, but never climbs out of its mount', async () => {
    await ours.write('tokens/ü %2F?#', { a: 'b' })
    expect(await ours.read('tokens/ü %2F?#')).toEqual({ a: 'b' })
    for (const bad of ['', '/tokens', 'tokens/', 'tokens/../../sys/seal', 'tokens//x', '.'])
      await expect(ours.write(bad, {})).rejects.toBeInstanceOf(Bug)
  })
})

describe('a Vault that refuses', () => {
  const nothingLeaks = (fault: Fault) =>
    expect(inspect(fault, { depth: 10 })).not.toMatch(/wrong-token|hush|550e8400|s3cret/)
  const token = 'tokens/550e8400-e29b-41d4-a716-446655440000'

  async function faultsOf(other: Vault): Promise<string[]> {
    const faults = [
      await faultOf(other.read(token)),
      await faultOf(other.write(token, { hush: 'hush' })),
      await faultOf(other.remove(token)),
    ]
    for (const fault of faults) nothingLeaks(fault)
    return faults.map(({ message }) => message)
  }

  test('a token that is not allowed is a fault that says where to look', async () => {
    for (const message of await faultsOf(vault({ url: sandbox.vaultUrl, token: new Secret('wrong-token') })))
      expect(message).toMatch(/status 403: its policy does not allow this/)
  })

  test('a mount that does not exist is a fault, not an absent secret', async () => {
    for (const message of await faultsOf(
      vault({ url: sandbox.vaultUrl, token: new Secret('sandbox'), mount: 'sekret' }),
    ))
      expect(message).toMatch(/status 404: there is no KV v2 engine/)
  })

  test('a sealed Vault is a fault and not reachable until it is unsealed', async () => {
    expect(await ours.reachable()).toBe(true)
    await raw('PUT', 'sys/seal')
    for (const message of await faultsOf(ours)) expect(message).toMatch(/status 503: it is sealed/)
    expect(await ours.reachable()).toBe(false)
    await raw('PUT', 'sys/unseal')
    expect(await ours.reachable()).toBe(true)
  })

  test('somebody who is not Vault is a fault: no secret is taken for absent', async () => {
    for (const url of [sandbox.voiceUrl, new URL(sandbox.voiceUrl).origin])
      for (const message of await faultsOf(vault({ url, token: new Secret('sandbox') })))
        expect(message).toMatch(/no usable answer/)
  })

  test('a Vault that is not there is a fault without the credentials of its URL', async () => {
    const gone = await startSandbox()
    await gone.stop()
    const url = gone.vaultUrl.replace('http://', 'http://bursar:s3cret@')
    const absent = vault({ url, token: new Secret('wrong-token') })
    for (const message of await faultsOf(absent)) expect(message).toBe('Vault could not be reached (ECONNREFUSED)')
    expect(await absent.reachable()).toBe(false)
  })

  test('printing the client shows no token', () => {
    expect(inspect(vault({ url: sandbox.vaultUrl, token: new Secret('wrong-token') }), { depth: 10 })).not.toContain(
      'wrong-token',
    )
  })
})

describe('the stand-in answers as Vault does', () => {
  test('with its envelope, counting versions', async () => {
    const url = `secret/data/${path()}`
    expect(await raw('POST', url, { body: { data: { a: '1' } } })).toMatchObject({
      status: 200,
      body: { lease_id: '', renewable: false, data: { version: 1, destroyed: false, deletion_time: '' } },
    })
    await raw('PUT', url, { body: { data: { a: '2' } } })
    expect(await raw('GET', url)).toMatchObject({
      status: 200,
      body: {
        data: { data: { a: '2' }, metadata: { version: 2, created_time: expect.stringMatching(/^\d{4}-.*Z$/) } },
      },
    })
    expect(await raw('GET', `${url}?version=1`)).toMatchObject({ body: { data: { data: { a: '1' } } } })
  })

  test('refusing a write whose check-and-set is not of the current version', async () => {
    const url = `secret/data/${path()}`
    const write = (cas: number) => raw('POST', url, { body: { data: { cas }, options: { cas } } })
    const mismatch = {
      status: 400,
      body: { errors: ['check-and-set parameter did not match the current version'] },
    }
    expect(await write(1)).toEqual(mismatch)
    expect((await write(0)).status).toBe(200)
    expect(await write(0)).toEqual(mismatch)
    expect((await write(1)).status).toBe(200)
    expect(await raw('GET', url)).toMatchObject({ body: { data: { data: { cas: 1 }, metadata: { version: 2 } } } })
  })

  test('refusing what it cannot do', async () => {
    const url = `secret/data/${path()}`
    expect(await raw('GET', url)).toEqual({ status: 404, body: { errors: [] } })
    expect(await raw('GET', url, { token: '' })).toEqual({ status: 403, body: { errors: ['permission denied'] } })
    expect(await raw('POST', url, { body: {} })).toEqual({ status: 400, body: { errors: ['no data provided'] } })
    expect((await raw('PATCH', url, { body: {} })).status).toBe(405)
    expect((await raw('POST', url, { body: { data: { big: 'x'.repeat(1_100_000) } } })).status).toBe(413)
  })

  test('keeping ten versions of a secret, and ten thousand secrets', async () => {
    const standIn = vaultSandbox()
    const headers = { 'x-vault-token': 'sandbox' }
    const write = (name: string) =>
      standIn.request(`/v1/secret/data/${name}`, { method: 'POST', headers, body: '{"data":{}}' })
    const statusOf = async (name: string) => (await standIn.request(`/v1/secret/data/${name}`, { headers })).status

    for (let version = 1; version <= 11; version += 1) await write('first')
    expect([await statusOf('first?version=1'), await statusOf('first?version=2')]).toEqual([404, 200])
    for (let secret = 1; secret < 10_000; secret += 1) await write(`secret_${secret}`)
    expect(await statusOf('first')).toBe(200)
    await write('one_too_many')
    expect([await statusOf('first'), await statusOf('secret_1')]).toEqual([404, 200])
  })

  test('starting over once a secret was removed, and telling its health to anybody', async () => {
    const name = path()
    await raw('POST', `secret/data/${name}`, { body: { data: {} } })
    expect((await raw('DELETE', `secret/metadata/${name}`)).status).toBe(204)
    expect(await raw('POST', `secret/data/${name}`, { body: { data: {} } })).toMatchObject({
      body: { data: { version: 1 } },
    })
    expect(await raw('GET', 'sys/health', { token: '' })).toMatchObject({
      status: 200,
      body: { initialized: true, sealed: false, standby: false },
    })
  })
})
