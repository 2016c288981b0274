/** One sound at a time, also one that is still being made. */

import type { Sound } from "../codec/mid-side";

/** Sound that has to be there before it plays while more is coming, seconds. */
const AHEAD_S = 1.5;
const START_S = 0.03;
/** Silence after which the sound device is closed: an open one takes processor time and memory. */
const IDLE_MS = 3000;

/** A sound that grows until it is whole. */
export class Track {
  readonly blocks: Sound[] = [];
  samples = 0;
  /** No more will come. */
  whole = false;
  onGrow: () => void = () => undefined;

  constructor(
    readonly sr: number,
    /** Samples that there will be. */
    readonly expected: number,
    readonly loop: boolean,
  ) {}

  add(block: Sound): void {
    this.blocks.push(block);
    this.samples += block[0].length;
    this.onGrow();
  }

  end(): void {
    this.whole = true;
    this.onGrow();
  }

  /** Forget all samples: it is made again. */
  clear(): void {
    this.blocks.length = 0;
    this.samples = 0;
  }

  get seconds(): number {
    return this.expected / this.sr;
  }

  /** The samples that there are, from one on. */
  sound(from = 0): Sound {
    const channels = this.blocks[0]?.length ?? 1;
    const found = Array.from(
      { length: channels },
      () => new Float32Array(Math.max(0, this.samples - from)),
    );
    let at = -from;
    for (const block of this.blocks) {
      const skipped = Math.max(0, -at);
      if (skipped < block[0].length) {
        for (const [channel, samples] of block.entries()) {
          found[channel].set(samples.subarray(skipped), at + skipped);
        }
      }
      at += block[0].length;
    }
    return found;
  }
}

export interface PlaybackListener {
  /** Called on every frame while it plays, and when it stops; seconds. */
  onTime(time: number): void;
  onPlaying(playing: boolean): void;
}

interface Playing {
  track: Track;
  view: PlaybackListener;
  context: AudioContext;
  /** The context's time at which the track's beginning would have played. */
  began: number;
  /** Samples that are scheduled. */
  scheduled: number;
  /** Where it was started, samples. */
  from: number;
  sources: Set<AudioBufferSourceNode>;
}

export class Playback {
  readonly #contexts = new Map<number, AudioContext>();
  #idle: ReturnType<typeof setTimeout> | undefined;
  #playing: Playing | undefined;
  /** Counts calls of play and stop, so that a later one ends the wait of an earlier one. */
  #calls = 0;

  isPlaying(track: Track): boolean {
    return this.#playing?.track === track;
  }

  /** Seconds into the track that plays; 0 of any other. */
  time(track: Track): number {
    return this.#playing?.track === track ? placeOf(this.#playing) : 0;
  }

  /** Play a track from a second on, once enough of it is there. */
  async play(track: Track, view: PlaybackListener, from = 0): Promise<void> {
    this.stop();
    clearTimeout(this.#idle);
    const context = this.#context(track.sr);
    const call = this.#calls;
    await context.resume();
    if (call !== this.#calls) return;
    const start = Math.max(0, Math.min(Math.floor(from * track.sr), track.expected - 1));
    const playing: Playing = {
      track,
      view,
      context,
      began: context.currentTime + START_S - start / track.sr,
      scheduled: start,
      from: start,
      sources: new Set(),
    };
    this.#playing = playing;
    view.onPlaying(true);
    track.onGrow = () => this.#schedule(playing);
    this.#schedule(playing);
    this.#follow(playing);
  }

  /** Stop what plays, which stays where it is. */
  stop(): void {
    this.#calls++;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#closeDevices(), IDLE_MS);
    const playing = this.#playing;
    if (!playing) return;
    this.#playing = undefined;
    playing.track.onGrow = () => undefined;
    for (const source of playing.sources) source.stop();
    const { seconds } = playing.track;
    playing.view.onTime(Math.min(placeOf(playing), seconds));
    playing.view.onPlaying(false);
  }

  #closeDevices(): void {
    for (const context of this.#contexts.values()) void context.close();
    this.#contexts.clear();
  }

  /** A context of the sound's own rate, so that blocks meet to the sample. */
  #context(sr: number): AudioContext {
    const known = this.#contexts.get(sr);
    if (known) return known;
    const context = new AudioContext({ sampleRate: sr });
    this.#contexts.set(sr, context);
    return context;
  }

  #schedule(playing: Playing): void {
    if (this.#playing !== playing) return;
    const { track, context, scheduled } = playing;
    const isReady = track.whole || track.samples - scheduled >= AHEAD_S * track.sr;
    if (scheduled >= track.samples || !isReady) return;
    const due = playing.began + scheduled / track.sr;
    if (due < context.currentTime) playing.began += context.currentTime + START_S - due;
    const isLoop = track.loop && track.whole;
    const piece = track.sound(isLoop ? 0 : scheduled);
    const source = context.createBufferSource();
    source.buffer = toBuffer(context, piece, track.sr);
    source.loop = isLoop;
    source.connect(context.destination);
    source.onended = () => {
      playing.sources.delete(source);
      const isOver = track.whole && playing.scheduled >= track.samples && !playing.sources.size;
      if (isOver && this.#playing === playing) this.#finish(playing);
    };
    source.start(playing.began + scheduled / track.sr, isLoop ? scheduled / track.sr : 0);
    playing.sources.add(source);
    playing.scheduled = track.samples;
  }

  #finish(playing: Playing): void {
    this.stop();
    playing.view.onTime(0);
  }

  #follow(playing: Playing): void {
    if (this.#playing !== playing) return;
    playing.view.onTime(placeOf(playing));
    requestAnimationFrame(() => this.#follow(playing));
  }
}

/** Seconds into a track that plays; it waits where sound is still to come. */
function placeOf({ track, context, began, scheduled, from }: Playing): number {
  const passed = context.currentTime - began;
  if (track.loop && track.whole) return Math.max(passed, 0) % track.seconds;
  return Math.max(Math.min(passed, scheduled / track.sr), from / track.sr);
}

function toBuffer(context: AudioContext, sound: Sound, sr: number): AudioBuffer {
  const buffer = context.createBuffer(sound.length, sound[0].length, sr);
  for (const [channel, samples] of sound.entries()) buffer.copyToChannel(samples, channel);
  return buffer;
}
