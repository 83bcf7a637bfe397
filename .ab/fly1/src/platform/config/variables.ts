import { z } from 'zod'
import {
  country,
  currency,
  flag,
  httpUrl,
  integer,
  jwtAlgorithm,
  list,
  logLevel,
  oneOf,
  secret,
  secrets,
  secretUrl,
  text,
  timeZone,
} from './parse.ts'
import { redisUrl } from './redis-url.ts'

/** Obviously not for production, where they are refused; fixed, so that a developer's tokens survive a restart. */
export const developmentSecrets = {
  JWT_SECRET_KEY: 'bursar-development-jwt-secret-not-for-production',
  ENCRYPTION_KEY: 'bursar-development-encryption-key-not-for-production',
  BOARD_PASSWORD: 'bursar-dev',
} as const

/** Other names under which a variable is accepted; its own name wins where both are set. */
export const aliases: Record<string, string> = {
  PORT: 'PAYMENT_MANAGER_PORT',
  JWT_SECRET_KEY: 'JWT_SECRET',
  ENCRYPTION_KEY: 'ENCRYPTION_PASSWORD',
}

/** Room for any sensible figure, but not for a typing error of many digits. */
const MANY = 1_000_000

const port = integer(0, 65_535)

/** Every variable that Bursar reads, how it is read, and what holds when it is not set. */
export const variables = z.object({
  NODE_ENV: oneOf('development', 'test', 'production').default('development'),
  HOST: text.default('127.0.0.1'),
  PORT: port.default(8001),
  DATA_DIR: text.default('.data'),
  DATABASE_URL: secretUrl('postgresql', 'postgres').optional(),
  REDIS_URL: redisUrl.optional(),
  MIGRATE_ON_START: flag.optional(),
  SANDBOX: flag.optional(),

  JWT_SECRET_KEY: secret.prefault(developmentSecrets.JWT_SECRET_KEY),
  JWT_SECRET_KEY_PREVIOUS: secrets.default([]),
  JWT_ALGORITHM: jwtAlgorithm.default('HS256'),
  JWT_JWKS_URL: httpUrl.optional(),
  JWT_AUDIENCE: text.optional(),
  JWT_ISSUER: text.optional(),
  ENCRYPTION_KEY: secret.prefault(developmentSecrets.ENCRYPTION_KEY),
  ENCRYPTION_KEY_PREVIOUS: secrets.default([]),
  BOARD_USERNAME: text.default('operator'),
  BOARD_PASSWORD: secret.prefault(developmentSecrets.BOARD_PASSWORD),
  VAULT_URL: httpUrl.optional(),
  VAULT_TOKEN: secret.optional(),

  VOICE_SERVICE_URL: httpUrl.optional(),
  VOICE_TIMEOUT_MS: integer(1, 60_000).default(10_000),

  DEFAULT_WAIT_SECONDS: integer(0, 30).default(0),
  INTAKE_MAX_WAITING: integer(1, MANY).default(10_000),
  OPERATION_RETENTION_DAYS: integer(32, 36_500).default(400),
  WORKER_LEDGER_CONCURRENCY: integer(1, 256).default(16),
  WORKER_GATEWAY_CONCURRENCY: integer(1, 1024).default(32),
  TRUST_PROXY: integer(0, 10).default(0),
  TOKEN_REQUESTS_PER_MINUTE: integer(1, MANY).default(10),
  RATE_LIMIT_REQUESTS_PER_MINUTE: integer(1, MANY).optional(),
  RATE_LIMIT_BURST: integer(0, MANY).default(20),
  RATE_LIMIT_REQUESTS: integer(1, MANY).optional(),
  RATE_LIMIT_WINDOW_MINUTES: integer(1, 24 * 60).default(15),

  LOG_LEVEL: logLevel.default('info'),
  AUDIT_LOG_FILE: text.optional(),
  FRAUD_RULES: oneOf('on', 'observe').default('on'),
  PROMETHEUS_ENABLED: flag.default(true),
  METRICS_PORT: port.optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl.optional(),

  STRIPE_SECRET_KEY: secret.optional(),
  STRIPE_PUBLISHABLE_KEY: text.optional(),
  STRIPE_WEBHOOK_SECRET: secret.optional(),
  STRIPE_API_BASE: httpUrl.optional(),
  RAZORPAY_KEY_ID: text.optional(),
  RAZORPAY_KEY_SECRET: secret.optional(),
  RAZORPAY_WEBHOOK_SECRET: secret.optional(),
  RAZORPAY_ACCOUNT_NUMBER: secret.optional(),
  RAZORPAY_API_BASE: httpUrl.optional(),
  PAYSTACK_SECRET_KEY: secret.optional(),
  PAYSTACK_PUBLIC_KEY: text.optional(),
  PAYSTACK_API_BASE: httpUrl.optional(),
  MOCK_API_KEY: secret.optional(),
  MOCK_WEBHOOK_SECRET: secret.optional(),
  MOCK_API_BASE: httpUrl.optional(),
  WEBHOOK_ALLOWED_IPS: list.default([]),

  DEFAULT_CURRENCY: currency.default('USD'),
  ISSUER_TIME_ZONE: timeZone.default('UTC'),
  ISSUER_COUNTRY: country.optional(),
  WALLET_CURRENCY: oneOf('INR', 'USD', 'EUR', 'NGN', 'JPY', 'KWD').default('INR'),
  INVOICE_DUE_DAYS: integer(0, 365).default(30),
  INVOICE_PREFIX: text.default('INV'),
  AUTO_SEND_INVOICES: flag.default(true),
  COMPANY_NAME: text.optional(),
  COMPANY_ADDRESS: text.optional(),
  COMPANY_EMAIL: text.optional(),
  COMPANY_PHONE: text.optional(),
  SMTP_URL: secretUrl('smtp', 'smtps').optional(),
  PUBLIC_URL: httpUrl.optional(),
  INVOICE_FONT: text.optional(),
  INVOICE_FONT_BOLD: text.optional(),
})

export type Variables = z.output<typeof variables>

/** Every name that means something to us. */
export const knownNames: ReadonlySet<string> = new Set([...Object.keys(variables.shape), ...Object.values(aliases)])
