import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Files are named after weekdays: an older one would be appended to, as PostgreSQL empties it only while it runs past midnight. */
const KEPT_MS = 6 * 24 * 3_600_000

export function clearOldLogs(dataDir: string): void {
  for (const { file, changed } of collected(dataDir)) if (Date.now() - changed > KEPT_MS) rmSync(file)
}

const REASON_LINES = 5

const TELLS_NOTHING = /redirecting log output|Future log output|starting PostgreSQL|database system is shut down/

/** What the server says from now on: to its own output until its log collector runs, then to the collected log. */
export function listenTo(startLog: string, dataDir: string): () => string {
  const sizes = new Map(collected(dataDir).map(({ file, size }) => [file, size]))
  return () => {
    const newest = collected(dataDir)
      .sort((a, b) => a.changed - b.changed)
      .at(-1)?.file
    const lines = [...linesOf(startLog, 0), ...(newest === undefined ? [] : linesOf(newest, sizes.get(newest) ?? 0))]
    const telling = lines.filter((line) => !TELLS_NOTHING.test(line))
    return telling.slice(-REASON_LINES).join(' / ') || 'it said nothing'
  }
}

function collected(dataDir: string): { file: string; size: number; changed: number }[] {
  try {
    return readdirSync(join(dataDir, 'log')).map((name) => {
      const file = join(dataDir, 'log', name)
      const { size, mtimeMs } = statSync(file)
      return { file, size, changed: mtimeMs }
    })
  } catch {
    return []
  }
}

function linesOf(file: string, from: number): string[] {
  try {
    return readFileSync(file)
      .subarray(from)
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '')
  } catch {
    return []
  }
}
