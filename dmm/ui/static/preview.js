// The timeline in the browser: clips one after another, crossfaded at equal power over the overlap.

let context = null;
const buffers = new Map(); // url -> promise of its samples

async function samples(url) {
  if (!buffers.has(url)) {
    const load = async () => context.decodeAudioData(await (await fetch(url)).arrayBuffer());
    buffers.set(url, load());
  }
  return buffers.get(url);
}

const STEPS = 64;
const rise = Float32Array.from({ length: STEPS }, (_, i) => Math.sin((Math.PI / 2) * (i / (STEPS - 1))));
const fall = rise.slice().reverse();

/**
 * Plays parts {url, start, duration} from a second on; reports its position until it ends.
 * Returns a function that stops it.
 */
export async function playFrom(parts, overlap, from, onTime, onEnd) {
  context ??= new AudioContext();
  await context.resume();
  const sounds = await Promise.all(parts.map((part) => samples(part.url)));
  const began = context.currentTime + 0.05 - from;
  const sources = parts.flatMap((part, i) => {
    const end = part.start + part.duration;
    if (end <= from) return [];
    const source = context.createBufferSource();
    const gain = context.createGain();
    source.buffer = sounds[i];
    source.connect(gain).connect(context.destination);
    if (i > 0 && overlap > 0 && part.start >= from) gain.gain.setValueCurveAtTime(rise, began + part.start, overlap);
    if (i < parts.length - 1 && overlap > 0 && end - overlap >= from) gain.gain.setValueCurveAtTime(fall, began + end - overlap, overlap);
    source.start(Math.max(began + part.start, context.currentTime), Math.max(from - part.start, 0));
    return [source];
  });
  const total = Math.max(...parts.map((part) => part.start + part.duration));
  let running = true;
  const stop = () => {
    if (!running) return;
    running = false;
    sources.forEach((source) => source.stop());
    onEnd();
  };
  const tick = () => {
    if (!running) return;
    const at = context.currentTime - began;
    if (at >= total) stop();
    else {
      onTime(at);
      requestAnimationFrame(tick);
    }
  };
  tick();
  return stop;
}
