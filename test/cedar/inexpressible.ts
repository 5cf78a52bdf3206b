/** What the language of this project has no words for; the runner counts it by reason. */
export class Inexpressible extends Error {
  override readonly name = 'Inexpressible'

  constructor(readonly reason: string) {
    super(reason)
  }
}
