import { z } from '@hono/zod-openapi'
import { Decimal } from '../kit/decimal.ts'
import { kind, LEDGER_RETRY } from './kind.ts'
import { currencyCode } from './payments.ts'
import { calendarDay, plainText } from './text.ts'
import { metricCode } from './usage.ts'

/** A name on an invoice. */
const MAX_NAME = 100

/** More tiers than anybody can explain to a customer. */
const MAX_TIERS = 20

const aggregation = z.enum(['count', 'sum', 'max', 'unique', 'latest'])

export const planCode = metricCode.openapi({ example: 'pro' })

export const declareMetric = kind({
  name: 'metric.declare',
  doc: 'Declares what can be used and how events become a quantity. Its words may change; how it is counted may not.',
  queue: 'ledger',
  input: z.object({
    metric: metricCode,
    aggregation: aggregation.openapi({ example: 'sum' }),
    unit: plainText(MAX_NAME).openapi({ example: 'call' }),
    description: plainText(MAX_NAME).openapi({ description: 'What invoices call it.', example: 'API calls' }),
  }),
  result: z.object({ success: z.literal(true), metric: z.string(), aggregation }),
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: { 'metric.countedOtherwise': 409 },
})

export const setPlan = kind({
  name: 'plan.set',
  doc: 'Makes a plan, or changes its words. How often its fee is due may change while nobody is on it.',
  queue: 'ledger',
  input: z.object({
    plan: planCode,
    name: plainText(MAX_NAME).openapi({ example: 'Pro' }),
    cycle: z.enum(['none', 'monthly', 'annual']).openapi({ description: 'How often its fee is due.' }),
    features: plainText(500).openapi({ example: '50,000 API calls a month' }),
  }),
  result: z.object({ success: z.literal(true), plan: z.string() }),
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: { 'plan.cycleInUse': 409 },
})

/** Never below 0, and never finer than a price is kept. */
const DECIMAL = /^\d{1,12}(\.\d{1,9})?$/

const decimal = z
  .union([z.number(), z.string().max(40)])
  .refine((written) => DECIMAL.test(String(written).trim()), {
    error: 'must be a decimal number with at most 12 digits and 9 decimals, such as "0.0025"',
  })
  .transform((written) => String(written).trim())
  .openapi({ anyOf: [{ type: 'number' }, { type: 'string' }], example: '0.0025' })

const tier = z.object({
  up_to: decimal.nullable().openapi({ description: 'The last unit in this tier; none: it has no end.' }),
  unit_amount: decimal,
  flat_amount: decimal.optional().openapi({ description: 'Once, as soon as a unit is in this tier.' }),
})

const models = ['flat', 'per_unit', 'graduated', 'volume', 'package'] as const

/** What each model needs, and what it may have. */
const terms: Readonly<Record<(typeof models)[number], { needs: readonly string[]; may: readonly string[] }>> = {
  flat: { needs: ['amount'], may: [] },
  per_unit: { needs: ['unit_amount'], may: ['free_units'] },
  graduated: { needs: ['tiers'], may: ['free_units'] },
  volume: { needs: ['tiers'], may: ['free_units'] },
  package: { needs: ['package_size', 'package_amount'], may: ['free_units'] },
}

export const setPrice = kind({
  name: 'price.set',
  doc: 'Gives a plan a price from a day on. Months that have begun keep theirs: a month has the price of its first day.',
  queue: 'ledger',
  input: z.object({
    plan: planCode,
    metric: metricCode.optional().openapi({ description: 'Left out: the plan’s own fee, whose model is flat.' }),
    currency: currencyCode,
    starts_on: calendarDay.openapi({ example: '2026-12-01' }),
    model: z.enum(models),
    terms: z.object({
      amount: decimal.optional(),
      unit_amount: decimal.optional(),
      free_units: decimal.optional().openapi({ description: 'Units of a month that cost nothing.', example: '1000' }),
      tiers: z.array(tier).min(1).max(MAX_TIERS).optional(),
      package_size: decimal.optional(),
      package_amount: decimal.optional(),
    }),
  }),
  check: termsProblems,
  result: z.object({
    success: z.literal(true),
    plan: z.string(),
    metric: z.string().nullable(),
    starts_on: z.string(),
  }),
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: { 'price.noPlan': 404, 'price.noMetric': 404, 'price.begun': 409 },
})

function termsProblems(input: Readonly<Record<string, unknown>>): { field: string; message: string }[] {
  const model = input.model as (typeof models)[number]
  const given = input.terms as Readonly<Record<string, unknown>>
  const problems: { field: string; message: string }[] = []
  if ((model === 'flat') !== (input.metric === undefined))
    problems.push({
      field: 'model',
      message: 'flat is for a plan’s own fee, which has no metric, and for nothing else',
    })
  const { needs, may } = terms[model]
  for (const field of needs)
    if (given[field] === undefined) problems.push({ field: 'terms', message: `${field} is required` })
  for (const field of Object.keys(given))
    if (given[field] !== undefined && !needs.includes(field) && !may.includes(field))
      problems.push({ field: 'terms', message: `${field} is not for ${model}` })
  if (given.package_size !== undefined && Decimal.of(String(given.package_size).trim()).isZero)
    problems.push({ field: 'terms', message: 'package_size must be greater than 0' })
  const tiers = given.tiers as readonly { up_to: number | string | null }[] | undefined
  if (tiers !== undefined && !areInOrder(tiers.map(({ up_to }) => up_to)))
    problems.push({ field: 'terms', message: 'tiers must have growing limits above 0, and the last one none' })
  return problems
}

const areInOrder = (limits: readonly (number | string | null)[]): boolean =>
  limits.every((limit, index) => {
    if (limit === null) return index === limits.length - 1
    const before = Decimal.of(String(limits[index - 1] ?? 0).trim())
    return index < limits.length - 1 && before.isLessThan(Decimal.of(String(limit).trim()))
  })
