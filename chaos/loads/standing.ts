/** The budget of tokens that outlast every run: what is asked of them in reason is never refused. */
export const STANDING_BUDGET = 1_000_000_000
