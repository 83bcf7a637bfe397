import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Vault, vault } from '../src/gateways/vault.ts'
import { Secret } from '../src/kit/secret.ts'
import { ConfigError } from '../src/platform/config.ts'
import { type Sandbox, startSandbox } from '../src/sandbox/server.ts'
import { configuration } from '../src/start/configuration.ts'
import { Deployment } from './support/deployment.ts'

let sandbox: Sandbox
let ours: Vault
beforeAll(async () => {
  sandbox = await startSandbox()
  ours = vault({ url: sandbox.vaultUrl, token: new Secret('sandbox') })
})
afterAll(() => sandbox.stop())

const sys = (action: 'seal' | 'unseal') =>
  fetch(`${sandbox.vaultUrl}/v1/sys/${action}`, { method: 'PUT', headers: { 'x-vault-token': 'sandbox' } })

describe('With a vault', () => {
  let bursar: Deployment
  beforeAll(async () => {
    const env = {
      SANDBOX: 'false',
      VOICE_SERVICE_URL: sandbox.voiceUrl,
      VAULT_URL: sandbox.vaultUrl,
      VAULT_TOKEN: 'sandbox',
    }
    bursar = await Deployment.start({ env, backoff: () => 100 })
  })
  afterAll(() => bursar.stop())
  afterEach(() => sys('unseal'))

  const mirrored = () => bursar.statuses('token.mirror')

  test('every token has its record there', async () => {
    const token = await bursar.issue(45, ' vaulted_voice ')
    const { expires_at } = (await bursar.get(`/token/${token}/report`)).body
    await expect
      .poll(() => ours.read(`tokens/${token}`))
      .toEqual({
        budget: '45',
        voice_id: 'vaulted_voice',
        created_at: new Date(new Date(expires_at).getTime() - 3_600_000).toISOString(),
        expires_at,
      })
  })

  test('a refused request leaves none', async () => {
    await expect.poll(mirrored).toEqual({ succeeded: 1 })
    await bursar.do('POST', '/token', { budget: 45, voice_id: 'reject_voice' })
    await bursar.do('POST', '/token', { budget: 501, voice_id: 'vaulted_voice' })
    expect(await mirrored()).toEqual({ succeeded: 1 })
  })

  test('while it is away tokens are issued and spent as ever, and their records follow', async () => {
    await sys('seal')
    const token = await bursar.issue(45, 'waiting_voice')
    expect((await bursar.deduct(token, 5)).body.remaining).toBe(40)
    await expect.poll(() => bursar.logged.join('')).toContain('Vault gave no usable answer to a write (status 503')
    expect((await mirrored()).succeeded).toBe(1)

    await sys('unseal')
    await expect.poll(mirrored, { timeout: 5_000 }).toEqual({ succeeded: 2 })
    expect(await ours.read(`tokens/${token}`)).toMatchObject({ budget: '45', voice_id: 'waiting_voice' })
  })

  test('health tells whether it can be reached', async () => {
    const { body } = await bursar.get('/health')
    expect(body).toMatchObject({ status: 'healthy', dependencies: { vault: true } })
  })
})

describe('The configuration at start', () => {
  const environment = (set: Record<string, string>) => {
    for (const [name, value] of Object.entries({ NODE_ENV: 'test', ...set })) vi.stubEnv(name, value)
  }
  afterEach(() => vi.unstubAllEnvs())

  test('is the environment’s where there is no vault', async () => {
    environment({ ENCRYPTION_KEY: 'from the environment' })
    const config = await configuration()
    expect(config.encryption.current.reveal()).toBe('from the environment')
    expect(config.vault).toBeUndefined()
  })

  test('takes secrets and keys from the vault, which wins over the environment', async () => {
    await ours.write('bursar', {
      ENCRYPTION_KEY: 'from the vault',
      ENCRYPTION_KEY_PREVIOUS: 'the last one,the one before',
      STRIPE_SECRET_KEY: 'a gateway’s secret',
      SOMETHING_ELSE: 'is passed over',
    })
    environment({
      VAULT_URL: `${sandbox.vaultUrl}/`,
      VAULT_TOKEN: 'sandbox',
      ENCRYPTION_KEY: 'from the environment',
      JWT_SECRET_KEY: 'only in the environment',
    })
    const config = await configuration()
    expect(config.encryption.current.reveal()).toBe('from the vault')
    expect(config.encryption.previous.map((one) => one.reveal())).toEqual(['the last one', 'the one before'])
    expect(config.stripe.secretKey?.reveal()).toBe('a gateway’s secret')
    expect(config.jwt.secret.reveal()).toBe('only in the environment')
  })

  test('takes them by either of a variable’s names', async () => {
    await ours.write('bursar', { JWT_SECRET: 'from the vault' })
    environment({
      VAULT_URL: sandbox.vaultUrl,
      VAULT_TOKEN: 'sandbox',
      JWT_SECRET_KEY: 'from the environment',
    })
    expect((await configuration()).jwt.secret.reveal()).toBe('from the vault')
  })

  test('is the environment’s where the vault holds nothing for us', async () => {
    await ours.remove('bursar')
    environment({ VAULT_URL: sandbox.vaultUrl, VAULT_TOKEN: 'sandbox', ENCRYPTION_KEY: 'from the environment' })
    expect((await configuration()).encryption.current.reveal()).toBe('from the environment')
  })

  test('cannot be had from a vault that refuses us or is away: nobody starts with other keys by mistake', async () => {
    environment({ VAULT_URL: sandbox.vaultUrl, VAULT_TOKEN: 'a wrong token' })
    await expect(configuration()).rejects.toThrow('Vault gave no usable answer to a read (status 403')
    environment({ VAULT_URL: 'http://127.0.0.1:1', VAULT_TOKEN: 'sandbox' })
    await expect(configuration()).rejects.toThrow('Vault could not be reached')
  })

  test('says what is wrong with the vault’s own variables beside everything else', async () => {
    environment({ VAULT_URL: 'vault.company.com', VAULT_TOKEN: 'sandbox', PORT: 'eighty' })
    const error = await configuration().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ConfigError)
    expect(String(error)).toMatch(/VAULT_URL must be a URL/)
    expect(String(error)).toMatch(/PORT must be a whole number/)

    environment({ VAULT_URL: sandbox.vaultUrl, VAULT_TOKEN: '' })
    await expect(configuration()).rejects.toThrow('VAULT_URL and VAULT_TOKEN belong together')
  })
})
