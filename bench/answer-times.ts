import { Agent, request } from 'node:http'
import type { Contestant } from './contestant.ts'

/** Milliseconds that each of so many deductions took, one after another, from the request to the answer with its outcome. */
export async function answerTimes({ url, paths }: Contestant, count: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const took: number[] = []
  for (let index = 0; index < count; index++) {
    const startedAt = performance.now()
    const status = await deduct(agent, `${url}${paths[index % paths.length]}`)
    took.push(performance.now() - startedAt)
    if (status !== 200) throw new Error(`A deduction was answered with ${status} in place of its outcome`)
  }
  agent.destroy()
  return took
}

function deduct(agent: Agent, url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', prefer: 'wait=30' }
    const sent = request(url, { agent, method: 'POST', headers }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode ?? 0))
    })
    sent.once('error', reject)
    sent.end('{"amount":1}')
  })
}
