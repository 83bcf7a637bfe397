import { afterAll, beforeAll, expect, test } from 'vitest'
import { readConfig } from '../src/platform/config.ts'
import { type Sandbox, startSandbox } from '../src/sandbox/server.ts'
import { welcome } from '../src/start/welcome.ts'

const API = 'http://127.0.0.1:8001'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await startSandbox({ webhooksTo: undefined })
})
afterAll(() => sandbox.stop())

/** What is said to stand there. */
const said = (name: string, config = readConfig({})): string | undefined =>
  new RegExp(`^ *${name} +(\\S+)`, 'm').exec(welcome(API, config, sandbox.mailUrl))?.[1]

test('A developer is told where the reference and the board are', () => {
  expect(said('API')).toBe(API)
  expect(said('Board')).toBe(`${API}/admin/queues`)
})

test('A developer is told where letters are kept that nobody gets, and finds them there', async () => {
  const page = await fetch(said('Letters') ?? '')
  expect(await page.text()).toContain('Mail that nobody got')
})

test('Nothing is said of letters where they are really sent, or where nobody keeps them', () => {
  expect(
    said('Letters', readConfig({ SMTP_URL: 'smtp://mail.example.com', COMPANY_EMAIL: 'us@example.com' })),
  ).toBeUndefined()
  expect(welcome(API, readConfig({}))).not.toContain('Letters')
})
