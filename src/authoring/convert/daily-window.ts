/** Minutes since local midnight; `fromMinute` inclusive, `untilMinute` exclusive. One that ends before it starts crosses midnight. */
export interface DailyWindow {
  readonly fromMinute: number
  readonly untilMinute: number
  /** IANA name. */
  readonly zone: string
}

/**
 * What the customary abbreviations stand for. "EST" in an office's rules means the clock on New York's wall, in summer
 * too, so the American ones map to cities; the fixed offset can be had by an IANA name (`Etc/GMT+5`).
 */
const ZONES: Readonly<Record<string, string>> = {
  UTC: 'UTC',
  GMT: 'UTC',
  Z: 'UTC',
  EST: 'America/New_York',
  EDT: 'America/New_York',
  ET: 'America/New_York',
  CST: 'America/Chicago',
  CDT: 'America/Chicago',
  CT: 'America/Chicago',
  MST: 'America/Denver',
  MDT: 'America/Denver',
  MT: 'America/Denver',
  PST: 'America/Los_Angeles',
  PDT: 'America/Los_Angeles',
  PT: 'America/Los_Angeles',
  BST: 'Europe/London',
  WET: 'Europe/Lisbon',
  CET: 'Europe/Berlin',
  CEST: 'Europe/Berlin',
  EET: 'Europe/Athens',
  IST: 'Asia/Kolkata',
  SGT: 'Asia/Singapore',
  JST: 'Asia/Tokyo',
  AEST: 'Australia/Sydney',
  AEDT: 'Australia/Sydney',
}

const WINDOW = /^(\S+?)\s*(?:-|–|to)\s*(\S+)\s+(\S+)$/i
const TIME = /^(\d{1,2})(?::(\d{2}))?(am|pm)?$/i

/** Reads `9am-5pm EST`, `09:30-17:00 Europe/Berlin`, `10pm-6am UTC`. A text is the reason why it cannot be read. */
export function readDailyWindow(text: string): DailyWindow | string {
  const parts = WINDOW.exec(text.trim())
  if (parts === null) return 'is no window of the form `9am-5pm EST`'
  const fromMinute = minuteOfDay(parts[1]!)
  const untilMinute = minuteOfDay(parts[2]!)
  if (fromMinute === null || fromMinute === 1440) return `starts at \`${parts[1]}\`, which is no time of day`
  if (untilMinute === null) return `ends at \`${parts[2]}\`, which is no time of day`
  if (fromMinute === untilMinute % 1440) return 'starts when it ends; it would be empty, or the whole day'
  const zone = ZONES[parts[3]!.toUpperCase()] ?? (isZone(parts[3]!) ? parts[3]! : null)
  if (zone === null)
    return `names the zone \`${parts[3]}\`, which is unknown; use an IANA name such as \`America/New_York\``
  return { fromMinute, untilMinute, zone }
}

function minuteOfDay(text: string): number | null {
  const parts = TIME.exec(text)
  if (parts === null) return null
  const [, hours, minutes = '0', half] = parts
  let hour = Number(hours)
  if (Number(minutes) > 59) return null
  if (half === undefined)
    return hour < 24 || (hour === 24 && Number(minutes) === 0) ? hour * 60 + Number(minutes) : null
  if (hour < 1 || hour > 12) return null
  hour = (hour % 12) + (half.toLowerCase() === 'pm' ? 12 : 0)
  return hour * 60 + Number(minutes)
}

function isZone(name: string): boolean {
  if (!name.includes('/')) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}
