import type { Secret } from '../kit/secret.ts'
import { productionProblems } from './config/production.ts'
import { misspellings } from './config/spelling.ts'
import { aliases, knownNames, type Variables, variables } from './config/variables.ts'

export { describeConfig } from './config/describe.ts'

/** Everything that is wrong with the configuration, at once, in words that say what to do. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`The configuration is not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

/** How a process ends when its configuration is not usable (EX_CONFIG of sysexits.h). */
export const EXIT_CONFIG = 78

export interface Config {
  readonly mode: 'development' | 'test' | 'production'
  readonly host: string
  readonly port: number
  readonly dataDir: string
  /** Not set: PostgreSQL is started from its npm package, with its data in `dataDir`. */
  readonly databaseUrl: Secret | undefined
  /** Not set: the queue lives in PostgreSQL. */
  readonly redisUrl: Secret | undefined
  readonly migrateOnStart: boolean
  /** Local stand-ins for gateways and the voice service are started too. */
  readonly sandbox: boolean
  readonly jwt: {
    readonly secret: Secret
    readonly previousSecrets: readonly Secret[]
    readonly algorithm: 'HS256'
    /** Set: tokens are signed asymmetrically by one of these keys, and by nothing else. */
    readonly jwksUrl: string | undefined
    readonly audience: string | undefined
    readonly issuer: string | undefined
  }
  readonly encryption: { readonly current: Secret; readonly previous: readonly Secret[] }
  readonly board: { readonly username: string; readonly password: Secret }
  readonly vault: { readonly url: string; readonly token: Secret } | undefined
  readonly voice: { readonly url: string | undefined; readonly timeoutMs: number }
  readonly defaultWaitSeconds: number
  readonly intake: { readonly maxWaiting: number }
  /** Finished operations are forgotten after so many days; at least a day longer than idempotency keys are kept. */
  readonly operationRetentionDays: number
  readonly worker: { readonly ledgerConcurrency: number; readonly gatewayConcurrency: number }
  /** How many proxies in front of us are believed about the caller's address. */
  readonly trustProxy: number
  readonly rateLimits: {
    readonly tokensPerMinutePerAddress: number
    /** Not set: no general limit. */
    readonly perMinute: number | undefined
    /** On top of `perMinute`. */
    readonly burst: number
    readonly requests: number | undefined
    readonly windowMinutes: number
  }
  readonly logLevel: string
  /** Sealed audit events are appended there, by whichever worker has its turn: a file that all of them share. */
  readonly auditLogFile: string | undefined
  /** `observe`: suspicious requests are noted, and nobody is stopped. */
  readonly fraudRules: 'on' | 'observe'
  readonly metrics: {
    readonly enabled: boolean
    /** Not set: 9090 for processes without an API, whose metrics have no other door; none for those with one. */
    readonly port: number | undefined
  }
  readonly otlpEndpoint: string | undefined
  readonly stripe: {
    readonly secretKey: Secret | undefined
    readonly publishableKey: string | undefined
    readonly webhookSecret: Secret | undefined
    readonly apiBase: string | undefined
  }
  readonly razorpay: {
    readonly keyId: string | undefined
    readonly keySecret: Secret | undefined
    readonly webhookSecret: Secret | undefined
    /** The RazorpayX account that payouts are paid from; not set, there are no payouts by Razorpay. */
    readonly accountNumber: Secret | undefined
    readonly apiBase: string | undefined
  }
  readonly paystack: {
    readonly secretKey: Secret | undefined
    readonly publicKey: string | undefined
    readonly apiBase: string | undefined
  }
  /** A gateway that moves nothing, for tests; refused in production. */
  readonly mock: {
    readonly key: Secret | undefined
    readonly webhookSecret: Secret | undefined
    readonly apiBase: string | undefined
  }
  /** Of wallet requests that name none. */
  readonly walletCurrency: 'INR' | 'USD' | 'EUR' | 'NGN' | 'JPY' | 'KWD'
  readonly webhookAllowedIps: readonly string[]
  readonly invoices: {
    readonly currency: 'INR' | 'USD' | 'EUR' | 'NGN' | 'JPY' | 'KWD'
    /** Months and days begin at midnight there. */
    readonly timeZone: string
    /** The issuer's own: customers with a tax id elsewhere may account for their tax themselves. */
    readonly country: string | undefined
    readonly dueDays: number
    readonly prefix: string
    readonly autoSend: boolean
    /** Files of fonts for PDFs, where customers write with other letters than those of Western Europe. */
    readonly fonts: { readonly regular: string; readonly bold: string } | undefined
  }
  readonly company: {
    readonly name: string | undefined
    readonly address: string | undefined
    readonly email: string | undefined
    readonly phone: string | undefined
  }
  /** Not set: letters go to the sandbox, or are not written. They come from the company's own address. */
  readonly smtpUrl: Secret | undefined
  /** Under which customers reach us, without a slash at its end: links in letters begin with it. */
  readonly publicUrl: string
}

/** The configuration that these variables describe, or a ConfigError that lists everything wrong with them. */
export function readConfig(env: Record<string, string | undefined>): Config {
  const given = ours(env)
  const parsed = variables.safeParse(given)
  const problems = parsed.success
    ? []
    : parsed.error.issues.map((issue) => `${nameGiven(String(issue.path[0]), env)} ${issue.message}`)
  if (given.NODE_ENV?.toLowerCase() === 'production') problems.push(...productionProblems(given))
  for (const name of ['JWT_SECRET_KEY', 'ENCRYPTION_KEY'])
    if (given[name]?.includes(','))
      problems.push(`${name} must not contain a comma: commas separate the ones in ${name}_PREVIOUS`)
  if ((given.VAULT_URL === undefined) !== (given.VAULT_TOKEN === undefined))
    problems.push('VAULT_URL and VAULT_TOKEN belong together: set both, or neither')
  if (given.SMTP_URL !== undefined && given.COMPANY_EMAIL === undefined)
    problems.push('COMPANY_EMAIL is required with SMTP_URL: letters come from it, and answers go to it')
  if (parsed.success && problems.length === 0) return arranged(parsed.data)
  throw new ConfigError([...problems, ...misspellings(env)])
}

/** Our variables under their own names. An empty one counts as not set, as compose files pass unset ones on as empty. */
function ours(env: Record<string, string | undefined>): Record<string, string> {
  const set = Object.entries(env).flatMap(([name, value]) => {
    const trimmed = value?.trim() ?? ''
    return knownNames.has(name) && trimmed !== '' ? [[name, trimmed] as const] : []
  })
  const given: Record<string, string> = Object.fromEntries(set)
  for (const [name, alias] of Object.entries(aliases)) {
    const value = given[name] ?? given[alias]
    if (value !== undefined) given[name] = value
  }
  return given
}

/** The name that its owner wrote, so that they find it again. */
function nameGiven(name: string, env: Record<string, string | undefined>): string {
  const alias = aliases[name]
  return alias !== undefined && (env[name] ?? '').trim() === '' ? alias : name
}

function arranged(set: Variables): Config {
  const mode = set.NODE_ENV
  return {
    mode,
    host: set.HOST,
    port: set.PORT,
    dataDir: set.DATA_DIR,
    databaseUrl: set.DATABASE_URL,
    redisUrl: set.REDIS_URL,
    migrateOnStart: set.MIGRATE_ON_START ?? mode !== 'production',
    sandbox: set.SANDBOX ?? (mode === 'development' && set.VOICE_SERVICE_URL === undefined),
    jwt: {
      secret: set.JWT_SECRET_KEY,
      previousSecrets: set.JWT_SECRET_KEY_PREVIOUS,
      algorithm: set.JWT_ALGORITHM,
      jwksUrl: set.JWT_JWKS_URL,
      audience: set.JWT_AUDIENCE,
      issuer: set.JWT_ISSUER,
    },
    encryption: { current: set.ENCRYPTION_KEY, previous: set.ENCRYPTION_KEY_PREVIOUS },
    board: { username: set.BOARD_USERNAME, password: set.BOARD_PASSWORD },
    vault:
      set.VAULT_URL !== undefined && set.VAULT_TOKEN !== undefined
        ? { url: set.VAULT_URL, token: set.VAULT_TOKEN }
        : undefined,
    voice: { url: set.VOICE_SERVICE_URL, timeoutMs: set.VOICE_TIMEOUT_MS },
    defaultWaitSeconds: set.DEFAULT_WAIT_SECONDS,
    intake: { maxWaiting: set.INTAKE_MAX_WAITING },
    operationRetentionDays: set.OPERATION_RETENTION_DAYS,
    worker: { ledgerConcurrency: set.WORKER_LEDGER_CONCURRENCY, gatewayConcurrency: set.WORKER_GATEWAY_CONCURRENCY },
    trustProxy: set.TRUST_PROXY,
    rateLimits: {
      tokensPerMinutePerAddress: set.TOKEN_REQUESTS_PER_MINUTE,
      perMinute: set.RATE_LIMIT_REQUESTS_PER_MINUTE,
      burst: set.RATE_LIMIT_BURST,
      requests: set.RATE_LIMIT_REQUESTS,
      windowMinutes: set.RATE_LIMIT_WINDOW_MINUTES,
    },
    logLevel: set.LOG_LEVEL,
    auditLogFile: set.AUDIT_LOG_FILE,
    fraudRules: set.FRAUD_RULES,
    metrics: { enabled: set.PROMETHEUS_ENABLED, port: set.METRICS_PORT },
    otlpEndpoint: set.OTEL_EXPORTER_OTLP_ENDPOINT,
    stripe: {
      secretKey: set.STRIPE_SECRET_KEY,
      publishableKey: set.STRIPE_PUBLISHABLE_KEY,
      webhookSecret: set.STRIPE_WEBHOOK_SECRET,
      apiBase: set.STRIPE_API_BASE,
    },
    razorpay: {
      keyId: set.RAZORPAY_KEY_ID,
      keySecret: set.RAZORPAY_KEY_SECRET,
      webhookSecret: set.RAZORPAY_WEBHOOK_SECRET,
      accountNumber: set.RAZORPAY_ACCOUNT_NUMBER,
      apiBase: set.RAZORPAY_API_BASE,
    },
    paystack: {
      secretKey: set.PAYSTACK_SECRET_KEY,
      publicKey: set.PAYSTACK_PUBLIC_KEY,
      apiBase: set.PAYSTACK_API_BASE,
    },
    mock: { key: set.MOCK_API_KEY, webhookSecret: set.MOCK_WEBHOOK_SECRET, apiBase: set.MOCK_API_BASE },
    walletCurrency: set.WALLET_CURRENCY,
    webhookAllowedIps: set.WEBHOOK_ALLOWED_IPS,
    invoices: {
      currency: set.DEFAULT_CURRENCY,
      timeZone: set.ISSUER_TIME_ZONE,
      country: set.ISSUER_COUNTRY,
      dueDays: set.INVOICE_DUE_DAYS,
      prefix: set.INVOICE_PREFIX,
      autoSend: set.AUTO_SEND_INVOICES,
      fonts:
        set.INVOICE_FONT === undefined
          ? undefined
          : { regular: set.INVOICE_FONT, bold: set.INVOICE_FONT_BOLD ?? set.INVOICE_FONT },
    },
    company: {
      name: set.COMPANY_NAME,
      address: set.COMPANY_ADDRESS,
      email: set.COMPANY_EMAIL,
      phone: set.COMPANY_PHONE,
    },
    smtpUrl: set.SMTP_URL,
    publicUrl: set.PUBLIC_URL ?? `http://${set.HOST === '0.0.0.0' ? '127.0.0.1' : set.HOST}:${set.PORT}`,
  }
}
