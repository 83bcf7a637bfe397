import type { Sandbox } from '../../src/sandbox/server.ts'
import type { Load } from './load.ts'
import { Tokens } from './tokens.ts'
import { Wallets } from './wallets.ts'

/** Every load there is, new for each run. */
export const makeLoads = (sandbox: Sandbox): Load[] => [new Tokens(), new Wallets(sandbox)]
