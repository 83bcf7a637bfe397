import { dayOf, dayStart, followingDay, type Month } from '../../kit/months.ts'

/** Which day an instant falls on in a zone, for thousands of instants on few days: each day is looked up once. */
export class Calendar {
  readonly #zone: string
  readonly #days: { readonly day: string; readonly from: number; readonly until: number }[] = []
  #last: { readonly day: string; readonly from: number; readonly until: number } | undefined

  constructor(zone: string) {
    this.#zone = zone
  }

  dayOf(instant: Date): string {
    const at = instant.getTime()
    const holds = ({ from, until }: { from: number; until: number }) => from <= at && at < until
    if (this.#last === undefined || !holds(this.#last)) this.#last = this.#days.find(holds) ?? this.#lookUp(instant)
    return this.#last.day
  }

  monthOf(instant: Date): Month {
    return this.dayOf(instant).slice(0, 7)
  }

  #lookUp(instant: Date) {
    const day = dayOf(instant, this.#zone)
    const found = {
      day,
      from: dayStart(day, this.#zone).getTime(),
      until: dayStart(followingDay(day), this.#zone).getTime(),
    }
    this.#days.push(found)
    return found
  }
}
