import autocannon from 'autocannon'

/** A process of its own, so that making the load never shares a thread with what is measured. Prints autocannon's result as JSON. */
const { url, paths, body, connections, seconds } = JSON.parse(process.argv[2] ?? '{}') as {
  url: string
  paths: string[]
  body: string
  connections: number
  seconds: number
}
const result = await autocannon({
  url,
  connections,
  duration: seconds,
  requests: paths.map((path) => ({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json' },
    body,
  })),
})
process.stdout.write(
  JSON.stringify({
    answered: result['2xx'],
    refused: result.non2xx,
    errors: result.errors,
    seconds: result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
  }),
)
