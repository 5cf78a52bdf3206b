import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { sampleRecord } from '../../bench/fault/audit/record.js'
import { openAuditLog } from '../../src/audit/index.js'
import { encodeFrame, encodeHeader, HEADER_BYTES, MAX_PAYLOAD_BYTES } from '../../src/audit/spool/format.js'
import { type Reading, SpoolReader } from '../../src/audit/spool/reader.js'
import { listSegments, segmentName } from '../../src/audit/spool/segments.js'
import { Spool, type SpoolOptions } from '../../src/audit/spool/spool.js'
import type { Durability } from '../../src/model/audit-record.js'
import { encodeMembers, temporaryFolder, until } from './support.js'

// A fixed seed, so that a run says the same twice; `FC_SEED=…` explores.
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105) })

const LIMITS = { maxRows: 1_000, maxBytes: 1024 * 1024 }
const MEMBERS = '"text":"what a row has behind its number"'
const lineOf = (seq: number): string => `{"writer_id":"w","seq":${seq},${MEMBERS}}\n`

/** Resolves when the record is as safe as was asked for. */
function append(spool: Spool<string>, durability: Durability = 'written', members = MEMBERS): Promise<void> {
  return new Promise((resolve, reject) => {
    spool.append(members, durability, (failure) => (failure === null ? resolve() : reject(failure)))
  })
}

function openSpool(
  folder: string,
  options: Partial<SpoolOptions<string>> = {},
): { spool: Spool<string>; problems: string[] } {
  const problems: string[] = []
  const spool = new Spool({
    folder,
    encode: encodeMembers,
    clock: () => 0,
    onProblem: (problem) => problems.push(problem),
    ...options,
  })
  return { spool, problems }
}

async function fill(folder: string, count: number, options: Partial<SpoolOptions<string>> = {}): Promise<string[]> {
  const { spool, problems } = openSpool(folder, options)
  // One a turn, so that each has a frame of its own, and safe each, so that no sync keeps a segment open.
  for (let i = 0; i < count; i++) await append(spool, 'fsync')
  await spool.close()
  return problems
}

/** All that a reader finds until it finds nothing. */
function readAll(folder: string, limits = LIMITS): { seqs: number[]; gaps: [number, number][]; problems: string[] } {
  const problems: string[] = []
  const reader = new SpoolReader(folder, (problem) => problems.push(problem))
  reader.seek(0)
  const seqs: number[] = []
  const gaps: [number, number][] = []
  for (let reading: Reading = reader.read(limits); reading.kind !== 'none'; reading = reader.read(limits)) {
    if (reading.kind === 'gap') gaps.push([reading.from, reading.to])
    else seqs.push(...reading.rows.split().map((row) => row.seq))
  }
  return { seqs, gaps, problems }
}

const rowBytes = (spool: Spool<string>, seq: number): number => lineOf(seq).length - 1 + spool.writerId.length
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1)
const lastSegment = (folder: string): string => listSegments(folder).at(-1)?.path ?? ''

t.test('records come back in order, over segments and restarts', async (t) => {
  const folder = temporaryFolder(t)
  await fill(folder, 100, { segmentBytes: 1_000 })
  t.ok(listSegments(folder).length > 3)
  await fill(folder, 100)
  const { spool, problems } = openSpool(folder)
  t.equal(spool.status().lastSeq, 200)
  t.same(problems, [])
  await Promise.all(Array.from({ length: 51 }, (_, i) => append(spool, i % 5 === 0 ? 'written' : 'fsync')))
  const id = spool.writerId
  await spool.close()
  t.same(readAll(folder), { seqs: upTo(251), gaps: [], problems: [] })
  t.same(readAll(folder, { maxRows: 7, maxBytes: 100 }).seqs, upTo(251), 'small batches')
  const again = openSpool(folder).spool
  t.equal(again.writerId, id, 'the writer id stays')
  await again.close()
  await t.rejects(append(again), { name: 'AuditUnavailable', message: /closed/ })
})

t.test('the records of one turn lie in one frame', async (t) => {
  const folder = temporaryFolder(t)
  const { spool } = openSpool(folder)
  const bytesBefore = statSync(lastSegment(folder)).size
  const told: number[] = []
  for (let i = 0; i < 20; i++) spool.append(MEMBERS, i % 4 === 0 ? 'fsync' : 'written', () => told.push(i))
  t.same(told, [], 'nobody is told before the write')
  t.equal(statSync(lastSegment(folder)).size, bytesBefore)
  t.equal(spool.status().lastSeq, 0)
  await append(spool)
  t.same(
    told.toSorted((a, b) => a - b).filter((i) => i % 4 !== 0),
    upTo(19).filter((i) => i % 4 !== 0),
  )
  await spool.flush()
  t.equal(told.length, 20)
  t.equal(
    statSync(lastSegment(folder)).size - bytesBefore,
    16 + upTo(21).reduce((sum, seq) => sum + rowBytes(spool, seq), 0),
  )
  const big = `"text":"${'x'.repeat(60_000)}"`
  await Promise.all(Array.from({ length: 40 }, () => append(spool, 'fsync', big)))
  await spool.close()
  t.same(readAll(folder), { seqs: upTo(61), gaps: [], problems: [] }, 'frames and writes stay within their bounds')
  t.same(readAll(folder, { maxRows: 4, maxBytes: 1_000_000 }).seqs, upTo(61), 'a batch may end within a frame')
  truncateSync(lastSegment(folder), statSync(lastSegment(folder)).size - 1)
  t.same(readAll(folder).seqs, upTo(59), 'the last frame had two of them')
  truncateSync(lastSegment(folder), bytesBefore + 100)
  await fill(folder, 2)
  t.same(readAll(folder), { seqs: upTo(2), gaps: [], problems: [] }, 'a torn frame is none of its records')
})

t.test('a run is whole frames, over the ends of segments, and frames of one record without a line break', async (t) => {
  const folder = temporaryFolder(t)
  // As version 1 wrote them.
  const frames = upTo(3).map((seq) => encodeFrame(seq, lineOf(seq).trimEnd()))
  const header = encodeHeader({ writerId: '0'.repeat(36), epoch: 1, firstSeq: 1 })
  writeFileSync(join(folder, segmentName(1, 1)), Buffer.concat([header, ...frames]))
  const rest = encodeFrame(3, upTo(6).slice(2).map(lineOf).join(''))
  writeFileSync(
    join(folder, segmentName(3, 2)),
    Buffer.concat([encodeHeader({ writerId: '0'.repeat(36), epoch: 2, firstSeq: 3 }), rest]),
  )
  const reader = new SpoolReader(folder, () => t.fail('no problem expected'))
  reader.seek(0)
  const reading = reader.read(LIMITS)
  if (reading.kind !== 'rows') return t.fail(`found ${reading.kind}`)
  const { rows, segments, full } = reading
  t.same([rows.first, rows.last, rows.count, rows.isRun, full], [1, 6, 6, true, false])
  t.equal(segments.length, 2)
  t.equal(Buffer.concat(rows.ndjson).toString(), upTo(6).map(lineOf).join(''))
  t.same(
    rows.split().map(({ seq, payload }) => [seq, `${payload}\n`]),
    upTo(6).map((seq) => [seq, lineOf(seq)]),
  )
  const left = rows.without(new Set([1, 2, 5]))
  t.same([left.first, left.last, left.count, left.isRun], [3, 6, 3, false])
  t.equal(Buffer.concat(left.ndjson).toString(), [3, 4, 6].map(lineOf).join(''))
  t.same(reader.read(LIMITS), { kind: 'none' })
})

t.test('a segment that is due under load is followed when the disk has caught up', async (t) => {
  const folder = temporaryFolder(t)
  const { spool, problems } = openSpool(folder, { segmentBytes: 2_000 })
  for (let round = 0; round < 60; round++) {
    await Promise.all(Array.from({ length: 5 }, (_, i) => append(spool, i === round % 9 ? 'fsync' : 'written')))
  }
  await spool.close()
  t.same(problems, [])
  t.ok(listSegments(folder).length > 5)
  t.same(readAll(folder), { seqs: upTo(300), gaps: [], problems: [] })
})

t.test('a segment is closed by age', async (t) => {
  const folder = temporaryFolder(t)
  let now = 0
  const { spool } = openSpool(folder, { clock: () => now, segmentMs: 60_000 })
  await append(spool)
  now = 59_999
  await append(spool)
  t.equal(listSegments(folder).length, 1)
  now = 60_000
  await append(spool)
  t.equal(listSegments(folder).length, 2)
  await spool.close()
})

t.test('what the end of the last segment may look like after a crash', async (t) => {
  const ends: Record<string, { readonly tail: Buffer; readonly name: string }> = {
    'half a frame header': { tail: encodeFrame(11, 'abc').subarray(0, 7), name: 'cut' },
    'a frame without its last byte': { tail: encodeFrame(11, 'abcdef').subarray(0, -1), name: 'cut' },
    'zeros, as after a power cut': { tail: Buffer.alloc(5_000), name: 'cut' },
    'a frame with a wrong checksum': {
      tail: Buffer.concat([encodeFrame(11, 'abcdef').subarray(0, -1), Buffer.from('x')]),
      name: 'cut',
    },
    'a length beyond any frame': { tail: Buffer.alloc(64, 0xff), name: 'cut' },
  }
  for (const [name, { tail }] of Object.entries(ends)) {
    const folder = temporaryFolder(t)
    await fill(folder, 10)
    const path = lastSegment(folder)
    const size = statSync(path).size
    appendFileSync(path, tail)
    const { spool, problems } = openSpool(folder)
    t.equal(statSync(path).size, size, `${name}: cut to the last valid frame`)
    t.match(problems, [/cut \d+ bytes of an unfinished record/], name)
    await append(spool)
    await spool.close()
    t.same(readAll(folder), { seqs: upTo(11), gaps: [], problems: [] }, name)
  }
  await t.test('a segment that was made and not written', async (t) => {
    for (const length of [0, 10, HEADER_BYTES - 1]) {
      const folder = temporaryFolder(t)
      await fill(folder, 10)
      writeFileSync(join(folder, segmentName(11, 9)), Buffer.alloc(length, 1))
      await fill(folder, 5)
      t.same(readAll(folder).seqs, upTo(15), `${length} bytes`)
    }
  })
})

t.test('cutting anywhere keeps a prefix and lets the spool go on', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.nat(2_000), async (keep) => {
      const folder = temporaryFolder(t)
      await fill(folder, 20)
      const path = lastSegment(folder)
      const size = statSync(path).size
      truncateSync(path, Math.min(size, keep))
      const kept = readAll(folder).seqs
      await fill(folder, 3)
      const after = readAll(folder)
      const isPrefix = kept.every((seq, i) => seq === i + 1)
      rmSync(folder, { recursive: true })
      return isPrefix && after.gaps.length === 0 && after.seqs.length === kept.length + 3
    }),
    { numRuns: 30 },
  )
})

t.test('a damaged frame in the middle is never cut away', async (t) => {
  const folder = temporaryFolder(t)
  await fill(folder, 30)
  const path = lastSegment(folder)
  const bytes = readFileSync(path)
  const at = bytes.indexOf('"seq":12,')
  bytes[at + 3] = 0x21
  writeFileSync(path, bytes)

  const { spool, problems } = openSpool(folder)
  t.match(problems, [/is damaged: valid records follow.*copy in .*quarantine/])
  t.same(readFileSync(path), bytes, 'the file is as it was')
  t.same(
    readFileSync(join(folder, 'quarantine', readdirSync(join(folder, 'quarantine'))[0] ?? '')),
    bytes,
    'with a copy',
  )
  await append(spool)
  await spool.close()
  const { seqs, gaps, problems: found } = readAll(folder)
  t.same(
    seqs,
    upTo(31).filter((seq) => seq !== 12),
    'all others are read',
  )
  t.same(gaps, [[12, 12]])
  t.match(found, [/is damaged near byte/])
})

t.test('a reader follows a writer', async (t) => {
  const folder = temporaryFolder(t)
  const { spool } = openSpool(folder, { segmentBytes: 2_000 })
  const reader = new SpoolReader(folder, () => t.fail('no problem expected'))
  reader.seek(0)
  t.same(reader.read(LIMITS), { kind: 'none' })
  const seen: number[] = []
  for (let round = 0; round < 50; round++) {
    await Promise.all(Array.from({ length: round % 7 }, () => append(spool)))
    const reading = reader.read({ maxRows: 4, maxBytes: 300 })
    if (reading.kind === 'rows') seen.push(...reading.rows.split().map((row) => row.seq))
    // What the shipper removes when it has stored it: everything but the last segment.
    if (round % 10 === 9)
      for (const segment of listSegments(folder).slice(0, -1))
        if (segment.firstSeq < (seen.at(-1) ?? 0) - 200) rmSync(segment.path)
  }
  for (let reading = reader.read(LIMITS); reading.kind === 'rows'; reading = reader.read(LIMITS))
    seen.push(...reading.rows.split().map((row) => row.seq))
  t.same(seen, upTo(spool.status().lastSeq))
  await spool.close()
})

t.test('a segment that repeats the end of the one before it is read once', (t) => {
  const folder = temporaryFolder(t)
  const writerId = '00000000-0000-4000-8000-000000000000'
  const segment = (firstSeq: number, epoch: number, seqs: readonly number[]): void =>
    writeFileSync(
      join(folder, segmentName(firstSeq, epoch)),
      Buffer.concat([encodeHeader({ writerId, epoch, firstSeq }), ...seqs.map((seq) => encodeFrame(seq, lineOf(seq)))]),
    )
  segment(1, 1, [1, 2, 3, 4, 5])
  segment(4, 2, [4, 5, 6])
  segment(7, 3, [7])
  t.same(readAll(folder), { seqs: upTo(7), gaps: [], problems: [] }, 'a sync failed, its frames were written again')
  segment(1, 1, [1, 2, 3])
  t.same(readAll(folder).seqs, upTo(7), 'the old segment lost them')
  rmSync(join(folder, segmentName(4, 2)))
  t.same(readAll(folder).gaps, [[4, 6]], 'nobody has them')
  segment(8, 4, [])
  segment(8, 5, [8])
  t.same(readAll(folder).seqs, [1, 2, 3, 7, 8], 'an empty one in between')
  t.end()
})

t.test('a spool that lost its segments becomes another writer', async (t) => {
  const folder = temporaryFolder(t)
  await fill(folder, 3)
  const id = readFileSync(join(folder, 'writer'), 'utf8')
  for (const segment of listSegments(folder)) rmSync(segment.path)
  await fill(folder, 3)
  t.not(readFileSync(join(folder, 'writer'), 'utf8'), id, 'numbers that begin again must not be taken for stored ones')
  writeFileSync(join(folder, 'writer'), 'nonsense')
  t.throws(() => openSpool(folder), { name: 'AuditUnavailable', message: /holds no writer id/ })
})

t.test('a full spool refuses and takes records again when there is room', async (t) => {
  const folder = temporaryFolder(t)
  const { spool, problems } = openSpool(folder, { maxBytes: 4_000 })
  const appendUntilFull = async (): Promise<void> => {
    for (let i = 0; i < 1_000; i++) await append(spool)
  }
  await t.rejects(appendUntilFull(), { name: 'AuditUnavailable', message: /spool is full \(\d+ of 4000 bytes/ })
  await t.rejects(Promise.all([append(spool), append(spool, 'fsync')]), { name: 'AuditUnavailable' })
  t.equal(problems.length, 1, 'told once')
  t.match(spool.status().refusing, /full/)
  const kept = spool.status().lastSeq
  await spool.flush()
  await t.rejects(append(spool))
  t.ok(listSegments(folder).length > 1, 'all but an empty last segment can be removed')
  for (const segment of listSegments(folder).slice(0, -1)) rmSync(segment.path)
  // A full spool looks for room a few times a second.
  await until(() =>
    append(spool).then(
      () => true,
      () => false,
    ),
  )
  t.equal(spool.status().lastSeq, kept + 1, 'a refused record used up no number')
  t.equal(spool.status().refusing, null)
  await spool.close()
  t.same(readAll(folder).seqs, [kept + 1])
})

t.test('a record that no frame holds is refused, the next is taken', async (t) => {
  const { spool } = openSpool(temporaryFolder(t))
  for (const text of ['x'.repeat(MAX_PAYLOAD_BYTES), '\u20ac'.repeat(MAX_PAYLOAD_BYTES / 3)]) {
    await t.rejects(append(spool, 'written', `"text":"${text}"`), { name: 'AuditUnavailable', message: /too large/ })
  }
  await append(spool)
  t.equal(spool.status().lastSeq, 1)
  await spool.close()
})

const isRoot = process.getuid?.() === 0
/** A small file system of its own; null where this process may not make one. */
function smallDisk(t: Test, size: string): string | null {
  const folder = temporaryFolder(t)
  const disk = join(folder, 'disk')
  mkdirSync(disk)
  if (!isRoot || spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk]).status !== 0) return null
  t.teardown(() => spawnSync('umount', ['-l', disk]))
  return disk
}

t.test('a disk that is really full', async (t) => {
  const disk = smallDisk(t, '256k')
  if (!disk) {
    t.pass('skipped: needs the right to mount a tmpfs')
    return
  }
  const ballast = join(disk, 'ballast')
  writeFileSync(ballast, Buffer.alloc(64 * 1024))
  const log = openAuditLog({ dataDir: disk, onProblem: () => undefined })
  let taken = 0
  const appendNext = async (): Promise<void> => {
    await log.append(sampleRecord(taken, 0), 'written')
    taken++
  }
  const appendUntilFull = async (): Promise<void> => {
    for (let i = 0; i < 10_000; i++) await appendNext()
  }
  await t.rejects(appendUntilFull(), { name: 'AuditUnavailable', message: /ENOSPC/ })
  await t.rejects(appendNext(), { name: 'AuditUnavailable' }, 'it stays refused')
  t.ok(taken > 10)
  rmSync(ballast)
  await appendNext()
  await log.append(sampleRecord(taken++, 0), 'fsync')
  await log.close()
  t.same(
    readAll(join(disk, 'audit', 'spool')),
    { seqs: upTo(taken), gaps: [], problems: [] },
    'taken = readable, no partial record',
  )
})

t.test('a folder that cannot be written', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'file')
  writeFileSync(file, '')
  const noPlaces: Record<string, string> = {
    'a file': file,
    'below a file': join(file, 'data'),
    proc: '/proc/self/data',
  }
  for (const [name, dataDir] of Object.entries(noPlaces)) {
    t.throws(
      () => openAuditLog({ dataDir }),
      { name: 'AuditUnavailable', message: /^the audit cannot be written in .*: .* No call can be allowed/ },
      name,
    )
  }
  const disk = smallDisk(t, '1m')
  if (!disk) return
  const log = openAuditLog({ dataDir: disk, onProblem: () => undefined })
  await log.append(sampleRecord(1, 0), 'fsync')
  await log.close()
  t.equal(spawnSync('mount', ['-o', 'remount,ro', disk]).status, 0)
  t.throws(() => openAuditLog({ dataDir: disk }), { name: 'AuditUnavailable', message: /EROFS|read-only/ })
  t.equal(spawnSync('mount', ['-o', 'remount,rw', disk]).status, 0)
  await openAuditLog({ dataDir: disk }).close()
  t.same(readAll(join(disk, 'audit', 'spool')).seqs, [1], 'nothing was changed meanwhile')
})

t.test('a spool folder that vanishes while the server runs', async (t) => {
  const dataDir = temporaryFolder(t)
  let now = 0
  const log = openAuditLog({ dataDir, clock: () => now, segmentMs: 60_000, onProblem: () => undefined })
  await log.append(sampleRecord(1, 0), 'fsync')
  rmSync(join(dataDir, 'audit'), { recursive: true })
  now = 60_000
  await t.rejects(log.append(sampleRecord(2, 0), 'written'), { name: 'AuditUnavailable', message: /ENOENT/ })
  mkdirSync(join(dataDir, 'audit', 'spool'), { recursive: true })
  await log.append(sampleRecord(3, 0), 'fsync')
  t.equal(log.status().lastSeq, 2, 'it recovers without a restart')
  await log.close()
})
