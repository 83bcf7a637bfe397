import { developmentSecrets } from './variables.ts'

/** Secrets that guard something in production, and how many characters make one too long to be guessed. */
const GUARDS = { JWT_SECRET_KEY: 32, ENCRYPTION_KEY: 32, BOARD_PASSWORD: 12 } as const

/** What production cannot do without, and why. */
const NEEDED = {
  DATABASE_URL: 'set it to a PostgreSQL 16 or newer; the embedded database is for development only',
  VOICE_SERVICE_URL:
    'set it to the service that verifies voices; the sandbox that stands in for it is for development only',
} as const

const published = new Set<string>(Object.values(developmentSecrets))

function problemOfSecret(name: string, value: string, least: number): string | undefined {
  if (published.has(value))
    return `${name} is a development default that everybody knows: set a random secret of your own`
  if (value.length < least)
    return `${name} must have at least ${least} characters in production, it has ${value.length}`
  return undefined
}

/** What is fine on a developer's machine and refused with NODE_ENV=production. */
export function productionProblems(given: Record<string, string>): string[] {
  const problems: (string | undefined)[] = []
  for (const [name, what] of Object.entries(NEEDED))
    if (given[name] === undefined) problems.push(`${name} is required in production: ${what}`)
  for (const [name, least] of Object.entries(GUARDS)) {
    const value = given[name]
    if (value === undefined)
      problems.push(`${name} is required in production: set a random secret of at least ${least} characters`)
    else problems.push(problemOfSecret(name, value, least))
    // An old secret still opens the door, so it must be as good as the present one.
    const previous = given[`${name}_PREVIOUS`]?.split(',') ?? []
    for (const old of previous) problems.push(problemOfSecret(`${name}_PREVIOUS`, old.trim(), least))
  }
  if (given.SMTP_URL !== undefined && given.PUBLIC_URL === undefined)
    problems.push('PUBLIC_URL is required in production with SMTP_URL: links in letters begin with it')
  if (given.MOCK_API_BASE !== undefined)
    problems.push('MOCK_API_BASE is refused in production: the mock gateway moves no money. Leave it out')
  if (/^(true|1|yes|on)$/i.test(given.SANDBOX ?? ''))
    problems.push('SANDBOX is refused in production: nobody would really be paid or verified. Leave it out')
  return problems.filter((problem) => problem !== undefined)
}
