import { existsSync } from 'node:fs'
import { vault } from '../gateways/vault.ts'
import { Secret } from '../kit/secret.ts'
import { aliases } from '../platform/config/variables.ts'
import { type Config, readConfig } from '../platform/config.ts'

/** Where the vault keeps what Bursar must not have in its environment: fields are named like the variables. */
export const VAULT_PATH = 'bursar'

/**
 * The configuration of this process: its environment, a `.env` file for what is not set there, and, where a vault is
 * configured, the secrets and keys that the vault holds, which win over both.
 */
export async function configuration(): Promise<Config> {
  if (existsSync('.env')) process.loadEnvFile('.env')
  const url = process.env.VAULT_URL?.trim() ?? ''
  const token = process.env.VAULT_TOKEN?.trim() ?? ''
  // What cannot be asked is left to the parser, which says what is wrong beside everything else that is.
  if (token === '' || !/^https?:$/.test(URL.parse(url)?.protocol ?? '')) return readConfig(process.env)
  const held = await vault({ url, token: new Secret(token) }).read(VAULT_PATH)
  return readConfig({ ...process.env, ...underOwnNames(held ?? {}) })
}

/** A field that is called by another accepted name must win over the variable's own name in the environment, too. */
const underOwnNames = (held: Record<string, string>): Record<string, string> => ({
  ...Object.fromEntries(Object.entries(aliases).flatMap(([name, alias]) => (held[alias] ? [[name, held[alias]]] : []))),
  ...held,
})
