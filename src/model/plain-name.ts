const PLAIN = /^[!-~](?:[ -~]*[!-~])?$/
const UNSEEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u

/**
 * Why a name of a tool or an environment could be taken for another one by people or programs, or null. Rules know names
 * by their exact text, so that `prod ` or a full-width `ｐｒｏｄ` would slip past those about `prod`.
 */
export function nameFault(name: string): string | null {
  if (PLAIN.test(name)) return null
  if (UNSEEN.test(name)) return 'holds a control character or one that is not seen'
  if (name !== name.trim()) return 'begins or ends with white space'
  return name === name.normalize('NFKC')
    ? null
    : 'holds characters that stand for others (it differs from its NFKC form)'
}
