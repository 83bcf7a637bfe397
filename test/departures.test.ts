import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Departures } from '../src/jobs/departures.ts'
import type { Traveller } from '../src/jobs/envelope.ts'
import { LEDGER_BATCH } from '../src/jobs/kind.ts'
import { newId } from '../src/kit/ids.ts'

describe('A job of operations that are taken in', () => {
  const deduction = (): Traveller => ({ id: newId(), kind: 'token.deduct', input: {} })
  const issue = (): Traveller => ({ id: newId(), kind: 'token.issue', input: {} })
  const some = (count: number) => Array.from({ length: count }, deduction)

  /** Commits some, and answers with how many travel in each job that leaves after it. */
  function commit(departures: Departures<Traveller>, travellers: readonly Traveller[], othersWait: boolean): number[] {
    for (const { traveller, job } of departures.assign(travellers)) job.load.push(traveller)
    return departures.leave(othersWait).map(({ load }) => load.length)
  }

  test('leaves at once while nobody waits for the next commit', () => {
    const departures = new Departures()
    expect(commit(departures, some(3), false)).toEqual([3])
    expect(commit(departures, some(1), false)).toEqual([1])
  })

  test('waits for those who wait, and leaves as soon as nobody does', () => {
    const departures = new Departures()
    expect(commit(departures, some(3), true)).toEqual([])
    expect(commit(departures, some(4), false)).toEqual([7])
  })

  test('waits for three commits at most, however many come', () => {
    const departures = new Departures()
    for (let round = 0; round < 2; round++) {
      for (let commits = 0; commits < 3; commits++) expect(commit(departures, some(1), true)).toEqual([])
      expect(commit(departures, some(1), true)).toEqual([4])
    }
  })

  test('leaves when it is full, and what has no room begins the next one', () => {
    const departures = new Departures()
    expect(commit(departures, some(LEDGER_BATCH - 1), true)).toEqual([])
    expect(commit(departures, some(3), true)).toEqual([LEDGER_BATCH])
    expect(commit(departures, [], false)).toEqual([2])
  })

  test('waits for nobody where a job carries one operation', () => {
    expect(commit(new Departures(), [issue(), deduction(), issue()], true)).toEqual([1, 1])
  })

  test('without anybody whose commit held is dropped, and those who come later get a job that leaves', () => {
    const departures = new Departures()
    departures.assign(some(2))
    expect(departures.leave(false)).toEqual([])
    expect(commit(departures, some(1), false)).toEqual([1])
  })

  test('carries everybody once, each kind in the order in which it came, whatever commits hold', () => {
    const commits = fc.array(fc.record({ of: fc.array(fc.boolean(), { maxLength: 700 }), holds: fc.boolean() }))
    fc.assert(
      fc.property(commits, (all) => {
        const departures = new Departures()
        const held: Traveller[] = []
        const left: Traveller[] = []
        const leave = (othersWait: boolean) => left.push(...departures.leave(othersWait).flatMap(({ load }) => load))
        for (const { of, holds } of all) {
          const assigned = departures.assign(of.map((ledger) => (ledger ? deduction() : issue())))
          if (holds) for (const { traveller, job } of assigned) job.load.push(traveller)
          if (holds) held.push(...assigned.map(({ traveller }) => traveller))
          leave(true)
        }
        leave(false)
        for (const name of ['token.deduct', 'token.issue']) {
          const ids = (some: readonly Traveller[]) => some.flatMap(({ id, kind }) => (kind === name ? [id] : []))
          expect(ids(left)).toEqual(ids(held))
        }
      }),
    )
  })
})
