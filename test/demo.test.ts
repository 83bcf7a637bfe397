import { describe, expect, test } from 'vitest'
import { demoCommand } from '../src/commands/demo.ts'
import { freshDatabase } from './support/database.ts'

describe('The demo', () => {
  test('walks through money in and out, prints its ledger rows, and leaves the books in order', async () => {
    const database = await freshDatabase()
    const lines: string[] = []
    try {
      const code = await demoCommand({ DATABASE_URL: database.url }, (line) => void lines.push(line))
      const text = lines.join('\n')
      expect(code, text).toBe(0)
      expect([...text.matchAll(/^\d+\. (.*)$/gm)].map(([, title]) => title)).toEqual([
        'A deposit by card (Stripe)',
        'A deposit by UPI (Razorpay)',
        'A card that is declined',
        '3-D Secure: the customer’s bank wants to see them first',
        'A refund',
        'A withdrawal to a bank account (Razorpay)',
        'One webhook, delivered three times',
        'Reconciliation: the webhook that never came',
        'The books',
      ])
      const movements = [...text.matchAll(/^ {5}(\w+\.\w+) +(\w+ → \w+) +([\d.]+) (\w+)/gm)].map(([, ...row]) => row)
      expect(movements).toEqual([
        ['deposit.settle', 'stripe → wallet', '30.00', 'USD'],
        ['deposit.settle', 'razorpay → wallet', '500.00', 'INR'],
        ['deposit.settle', 'stripe → wallet', '20.00', 'USD'],
        ['deposit.settle', 'stripe → wallet', '25.00', 'USD'],
        ['refund.settle', 'wallet → stripe', '10.00', 'USD'],
        ['withdrawal.settle', 'wallet → razorpay', '200.00', 'INR'],
        ['deposit.settle', 'stripe → wallet', '15.00', 'USD'],
        ['deposit.settle', 'razorpay → wallet', '300.00', 'INR'],
      ])
      expect(text).toMatch(/razorpay, .*: 3 lines compared, 1 finding, 0 for a person/)
      expect(text).toMatch(/The wallet holds 80\.00 USD\.\n\s+The wallet holds 600\.00 INR\./)
      expect(text).toContain('The books are in order.')
      // What Stripe told three times is one event on file, processed once.
      const { rows } = await database.pool.query(
        `select count(*)::int as events, (select count(*)::int from operation where kind = 'webhook.process') as processed from webhook`,
      )
      expect(rows[0].processed).toBe(rows[0].events)
    } finally {
      await database.drop()
    }
  })

  test('is refused in production', async () => {
    await expect(demoCommand({ NODE_ENV: 'production' }, () => {})).rejects.toThrow('SANDBOX')
  })
})
