export type JsonErrorCode =
  | 'syntax'
  | 'encoding'
  | 'duplicate-key'
  | 'forbidden-key'
  | 'number-range'
  | 'too-deep'
  | 'too-large'
  | 'not-an-object'
  | 'bad-value'

/**
 * Why a text or a protobuf value is no JSON that we accept. `message` is one sentence for the caller; text of the input is
 * quoted in it with control characters escaped.
 */
export class JsonError extends Error {
  override readonly name = 'JsonError'
  readonly code: JsonErrorCode
  /** Offset in the UTF-8 form of the text, from 0; -1 where the input is no text. */
  readonly byteOffset: number
  /** Where in the value: `$`, `$.a["odd key"][3]`. */
  readonly path: string

  constructor(code: JsonErrorCode, what: string, byteOffset: number, path: string) {
    super(byteOffset < 0 ? `${what} (at ${path})` : `${what} (at ${path}, byte ${byteOffset})`)
    this.code = code
    this.byteOffset = byteOffset
    this.path = path
  }
}

/** Keys longer than this are cut in messages, so that no error is as long as its input. */
const SHOWN_KEY_CHARACTERS = 64

/** `$.a[3]["odd key"]` out of `['a', 3, 'odd key']`. */
export function jsonPath(steps: readonly (string | number)[]): string {
  let path = '$'
  for (const step of steps) {
    if (typeof step === 'number') path += `[${step}]`
    else if (/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(step)) path += `.${step}`
    else path += `[${quoteForMessage(step)}]`
  }
  return path
}

/** The text in double quotes, cut, with everything outside printable ASCII as `\uXXXX`. */
export function quoteForMessage(text: string): string {
  const cut = text.length > SHOWN_KEY_CHARACTERS ? `${text.slice(0, SHOWN_KEY_CHARACTERS)}…` : text
  return JSON.stringify(cut).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
