/** A calendar month, `2026-11`. Where it begins and ends is a matter of the time zone. */
export type Month = string

const MONTH = /^(\d{4})-(0[1-9]|1[0-2])$/

export const isMonth = (text: string): boolean => MONTH.test(text)

/** `months` later, or earlier where negative. */
export function plusMonths(month: Month, months: number): Month {
  const [year = 0, number = 1] = month.split('-').map(Number)
  const count = year * 12 + number - 1 + months
  return `${String(Math.floor(count / 12)).padStart(4, '0')}-${String((count % 12) + 1).padStart(2, '0')}`
}

export const nextMonth = (month: Month): Month => plusMonths(month, 1)

/** The day that an instant falls on in a zone, `2026-11-21`. */
export function dayOf(instant: Date, zone: string): string {
  const { year, month, day } = wallClock(instant, zone)
  return `${pad(year, 4)}-${pad(month)}-${pad(day)}`
}

export const monthOf = (instant: Date, zone: string): Month => dayOf(instant, zone).slice(0, 7)

/** The first instant of a month in a zone: that of its first day, also where that day begins after midnight. */
export const monthStart = (month: Month, zone: string): Date => dayStart(`${month}-01`, zone)

/** From its first instant to that of the next month, which is not in it. */
export const monthSpan = (month: Month, zone: string): { readonly from: Date; readonly until: Date } => ({
  from: monthStart(month, zone),
  until: monthStart(nextMonth(month), zone),
})

/** The first instant of a day in a zone. Offsets reach from UTC−12 to UTC+14, and clocks jump at most a few hours. */
export function dayStart(day: string, zone: string): Date {
  const utc = Date.parse(`${day}T00:00:00Z`)
  let early = utc - 15 * HOUR_MS
  let late = utc + 15 * HOUR_MS
  // Days only grow with time, so that the first instant on or after this one can be found by halves.
  while (late - early > 1) {
    const middle = Math.floor((early + late) / 2)
    if (dayOf(new Date(middle), zone) < day) early = middle
    else late = middle
  }
  return new Date(late)
}

const HOUR_MS = 3_600_000

/** The day after a day. */
export const followingDay = (day: string): string =>
  new Date(Date.parse(`${day}T00:00:00Z`) + 24 * HOUR_MS).toISOString().slice(0, 10)

const formats = new Map<string, Intl.DateTimeFormat>()

function wallClock(instant: Date, zone: string): { year: number; month: number; day: number } {
  let format = formats.get(zone)
  if (format === undefined) {
    const fields = { year: 'numeric', month: 'numeric', day: 'numeric' } as const
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, calendar: 'gregory', ...fields })
    formats.set(zone, format)
  }
  const parts = format.formatToParts(instant)
  const part = (type: 'year' | 'month' | 'day') => Number(parts.find((one) => one.type === type)?.value)
  return { year: part('year'), month: part('month'), day: part('day') }
}

const pad = (number: number, length = 2): string => String(number).padStart(length, '0')

export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined
  } catch {
    return false
  }
}
