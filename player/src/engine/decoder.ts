/**
 * Latents to mel images, tile by tile (`decode_windows` of dmm/songs/joint_diffusion.py).
 *
 * The decoder's norms depend on all that it sees, so where tiles overlap one fades into the next.
 * Columns are given out as soon as no later tile reaches them.
 */

import type { Bundle } from "../bundle/schema";
import { emptyImage, type MelImage } from "../codec/mel-image";
import { layWindows, OVERLAP, type Windows, windowColumns } from "../songs/windows";
import type { PartSession } from "./session";

/** Latents that one tile of WebAssembly has at most, 64 × 64: half a gigabyte for SDXL's decoder. */
const MOST_CELLS = 4096;

interface Tile {
  rows: number[];
  columns: number[];
}

export class Decoder {
  constructor(
    readonly session: PartSession,
    readonly latent: Bundle["latent"],
    readonly stereo: boolean,
  ) {}

  /** The image of a latent (channels, rows, length), in pieces from left to right. */
  async *decode(latent: Float32Array, windows: Windows): AsyncGenerator<MelImage> {
    const { rows, factor } = this.latent;
    const picture = new TileBlender(rows * factor, windows.length * factor, this.stereo ? 3 : 1);
    const columnTiles = tileColumns(windows, rows);
    const rowTiles = layWindows(rows, tileSide(rows, columnTiles.width));
    for (const number of columnTiles.starts.keys()) {
      const columns = windowColumns(columnTiles, number);
      for (const row of rowTiles.starts.keys()) {
        const tile = { rows: windowColumns(rowTiles, row), columns };
        picture.add(await this.#run(latent, windows.length, tile), tile, factor);
      }
      const piece = picture.finished(columnTiles, number, factor);
      if (piece) yield piece;
    }
  }

  /** Pixels in 0..1, (colours, rows, columns). */
  async #run(latent: Float32Array, length: number, { rows, columns }: Tile): Promise<Float32Array> {
    const { channels, rows: height } = this.latent;
    const data = new Float32Array(channels * rows.length * columns.length);
    let to = 0;
    for (let channel = 0; channel < channels; channel++) {
      for (const row of rows) {
        for (const column of columns) {
          data[to++] = latent[(channel * height + row) * length + column];
        }
      }
    }
    const dims = [1, channels, rows.length, columns.length];
    const { image } = await this.session.run({ latents: { data, dims } });
    return image.map((value) => Math.min(Math.max(value / 2 + 0.5, 0), 1));
  }
}

/** Windows themselves, or narrower tiles where they are too large. */
function tileColumns(windows: Windows, rows: number): Windows {
  if (rows * windows.width <= MOST_CELLS) return windows;
  const side = Math.floor(Math.sqrt(MOST_CELLS));
  return layWindows(windows.length, Math.min(side, windows.width));
}

const tileSide = (rows: number, width: number): number =>
  Math.min(rows, Math.floor(MOST_CELLS / width));

/** A picture into which tiles fade; pixels are sums of shares until they are finished. */
class TileBlender {
  readonly #total: Float32Array;
  readonly #weight: Float32Array;
  #given = 0;

  constructor(
    readonly height: number,
    readonly width: number,
    readonly channels: number,
  ) {
    this.#total = new Float32Array(height * width * channels);
    this.#weight = new Float32Array(height * width);
  }

  add(pixels: Float32Array, { rows, columns }: Tile, factor: number): void {
    const [height, width] = [rows.length * factor, columns.length * factor];
    const colours = pixels.length / (height * width);
    const [byRow, byColumn] = [shares(height), shares(width)];
    for (let x = 0; x < width; x++) {
      const toX = columns[Math.floor(x / factor)] * factor + (x % factor);
      for (let y = 0; y < height; y++) {
        const share = byRow[y] * byColumn[x];
        const toY = rows[Math.floor(y / factor)] * factor + (y % factor);
        const cell = toX * this.height + toY;
        this.#weight[cell] += share;
        this.#put(cell, share, pixels, y * width + x, height * width, colours);
      }
    }
  }

  /** All colours, or their mean. */
  #put(
    cell: number,
    share: number,
    pixels: Float32Array,
    from: number,
    plane: number,
    colours: number,
  ): void {
    if (this.channels === 3) {
      for (let c = 0; c < 3; c++) {
        this.#total[3 * cell + c] += share * pixels[(c % colours) * plane + from];
      }
      return;
    }
    let sum = 0;
    for (let c = 0; c < colours; c++) sum += pixels[c * plane + from];
    this.#total[cell] += (share * sum) / colours;
  }

  /** The columns that no tile after this one reaches and that were not given out before. */
  finished(tiles: Windows, number: number, factor: number): MelImage | undefined {
    const isLast = number === tiles.starts.length - 1;
    const wraps = tiles.starts[tiles.starts.length - 1] + tiles.width > tiles.length;
    const stop = isLast ? this.width : wraps ? 0 : tiles.starts[number + 1] * factor;
    if (stop <= this.#given) return undefined;
    const piece = emptyImage(this.height, stop - this.#given, this.channels);
    for (let i = 0; i < piece.frames * this.height; i++) {
      const cell = this.#given * this.height + i;
      const frame = Math.floor(i / this.height);
      const row = this.height - 1 - (i % this.height); // the picture's top is the highest row
      for (let c = 0; c < this.channels; c++) {
        const value = this.#total[cell * this.channels + c] / this.#weight[cell];
        piece.levels[(frame * this.height + row) * this.channels + c] = Math.round(value * 255);
      }
    }
    this.#given = stop;
    return piece;
  }
}

/** Weights of a tile's pixels along one axis: 1 in the middle, falling towards both ends. */
function shares(width: number): Float32Array {
  return Float32Array.from({ length: width }, (_, i) =>
    Math.min((Math.min(i, width - 1 - i) + 0.5) / (OVERLAP * width), 1),
  );
}
