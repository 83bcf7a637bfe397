import { existsSync } from 'node:fs'
import { vault } from '../gateways/vault.ts'
import { Secret } from '../kit/secret.ts'
import { type Config, readConfig } from '../platform/config.ts'

/** Where the vault keeps what Bursar must not have in its environment: fields are named like the variables. */
export const VAULT_PATH = 'bursar'

/**
 * The configuration of this process: its environment, a `.env` file for what is not set there, and, where a vault is
 * configured, the secrets and keys that the vault holds, which win over both.
 */
export async function configuration(): Promise<Config> {
  if (existsSync('.env')) process.loadEnvFile('.env')
  const { VAULT_URL: url, VAULT_TOKEN: token } = process.env
  if (!url || !token) return readConfig(process.env)
  const held = await vault({ url, token: new Secret(token) }).read(VAULT_PATH)
  return readConfig({ ...process.env, ...held })
}
