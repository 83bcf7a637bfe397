import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { decodeJwt, jwtVerify } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConfigError, describeConfig, readConfig } from '../src/platform/config.ts'

const production = {
  NODE_ENV: 'production',
  DATABASE_URL: 'postgresql://bursar:db-pass@db.internal:5432/bursar',
  JWT_SECRET_KEY: 'j'.repeat(32),
  ENCRYPTION_KEY: 'e'.repeat(32),
  BOARD_PASSWORD: 'b'.repeat(12),
  VOICE_SERVICE_URL: 'https://voice.example.com/',
}

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

describe('with nothing set', () => {
  test('everything has a value that suits one machine, and the sandbox stands in for the world', () => {
    expect(readConfig({})).toMatchObject({
      mode: 'development',
      host: '127.0.0.1',
      port: 8001,
      dataDir: '.data',
      databaseUrl: undefined,
      redisUrl: undefined,
      sandbox: true,
      migrateOnStart: true,
      trustProxy: 0,
      defaultWaitSeconds: 0,
      voice: { url: undefined, timeoutMs: 10_000 },
      metrics: { enabled: true, port: undefined },
      rateLimits: { tokensPerMinutePerAddress: 10, perMinute: undefined, burst: 20 },
      intake: { maxWaiting: 10_000 },
      worker: { ledgerConcurrency: 16, gatewayConcurrency: 32 },
    })
  })

  test('the development secrets are the same on every start', () => {
    const [first, second] = [readConfig({}), readConfig({})]
    expect(first.jwt.secret.reveal()).toBe(second.jwt.secret.reveal())
    expect(first.board.username).toBe('operator')
    expect(first.board.password.reveal()).toBe('bursar-dev')
  })

  test('a voice service of one’s own leaves the sandbox off', () => {
    expect(readConfig({ VOICE_SERVICE_URL: 'http://127.0.0.1:9000' }).sandbox).toBe(false)
    expect(readConfig({ VOICE_SERVICE_URL: 'http://127.0.0.1:9000', SANDBOX: 'true' }).sandbox).toBe(true)
  })
})

describe('what is set', () => {
  test('counts under its other names, and its own name wins', () => {
    const aliased = readConfig({ PAYMENT_MANAGER_PORT: '9001', JWT_SECRET: 'a', ENCRYPTION_PASSWORD: 'b' })
    expect([aliased.port, aliased.jwt.secret.reveal(), aliased.encryption.current.reveal()]).toEqual([9001, 'a', 'b'])
    expect(readConfig({ PORT: '9002', PAYMENT_MANAGER_PORT: '9001' }).port).toBe(9002)
  })

  test('counts as not set when it is empty', () => {
    expect(readConfig({ PORT: '', REDIS_URL: ' ', PAYMENT_MANAGER_PORT: '9001' })).toMatchObject({
      port: 9001,
      redisUrl: undefined,
    })
  })

  test('is read in the ways that people write it', () => {
    const config = readConfig({
      LOG_LEVEL: 'WARNING',
      AUTO_SEND_INVOICES: 'No',
      DEFAULT_CURRENCY: 'usd',
      WEBHOOK_ALLOWED_IPS: '10.0.0.1, 10.0.0.2',
      JWT_SECRET_KEY_PREVIOUS: 'old, older,',
      VOICE_SERVICE_URL: 'https://voice.example.com/v1/',
    })
    expect(config.logLevel).toBe('warn')
    expect(config.invoices).toMatchObject({ autoSend: false, currency: 'USD' })
    expect(config.webhookAllowedIps).toEqual(['10.0.0.1', '10.0.0.2'])
    expect(config.jwt.previousSecrets.map((secret) => secret.reveal())).toEqual(['old', 'older'])
    expect(config.voice.url).toBe('https://voice.example.com/v1')
  })

  test('and wrong is listed all at once, under the name that its owner wrote', () => {
    const problems = problemsOf({
      NODE_ENV: 'prod',
      PAYMENT_MANAGER_PORT: 'abc',
      DEFAULT_WAIT_SECONDS: '31',
      DATABASE_URL: 'mysql://root:hunter2@db',
      REDIS_URL: 'localhost:6379',
      PROMETHEUS_ENABLED: 'maybe',
      JWT_ALGORITHM: 'none',
      VAULT_URL: 'https://vault.example.com',
    })
    expect(problems).toEqual([
      'NODE_ENV must be one of development, test, production, not «prod»',
      'PAYMENT_MANAGER_PORT must be a whole number from 0 to 65535, not «abc»',
      'DATABASE_URL must be a URL that begins with postgresql:// or postgres://',
      'REDIS_URL must be a URL that begins with redis:// or rediss://',
      'JWT_ALGORITHM must be HS256; for any other algorithm set JWT_JWKS_URL and leave this out, not «none»',
      'DEFAULT_WAIT_SECONDS must be a whole number from 0 to 30, not «31»',
      'PROMETHEUS_ENABLED must be true or false, not «maybe»',
      'VAULT_URL and VAULT_TOKEN belong together: set both, or neither',
    ])
  })

  test.each(['1e3', '-1', '8001.5', '0x1f', '99999'])('is no port when it is %s', (port) => {
    expect(problemsOf({ PORT: port })).toHaveLength(1)
  })
})

describe('in production', () => {
  test('a complete configuration is accepted', () => {
    expect(readConfig(production)).toMatchObject({ mode: 'production', sandbox: false, migrateOnStart: false })
  })

  test('everything that is missing is named at once', () => {
    expect(problemsOf({ NODE_ENV: 'production' }).map((problem) => problem.split(' ')[0])).toEqual([
      'DATABASE_URL',
      'VOICE_SERVICE_URL',
      'JWT_SECRET_KEY',
      'ENCRYPTION_KEY',
      'BOARD_PASSWORD',
    ])
  })

  test('the sandbox is refused', () => {
    expect(problemsOf({ ...production, SANDBOX: 'true' })).toEqual([expect.stringContaining('SANDBOX is refused')])
  })

  test.each(['JWT_SECRET_KEY', 'ENCRYPTION_KEY', 'BOARD_PASSWORD'] as const)(
    'the development default of %s is refused, in words that do not repeat it',
    (name) => {
      const defaults = readConfig({})
      const known = {
        JWT_SECRET_KEY: defaults.jwt.secret,
        ENCRYPTION_KEY: defaults.encryption.current,
        BOARD_PASSWORD: defaults.board.password,
      }[name].reveal()
      expect(problemsOf({ ...production, [name]: known })).toEqual([
        expect.stringContaining(`${name} is a development`),
      ])
      expect(problemsOf({ ...production, [name]: known }).join()).not.toContain(known)
    },
  )

  test('short secrets are refused, old ones that still open the door among them', () => {
    const problems = problemsOf({
      ...production,
      JWT_SECRET_KEY: 'j'.repeat(31),
      BOARD_PASSWORD: 'b'.repeat(11),
      JWT_SECRET_KEY_PREVIOUS: `${'o'.repeat(32)},${readConfig({}).jwt.secret.reveal()}`,
    })
    expect(problems.map((problem) => problem.split(' ').slice(0, 3).join(' '))).toEqual([
      'JWT_SECRET_KEY must have',
      'JWT_SECRET_KEY_PREVIOUS is a',
      'BOARD_PASSWORD must have',
    ])
  })

  test('a secret under its other name is held to the same', () => {
    const { JWT_SECRET_KEY: _, ...rest } = production
    expect(problemsOf({ ...rest, JWT_SECRET: 'short' })).toHaveLength(1)
    expect(problemsOf({ ...rest, JWT_SECRET: 's'.repeat(32) })).toEqual([])
  })

  test('a misspelt variable is pointed out beside the one that is missing', () => {
    const { DATABASE_URL, ...rest } = production
    expect(problemsOf({ ...rest, DATABSE_URL: DATABASE_URL })).toEqual([
      expect.stringContaining('DATABASE_URL is required'),
      'DATABSE_URL is not a variable of ours: did you mean DATABASE_URL?',
    ])
  })
})

describe('shown to people', () => {
  const env = {
    ...production,
    REDIS_URL: 'rediss://:redis-pass@cache:6379/4?password=query-pass',
    STRIPE_SECRET_KEY: 'sk_live_1',
    VOICE_SERVICE_URL: 'https://voice-user:voice-pass@voice.example.com',
    JWT_SECRET_KEY_PREVIOUS: `${'p'.repeat(32)},${'q'.repeat(32)}`,
  }

  test('no secret and no credential of a URL appears', () => {
    const shown = describeConfig(readConfig(env))
    const hidden = ['db-pass', 'redis-pass', 'query-pass', 'voice-pass', 'voice-user', 'sk_live_1']
    for (const secret of [...hidden, 'jjjj', 'eeee', 'bbbb', 'pppp', 'qqqq']) expect(shown).not.toContain(secret)
    expect(shown).toMatch(/^databaseUrl +postgresql:\/\/db.internal:5432\/bursar$/m)
    expect(shown).toMatch(/^redisUrl +rediss:\/\/cache:6379\/4$/m)
    expect(shown).toMatch(/^jwt\.previousSecrets +<redacted>, <redacted>$/m)
    expect(shown).toMatch(/^razorpay\.keyId +not set$/m)
  })

  test('development defaults are called that', () => {
    expect(describeConfig(readConfig({}))).toMatch(/^jwt\.secret +<redacted> \(development default\)$/m)
  })

  test('printing the object itself gives no secret away', () => {
    const config = readConfig(env)
    for (const printed of [JSON.stringify(config), inspect(config, { depth: null })])
      for (const secret of ['db-pass', 'redis-pass', 'sk_live_1', 'jjjj']) expect(printed).not.toContain(secret)
  })
})

describe('from the command line', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'bursar-config-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  function run(command: 'config' | 'jwt', args: string[], env: Record<string, string> = {}) {
    const file = fileURLToPath(new URL(`../src/commands/${command}.ts`, import.meta.url))
    return spawnSync(process.execPath, [file, ...args], { cwd: folder, env, encoding: 'utf8' })
  }

  test('the configuration is printed; the environment wins over the .env file', () => {
    writeFileSync(join(folder, '.env'), 'PORT=9001\nHOST=0.0.0.0\n')
    const { status, stdout } = run('config', [], { PORT: '9002' })
    expect(status).toBe(0)
    expect(stdout).toMatch(/^port +9002$/m)
    expect(stdout).toMatch(/^host +0\.0\.0\.0$/m)
  })

  test('a wrong configuration lists its problems and ends with code 78', () => {
    const { status, stdout, stderr } = run('config', [], { PORT: 'x', TRUST_PROXY: 'y' })
    expect([status, stdout]).toEqual([78, ''])
    expect(stderr).toContain('PORT must be')
    expect(stderr).toContain('TRUST_PROXY must be')
  })

  test('a development token names its user, roles, audience and issuer', async () => {
    const env = { JWT_SECRET_KEY: 'k'.repeat(32), JWT_AUDIENCE: 'bursar', JWT_ISSUER: 'me' }
    const { stdout } = run('jwt', ['--sub', 'user_1', '--roles', 'admin,operator', '--expires-in', '2h'], env)
    const { payload } = await jwtVerify(stdout.trim(), new TextEncoder().encode('k'.repeat(32)))
    expect(payload).toMatchObject({ sub: 'user_1', roles: ['admin', 'operator'], aud: 'bursar', iss: 'me' })
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(7200)
  })

  test('production gets a token only by force', () => {
    const refused = run('jwt', ['--sub', 'user_1'], production)
    expect([refused.status, refused.stdout]).toEqual([64, ''])
    expect(refused.stderr).toContain('--force')
    expect(decodeJwt(run('jwt', ['--sub', 'user_1', '--force'], production).stdout.trim()).sub).toBe('user_1')
  })

  test.each([
    [['--roles', 'admin'], '--sub'],
    [['--sub', 'u', '--roles', 'king'], 'no role king'],
    [['--sub', 'u', '--expires-in', 'soon'], '--expires-in'],
    [['--sub', 'u', '--nonsense'], 'Usage'],
  ])('a token asked for with %j is refused with a reason', (args, reason) => {
    const { status, stderr } = run('jwt', args)
    expect(status).toBe(64)
    expect(stderr).toContain(reason)
  })
})
