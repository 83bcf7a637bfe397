export { cycles, FIRST_PLAN, type Plan, plansByCode } from './plans.ts'
export { type Price, priceIn, priceModels } from './price.ts'
export { type PricedLine, type RateInput, rate } from './rate.ts'
