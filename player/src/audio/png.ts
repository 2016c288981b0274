/** Mel images as PNG files that carry their format, which `dmm decode` reads (dmm/codec/image.py). */

import type { MelFormat } from "../codec/format";
import type { MelImage } from "../codec/mel-image";
import { concatBytes } from "./bytes";
import { crc32 } from "./crc";

const MARK = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const GREY = 0;
const RGB = 2;
/** Each pixel beside the one above it: rows of mel images are much alike. */
const FILTER_UP = 2;

export async function pngFile(image: MelImage, fmt: MelFormat): Promise<Uint8Array<ArrayBuffer>> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, image.frames);
  view.setUint32(4, image.rows);
  header[8] = 8;
  header[9] = image.channels === 1 ? GREY : RGB;
  return concatBytes([
    MARK,
    chunk("IHDR", header),
    chunk("iTXt", new TextEncoder().encode(`dmm\0\0\0\0\0${JSON.stringify(fmt)}`)),
    chunk("IDAT", await deflate(filtered(image))),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

function chunk(kind: string, data: Uint8Array): Uint8Array {
  const body = concatBytes([new TextEncoder().encode(kind), data]);
  const whole = new Uint8Array(body.length + 8);
  const view = new DataView(whole.buffer);
  view.setUint32(0, data.length);
  whole.set(body, 4);
  view.setUint32(body.length + 4, crc32(body));
  return whole;
}

/** Pixel rows from the highest frequency down, each behind the number of its filter. */
function filtered({ rows, frames, channels, levels }: MelImage): Uint8Array<ArrayBuffer> {
  const width = frames * channels;
  const lines = new Uint8Array(rows * (width + 1));
  for (let y = 0; y < rows; y++) {
    const line = y * (width + 1);
    lines[line] = FILTER_UP;
    for (let frame = 0; frame < frames; frame++) {
      for (let c = 0; c < channels; c++) {
        const at = (frame * rows + rows - 1 - y) * channels + c;
        const above = y ? levels[at + channels] : 0;
        lines[line + 1 + frame * channels + c] = levels[at] - above;
      }
    }
  }
  return lines;
}

async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
