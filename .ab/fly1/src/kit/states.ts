import { assert } from './assert.ts'

/** Which state may follow which. An empty list marks a final state. */
export type LifeCycle<State extends string> = { readonly [from in State]: readonly State[] }

export const mayMove = <State extends string>(cycle: LifeCycle<State>, from: State, to: State): boolean =>
  cycle[from].includes(to)

/** The next state, or a bug: nouns check what a caller can cause before they move. */
export function move<State extends string>(cycle: LifeCycle<State>, from: State, to: State): State {
  assert(mayMove(cycle, from, to), `No way from ${from} to ${to}`)
  return to
}
