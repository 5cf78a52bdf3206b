import t from 'tap'
import { findRevision } from '../../bench/compare/revision.js'
import { inShort, inThousands, inTime } from '../../bench/support/figures.js'
import { type Plot, renderPlots } from '../../bench/support/plot/plot.js'
import { toScale } from '../../bench/support/plot/scale.js'
import { alternate, ratioOf, spreadOf } from '../../bench/support/rounds.js'
import { toMarkdown, toPlainText } from '../../bench/support/table.js'

t.test('rounds take every case in turn, forwards and backwards, and leave warm-ups out', async (t) => {
  const order: string[] = []
  const counts = { a: 0, b: 0 }
  const measure = (name: 'a' | 'b') => () => {
    order.push(name)
    return (counts[name] += name === 'a' ? 1 : 10)
  }
  const spreads = await alternate(
    new Map([
      ['a', measure('a')],
      ['b', measure('b')],
    ]),
    { rounds: 3 },
  )
  t.equal(order.join(''), 'baabbaab')
  t.same(spreads.get('a'), { median: 3, min: 2, max: 4, samples: [2, 3, 4] })
  t.same(spreads.get('b')?.samples, [20, 30, 40])
  t.equal(ratioOf(spreads.get('b')!, spreads.get('a')!).median, 10)
})

t.test('the median of an even number of samples lies between the middle two', async (t) => {
  t.equal(spreadOf([4, 1, 3, 2]).median, 2.5)
  t.throws(() => spreadOf([]), /at least one sample/)
})

t.test('figures are short, and have their unit', async (t) => {
  for (const [value, text] of [
    [0, '0'],
    [0.4249, '0.425'],
    [12.34, '12.3'],
    [1449.6, '1 450'],
    [1234567, '1 234 567'],
    [Number.POSITIVE_INFINITY, '-'],
  ] as const) {
    t.equal(inShort(value), text)
  }
  t.same([350, 1_200, 28_308_000, 2.5e9].map(inTime), ['350 ns', '1.20 µs', '28.3 ms', '2.50 s'])
  t.same([20, 1_000, 2_500_000].map(inThousands), ['20', '1k', '2.5M'])
})

t.test('a table is aligned in a terminal and escaped in Markdown', async (t) => {
  const table = {
    title: 'Sizes',
    head: ['name', 'ns'],
    rows: [
      ['a|b', '5'],
      ['long name', '1 000'],
    ],
  }
  t.equal(toPlainText(table), 'Sizes\nname          ns\n---------  -----\na|b            5\nlong name  1 000')
  t.equal(toMarkdown(table), '**Sizes**\n\n| name | ns |\n| --- | ---: |\n| a\\|b | 5 |\n| long name | 1 000 |')
})

t.test('a log scale runs over decades, a linear one from nothing', async (t) => {
  const log = toScale({ scale: 'log' }, [30, 40_000], 0, 400)
  t.same(log.ticks, [10, 100, 1_000, 10_000, 100_000])
  t.equal(Math.round(log.at(1_000)), 200)
  t.throws(() => toScale({ scale: 'log' }, [0, 1], 0, 1), /above 0/)
  const linear = toScale({ scale: 'linear' }, [37, 92], 0, 100)
  t.same(linear.ticks, [0, 20, 40, 60, 80, 100])
  t.equal(linear.at(50), 50)
})

t.test('a plot escapes its texts, draws every point inside, and keeps labels apart', async (t) => {
  const axis = { label: 'rules <count>', scale: 'log', format: inThousands } as const
  const lines: Plot = {
    kind: 'lines',
    title: 'Growth & more',
    x: axis,
    y: axis,
    series: ['one', 'two', 'three'].map((name) => ({
      name,
      points: [
        [10, 5],
        [1_000, 7],
      ],
    })),
  }
  const bars: Plot = {
    kind: 'bars',
    title: 'Peers',
    value: axis,
    bars: [
      { name: 'a', value: 1 },
      { name: 'b', value: 900 },
    ],
  }
  const svg = renderPlots([lines, bars])
  t.match(svg, 'Growth &#38; more')
  t.match(svg, 'rules &#60;count&#62;')
  t.match(svg, 'prefers-color-scheme:dark')
  t.equal(svg.match(/<circle /g)?.length, 6)
  t.equal(svg.match(/<rect class="fill/g)?.length, 2)
  t.notMatch(svg, /NaN|Infinity|undefined/)
  const labels = [...svg.matchAll(/<text class="fill\d" x="600" y="([\d.]+)"/g)].map(([, y]) => Number(y))
  t.equal(labels.length, 3)
  t.ok(
    labels.every((y, i) => i === 0 || Math.abs(y - labels[i - 1]!) >= 16),
    `labels at ${labels}`,
  )
  t.equal(svg, renderPlots([lines, bars]))
})

t.test('compare refuses a revision that is none, whatever it looks like', async (t) => {
  for (const name of ['nonsense', '', '--help', 'HEAD:README.md', '\u001b[31m']) {
    t.throws(() => findRevision(name), { message: /^there is no revision "/ }, JSON.stringify(name))
  }
  t.match(findRevision('HEAD').commit, /^[0-9a-f]{40}$/)
})
