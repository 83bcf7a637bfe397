import { closedLoop, type LoopReport, rawRequest } from './closed-loop.ts'
import { asked } from './processes.ts'

/** Deductions of 1 from the tokens whose paths are given, in a closed loop. */
export interface LoadOrder {
  readonly url: string
  readonly paths: readonly string[]
  readonly connections: number
  readonly requests: number
}

export interface LoadReport extends LoopReport {
  /** Answered before the clock ran: code was compiled and the server's connections opened. */
  readonly answeredBefore: number
  /** Processor seconds of the load itself, with all that was answered. */
  readonly cpuSeconds: number
}

/** Requests of each connection before the clock runs: this process is as new as its code is cold. */
const WARM_UP = 2

/** What one connection walks through; together the connections walk through all. */
const shareOf = (deductions: readonly Buffer[], connection: number, connections: number): readonly Buffer[] =>
  deductions.filter((_, index) =>
    deductions.length <= connections ? index === connection % deductions.length : index % connections === connection,
  )

/** A process of its own, so that making the load never shares a thread with what is measured. */
if (import.meta.main) {
  const { url, paths, connections, requests } = asked<LoadOrder>()
  const deductions = paths.map((path) => rawRequest(path, {}, '{"amount":1}'))
  const shares = Array.from({ length: connections }, (_, connection) => shareOf(deductions, connection, connections))
  const turns = shares.map(() => 0)
  const shoot = (count: number) =>
    closedLoop({
      urls: [url],
      connections,
      requests: Math.max(count, connections),
      next(connection) {
        const share = shares[connection] ?? deductions
        const turn = turns[connection] ?? 0
        turns[connection] = turn + 1
        return share[turn % share.length]
      },
    })
  const cpuBefore = process.cpuUsage()
  const before = await shoot(connections * WARM_UP)
  const report = await shoot(requests)
  const { user, system } = process.cpuUsage(cpuBefore)
  const whole: LoadReport = {
    ...report,
    answeredBefore: before.answered,
    refused: before.refused + report.refused,
    cpuSeconds: (user + system) / 1e6,
  }
  process.stdout.write(JSON.stringify(whole))
}
