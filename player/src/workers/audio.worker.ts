/** Turns mel images into sound while their columns are still coming. */

import { softLimit, streamDecode } from "../codec/decode";
import { concat } from "../codec/framing";
import type { MelImage } from "../codec/mel-image";
import type { Sound } from "../codec/mid-side";
import { resampleLoop } from "../songs/loop";
import type { AudioCalls } from "./calls";
import { Queue } from "./queue";
import { serve } from "./rpc";

let columns = new Queue<MelImage>();

serve<AudioCalls>(self, {
  async begin({ fmt, quality, loop, samples }, { emit, signal }) {
    columns.end();
    columns = new Queue<MelImage>();
    const blocks = streamDecode(columns, fmt, quality, loop);
    const send = (sound: Sound) =>
      emit(
        sound,
        sound.map(({ buffer }) => buffer),
      );
    if (loop) {
      send(await wholeLoop(blocks, samples));
      return undefined;
    }
    for await (const block of blocks) {
      signal.throwIfAborted();
      send(block);
    }
    return undefined;
  },
  async columns(image) {
    columns.push(image);
    return undefined;
  },
  async end() {
    columns.end();
    return undefined;
  },
});

/** A loop at its exact length. */
async function wholeLoop(blocks: AsyncIterable<Sound>, samples: number): Promise<Sound> {
  const held: Sound[] = [];
  for await (const block of blocks) held.push(block);
  return held[0].map((_, channel) => {
    const sound = resampleLoop(concat(held.map((block) => block[channel])), samples);
    softLimit(sound);
    return sound;
  });
}
