import type { Load } from './load.ts'
import { Tokens } from './tokens.ts'

/** Every load there is, new for each run. */
export const makeLoads = (): Load[] => [new Tokens()]
