/** Who of the two has what the other has not, or has differently. */
export type What = 'missing' | 'extra' | 'different'

/** What was done about it. `looked_up`: asked for at once, and believed, as any other look-up. `listed`: it is none of ours. */
export type Done = 'looked_up' | 'listed' | 'nothing'

interface Verdict {
  readonly what: What
  readonly done: Done
  /** Only a person can put it right, or see that it was. */
  readonly forPerson: boolean
  readonly says: string
}

/** Everything in which two lists can differ, by the name that the comparison gives it. What agrees has no verdict. */
export const verdicts = {
  missing: {
    what: 'missing',
    done: 'nothing',
    forPerson: true,
    says: 'We say that it was done, and the gateway does not know it, though it was asked for this one',
  },
  unheard: {
    what: 'missing',
    done: 'looked_up',
    forPerson: false,
    says: 'Nobody wrote down the answer, and the gateway does not list it',
  },
  foreign: {
    what: 'extra',
    done: 'listed',
    forPerson: false,
    says: 'The gateway did it for somebody else: it carries no reference of ours',
  },
  unknown: {
    what: 'extra',
    done: 'nothing',
    forPerson: true,
    says: 'The gateway did it under a reference like ours that we do not have: was a database restored?',
  },
  late: {
    what: 'extra',
    done: 'looked_up',
    forPerson: false,
    says: 'The customer paid what we had given up: the look-up credits it, or sends it back',
  },
  again: {
    what: 'extra',
    done: 'looked_up',
    forPerson: true,
    says: 'The customer paid a second time: the look-up sends it back where the gateway tells of it. See that it did',
  },
  givenUp: {
    what: 'extra',
    done: 'looked_up',
    forPerson: true,
    says: 'The gateway has sent what we had given up and freed: call it back, or take it from the wallet',
  },
  open: {
    what: 'different',
    done: 'looked_up',
    forPerson: false,
    says: 'It is open with us, and further with the gateway',
  },
  cameBack: {
    what: 'different',
    done: 'looked_up',
    forPerson: false,
    says: 'It was done, and came back: the look-up returns it to the wallet',
  },
  amount: {
    what: 'different',
    done: 'nothing',
    forPerson: true,
    says: 'Another amount or currency than we have booked',
  },
  status: { what: 'different', done: 'nothing', forPerson: true, says: 'It stands otherwise than we have booked' },
} as const satisfies Record<string, Verdict>

export type VerdictName = keyof typeof verdicts

export type Verb = 'charge' | 'refund' | 'payout'

/** How one side has it. Amounts are decimal text. */
export interface Side {
  readonly status: string
  readonly amount: string | null
  readonly currency: string | null
}

/** One difference, as it is kept. */
export interface Finding {
  readonly verdict: VerdictName
  readonly what: What
  readonly type: Verb
  readonly attempt_id: string | null
  readonly payment_id: string | null
  readonly gateway_id: string | null
  readonly ours: Side | null
  readonly theirs: Side | null
  readonly says: string
  readonly done: Done
  /** The look-up that was asked for. */
  readonly operation_id: string | null
  readonly for_person: boolean
}
