import { knownNames } from './variables.ts'

/** Shorter names are a letter or two away from too many innocent ones. */
const SHORTEST = 8

/** How many letters must be inserted, removed or replaced to make one word of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...b].entries())
      next.push(Math.min((row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)))
    row = next
  }
  return row[b.length] ?? 0
}

/** Variables that are set, mean nothing to us, and look like a misspelling of one that does. */
export function misspellings(env: Record<string, string | undefined>): string[] {
  return Object.keys(env)
    .filter((name) => name.length >= SHORTEST && !knownNames.has(name))
    .flatMap((name) => {
      const meant = [...knownNames].find((known) => known.length >= SHORTEST && distance(name, known) <= 2)
      return meant === undefined ? [] : [`${name} is not a variable of ours: did you mean ${meant}?`]
    })
}
