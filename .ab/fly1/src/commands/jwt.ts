import { parseArgs } from 'node:util'
import { SignJWT } from 'jose'
import { isRole, roles } from '../api/caller.ts'
import { ConfigError, EXIT_CONFIG } from '../platform/config.ts'
import { configuration } from '../start/configuration.ts'

const USAGE = 'Usage: npm run --silent jwt -- --sub user_1 [--roles admin,operator] [--expires-in 1h] [--force]'

/** How a process ends that was called in a way it does not understand (EX_USAGE of sysexits.h). */
const EXIT_USAGE = 64

/** The caller of the command can mend this. */
class Misuse extends Error {}

/** `npm run jwt`: a token signed with the configured secret, for trying things out. */
async function main(): Promise<void> {
  const wanted = readArguments()
  const { mode, jwt } = await configuration()
  if (mode === 'production' && !wanted.force)
    throw new Misuse('Refused in production: whoever has this token is whom it names. Add --force if that is meant')
  if (jwt.jwksUrl !== undefined)
    throw new Misuse('JWT_JWKS_URL is set, so tokens come from its issuer and not from JWT_SECRET_KEY')
  const token = new SignJWT(wanted.roles.length === 0 ? {} : { roles: wanted.roles })
    .setProtectedHeader({ alg: jwt.algorithm, typ: 'JWT' })
    .setSubject(wanted.subject)
    .setIssuedAt()
    .setExpirationTime(wanted.expiresIn)
  if (jwt.audience !== undefined) token.setAudience(jwt.audience)
  if (jwt.issuer !== undefined) token.setIssuer(jwt.issuer)
  process.stdout.write(`${await token.sign(new TextEncoder().encode(jwt.secret.reveal()))}\n`)
}

function readArguments() {
  const { values } = parsedArguments()
  if (values.sub === undefined || values.sub === '') throw new Misuse(`Say for whom with --sub\n${USAGE}`)
  if (!/^[1-9]\d*[smhd]$/.test(values['expires-in']))
    throw new Misuse(`--expires-in takes a number and s, m, h or d, such as 90m\n${USAGE}`)
  const named = values.roles.split(',').flatMap((role) => (role.trim() === '' ? [] : [role.trim()]))
  const unknown = named.filter((role) => !isRole(role))
  if (unknown.length > 0) throw new Misuse(`There is no role ${unknown.join(', ')}: the roles are ${roles.join(', ')}`)
  return { subject: values.sub, roles: named, expiresIn: values['expires-in'], force: values.force }
}

function parsedArguments() {
  try {
    return parseArgs({
      options: {
        sub: { type: 'string' },
        roles: { type: 'string', default: '' },
        'expires-in': { type: 'string', default: '1h' },
        force: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new Misuse(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
  }
}

try {
  await main()
} catch (error) {
  if (!(error instanceof Misuse || error instanceof ConfigError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = error instanceof ConfigError ? EXIT_CONFIG : EXIT_USAGE
}
