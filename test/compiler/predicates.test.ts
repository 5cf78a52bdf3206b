import fc from 'fast-check'
import t from 'tap'
import { compileRegex, RegexError } from '../../src/compiler/regex.js'
import { compileTimeWindow } from '../../src/compiler/time-window.js'
import { buildWords, compileContainsAll, compileContainsAny, takesAutomaton } from '../../src/compiler/words.js'
import { zoneOffset } from '../../src/compiler/zone.js'
import { compileGlob } from '../../src/model/glob.js'

// A fixed seed, so that a run says the same twice; `FC_SEED=…` explores.
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105) })

const escapeRegex = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

t.test('globs', (t) => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['db.*', 'db.query', true],
    ['db.*', 'db.', true],
    ['db.*', 'db', false],
    ['*', '', true],
    ['', '', true],
    ['', 'a', false],
    ['*.delete', 'a.b.delete', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'abc', true],
    ['a*b*bc', 'abc', false],
    ['a?c', 'abc', false],
    ['a[b]c', 'abc', false],
    ['a**b', 'ab', true],
    ['*a*', 'b\na\n', true],
  ]
  for (const [pattern, text, expected] of cases) t.equal(compileGlob(pattern)(text), expected, `${pattern} ${text}`)
  const few = fc.string({ unit: fc.constantFrom('a', 'b', '*', '.'), maxLength: 8 })
  fc.assert(
    fc.property(few, few, (pattern, text) => {
      const naive = new RegExp(`^${pattern.split('*').map(escapeRegex).join('[^]*')}$`)
      t.equal(compileGlob(pattern)(text), naive.test(text), `${pattern} ${text}`)
    }),
    { numRuns: 2_000 },
  )
  t.end()
})

t.test('word lists', (t) => {
  t.equal(compileContainsAny([])('x'), false)
  t.equal(compileContainsAny([''])('x'), true)
  t.equal(compileContainsAny(['a.b', 'c|d', '['])('axb cd'), false)
  t.equal(compileContainsAny(['a.b', 'c|d', '['])('c|d'), true)
  t.equal(compileContainsAny(['Drop Table'])('drop table'), false)
  t.equal(compileContainsAll([])(''), true)
  t.equal(compileContainsAll(['', 'a'])('b'), false)
  const words = Array.from({ length: 2_000 }, (_, i) => `word${i}!`)
  t.ok(takesAutomaton(words))
  const section = buildWords(words)
  for (const any of [compileContainsAny(words), compileContainsAny(words, section)]) {
    t.equal(any(`${'word'.repeat(50)} word1999! x`), true)
    t.equal(any('word2000!'), false)
    t.equal(any(`${'wor'.repeat(10_000)} word1999! x`), true, 'a long text')
    t.equal(any('wor'.repeat(10_000)), false, 'a long text')
  }
  t.equal(compileContainsAll(words, section)(words.join('')), true)
  t.equal(compileContainsAll(words, section)(words.slice(1).join('')), false)
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '\u{1f4a3}'), maxLength: 12 })
  const list = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\ud83d'), maxLength: 4 }), { maxLength: 9 })
  fc.assert(
    fc.property(list, text, (list, text) => {
      const any = list.some((word) => text.includes(word))
      const all = list.every((word) => text.includes(word))
      t.equal(compileContainsAny(list)(text), any)
      t.equal(compileContainsAll(list)(text), all)
      if (list.includes('')) return
      t.equal(compileContainsAny(list, buildWords(list))(text), any && list.length > 0)
      t.equal(compileContainsAll(list, buildWords(list))(text), all)
    }),
    { numRuns: 1_000 },
  )
  t.end()
})

t.test('regular expressions', (t) => {
  const cases: readonly (readonly [string, string, string, boolean])[] = [
    ['b+', '', 'abc', true],
    ['^b', '', 'abc', false],
    ['^\\d{3}-\\d{2}-\\d{4}$', '', '123-45-6789', true],
    ['HELLO', 'i', 'say hello', true],
    ['a.b', '', 'a\nb', false],
    ['a.b', 's', 'a\nb', true],
    ['(?:a|b)*c', '', 'ababc', true],
    ['\\p{L}+', '', 'é', true],
    ['\\bdrop\\b', 'i', 'a DROP b', true],
    ['', '', '', true],
  ]
  for (const [pattern, flags, text, expected] of cases) {
    t.equal(compileRegex(pattern, flags)(text), expected, `/${pattern}/${flags}`)
  }
  const refused: readonly (readonly [string, string, RegExp])[] = [
    ['(?=a)', '', /^look-around is not supported/],
    ['(?<!a)b', '', /^look-around is not supported/],
    ['(a)\\1', '', /^back-references are not supported/],
    ['(', '', /^missing closing \)/],
    ['[z-a]', '', /^invalid character class range/],
    ['a{1,5000}', '', /^invalid repeat count/],
    ['a', 'g', /^unknown flag `g`/],
    ['a'.repeat(1_001), '', /^the pattern is longer than 1000 characters/],
  ]
  for (const [pattern, flags, message] of refused) {
    t.throws(() => compileRegex(pattern, flags), { name: 'RegexError', message }, pattern.slice(0, 10))
  }
  t.ok(new RegexError('x') instanceof Error)
  t.equal(compileRegex('^(a+)+$', '')(`${'a'.repeat(50_000)}b`), false, 'no backtracking')
  t.end()
})

t.test('regular expressions agree with V8 on the common syntax', (t) => {
  const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\d', '\\w', '(?:a|bc)', '^', '$', '\\b')
  const piece = fc
    .tuple(atom, fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,2}'))
    .map(([one, many]) => (['^', '$', '\\b'].includes(one) ? one : one + many))
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', ' ', '\n', 'A'), maxLength: 12 })
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 5 }), text, fc.constantFrom('', 'i', 's'), (pieces, subject, flags) => {
      const pattern = pieces.join('')
      t.equal(compileRegex(pattern, flags)(subject), new RegExp(pattern, `u${flags}`).test(subject), pattern)
    }),
    { numRuns: 1_000 },
  )
  t.end()
})

const ZONES = [
  'America/New_York',
  'Europe/Berlin',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'UTC',
  'Africa/Monrovia',
  'Pacific/Apia',
]
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

/** Minute of the day and weekday in a zone, asked of Intl each time. */
function naiveLocal(zone: string, atMs: number): { minute: number; weekday: number } {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
  })
  const parts = Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, value]))
  return {
    minute: Number(parts['hour']) * 60 + Number(parts['minute']),
    weekday: WEEKDAYS.indexOf(parts['weekday'] ?? ''),
  }
}

const at = (text: string): number => Date.parse(text)

t.test('time windows at daylight-saving changes', (t) => {
  const window = (from: string, until: string, zone: string, days: readonly number[] | null = null) => {
    const minutes = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
    return compileTimeWindow({ fromMinute: minutes(from), untilMinute: minutes(until), zone, days })
  }
  const newYork = window('09:00', '17:00', 'America/New_York', [1, 2, 3, 4, 5])
  t.equal(newYork(at('2026-01-05T13:59:59.999Z')), false, 'a millisecond before nine')
  t.equal(newYork(at('2026-01-05T14:00Z')), true, 'nine in winter')
  t.equal(newYork(at('2026-01-05T21:59:59.999Z')), true, 'a millisecond before five')
  t.equal(newYork(at('2026-01-05T22:00Z')), false, 'five')
  t.equal(newYork(at('2026-07-06T13:00Z')), true, 'nine in summer')
  t.equal(newYork(at('2026-01-04T15:00Z')), false, 'a Sunday')
  const skipped = window('02:00', '03:00', 'America/New_York')
  t.equal(skipped(at('2026-03-08T06:59Z')), false, 'before the hour that is skipped')
  t.equal(skipped(at('2026-03-08T07:00Z')), false, 'after it')
  const repeated = window('01:00', '02:00', 'America/New_York')
  t.equal(repeated(at('2026-11-01T05:30Z')), true, 'the first half past one')
  t.equal(repeated(at('2026-11-01T06:30Z')), true, 'the second')
  t.equal(repeated(at('2026-11-01T07:00Z')), false)
  const halfHour = window('01:30', '02:00', 'Australia/Lord_Howe')
  t.equal(halfHour(at('2026-04-04T14:45Z')), true, 'a quarter to two, summer')
  t.equal(halfHour(at('2026-04-04T15:15Z')), true, 'a quarter to two again, half an hour later')
  t.equal(halfHour(at('2026-04-04T15:30Z')), false)
  const night = window('22:00', '06:00', 'Europe/Berlin', [5])
  t.equal(night(at('2026-01-09T21:00Z')), true, 'Friday at ten')
  t.equal(night(at('2026-01-10T04:59Z')), true, 'Saturday before six belongs to Friday')
  t.equal(night(at('2026-01-10T05:00Z')), false, 'Saturday at six')
  t.equal(night(at('2026-01-10T21:00Z')), false, 'Saturday at ten')
  t.equal(night(at('2026-01-09T04:00Z')), false, 'Friday morning belongs to Thursday')
  const allDay = window('00:00', '24:00', 'Asia/Kolkata', [0])
  t.equal(allDay(at('2026-01-03T18:30Z')), true, 'Sunday begins')
  t.equal(allDay(at('2026-01-03T18:29Z')), false)
  t.equal(window('09:00', '09:00', 'UTC')(at('2026-01-05T08:00Z')), true, 'from nine to nine is all day')
  t.equal(newYork(-1), false, 'before the epoch')
  t.throws(() => window('09:00', '17:00', 'Mars/Olympus'), RangeError)
  t.end()
})

t.test('time windows agree with Intl at any instant', (t) => {
  const instant = fc.oneof(
    fc.integer({ min: at('1950-01-01'), max: at('2045-01-01') }),
    fc
      .tuple(
        fc.constantFrom(
          '2026-03-08T07:00Z',
          '2026-11-01T06:00Z',
          '2026-03-29T01:00Z',
          '2026-10-25T01:00Z',
          '2026-04-04T15:00Z',
          '2026-10-03T15:30Z',
          '1972-01-07T00:44:30Z',
          '2011-12-30T10:00Z',
        ),
        fc.integer({ min: -5_400_000, max: 5_400_000 }),
      )
      .map(([text, off]) => at(text) + off),
  )
  const minute = fc.nat(1_440)
  const days = fc.option(fc.uniqueArray(fc.nat(6), { maxLength: 7 }))
  fc.assert(
    fc.property(
      fc.constantFrom(...ZONES),
      fc.nat(1_439),
      minute,
      days,
      fc.array(instant, { minLength: 1, maxLength: 4 }),
      (zone, fromMinute, untilMinute, days, instants) => {
        const compiled = compileTimeWindow({ fromMinute, untilMinute, zone, days })
        for (const nowMs of instants) {
          const local = naiveLocal(zone, nowMs)
          const isNextMorning = untilMinute <= fromMinute && local.minute < fromMinute
          const isInside = isNextMorning
            ? local.minute < untilMinute
            : local.minute >= fromMinute && (untilMinute <= fromMinute || local.minute < untilMinute)
          const day = isNextMorning ? (local.weekday + 6) % 7 : local.weekday
          t.equal(
            compiled(nowMs),
            isInside && (days === null || days.includes(day)),
            `${zone} ${new Date(nowMs).toISOString()}`,
          )
        }
      },
    ),
    { numRuns: 1_000 },
  )
  t.end()
})

t.test('the offset of a zone is kept and still right after a change', (t) => {
  const offset = zoneOffset('Australia/Lord_Howe')
  t.equal(offset(at('2026-04-04T14:59:59.999Z')), 11 * 3_600_000)
  t.equal(offset(at('2026-04-04T15:00Z')), 10.5 * 3_600_000)
  t.equal(offset(at('2026-04-04T14:59:59.999Z')), 11 * 3_600_000)
  t.equal(zoneOffset('Australia/Lord_Howe'), offset)
  t.end()
})
