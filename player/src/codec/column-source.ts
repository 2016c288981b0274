/** Columns of a mel image that may still be coming, for readers that wait for them. */

import { channel, columns, emptyImage, joined, type MelImage } from "./mel-image";

export class ColumnSource {
  #image: MelImage | undefined;
  readonly #pieces: AsyncIterator<MelImage>;
  #ended = false;

  constructor(pieces: AsyncIterable<MelImage>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** The columns there are, after waiting for `stop` of them or for the end. */
  async upTo(stop: number): Promise<number> {
    while (!this.#ended && this.#frames < stop) {
      const { done, value } = await this.#pieces.next();
      if (done) this.#ended = true;
      else this.#image = this.#image ? joined([this.#image, value]) : value;
    }
    return Math.min(this.#frames, stop);
  }

  /** All columns, after waiting for the end. */
  async whole(): Promise<MelImage> {
    await this.upTo(Number.POSITIVE_INFINITY);
    return this.#image ?? emptyImage(0, 0, 1);
  }

  /** 1 or 3, after waiting for the first columns; 1 of none. */
  async channels(): Promise<number> {
    await this.upTo(1);
    return this.#image?.channels ?? 1;
  }

  /** One channel of columns that are there, frame by frame. */
  channel(which: number, start: number, stop: number): Uint8Array {
    return this.#image ? channel(this.#image, which, start, stop) : new Uint8Array(0);
  }

  get #frames(): number {
    return this.#image?.frames ?? 0;
  }
}

/** A whole image as a source. */
export function sourceOf(image: MelImage): ColumnSource {
  async function* once(): AsyncGenerator<MelImage> {
    if (image.frames) yield columns(image, 0, image.frames);
  }
  return new ColumnSource(once());
}
