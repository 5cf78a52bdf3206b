/**
 * What changes what a terminal, a log viewer or a reader sees without being seen itself: controls, separators of lines and
 * paragraphs, bidirectional and zero-width marks, variation selectors, tag characters, lone surrogates.
 */
export const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Variation_Selector}|\p{Surrogate}/gu

/** Writes what is {@link UNSEEN} as `\uXXXX`, JSON's own escape: inside a JSON text the value stays the same. */
export function escapeUnseen(text: string): string {
  return text.replace(UNSEEN, (character) => {
    let escaped = ''
    for (let i = 0; i < character.length; i++) {
      escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
    }
    return escaped
  })
}
