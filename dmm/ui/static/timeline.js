// The timeline: clips in order, moved by drag or by keys, saved by the server.

import { complain, send, trying, whisper } from "./api.js";
import { fromTemplate, seconds } from "./dom.js";
import { silence } from "./playback.js";
import { playFrom } from "./preview.js";

const WIDTH = 42; // pixels a second
const track = document.querySelector("#timeline .track");
const overlapField = document.getElementById("overlap");
const listen = document.getElementById("listen");
const timeline = { ids: [], overlap_s: 0 };
let clips = new Map();
let dragged = null; // {id, from} where from is null for a card
let stopPreview = null;
let shown = null; // key of the timeline as it is shown
let isBusy = false;
let saved = Promise.resolve(); // settles when the latest change is saved

export function setUp(state) {
  timeline.ids = state.timeline.clips;
  timeline.overlap_s = state.timeline.overlap_s;
  overlapField.value = timeline.overlap_s;
}

export function show(known) {
  clips = new Map(known.map((clip) => [clip.id, clip]));
  if (contentKey() !== shown) draw(); // unchanged, it keeps focus and sound
}

/** Disables the export while a job runs. */
export function setBusy(is) {
  isBusy = is;
  document.getElementById("export").disabled = is || timeline.ids.length < 2;
}

/** Key that changes whenever the timeline would look different. */
const contentKey = () => JSON.stringify(timeline.ids.map((id) => [id, clips.get(id)?.made]));

export const current = () => ({ clips: [...timeline.ids], overlap_s: timeline.overlap_s });

/** Adds a clip; false if it does not fit the others. */
export function add(id, place = timeline.ids.length) {
  const first = clips.get(timeline.ids[0]);
  const clip = clips.get(id);
  if (first && clip && first.format !== clip.format) {
    complain(`${id} has format ${clip.format}, the timeline ${first.format}: they cannot be joined`);
    return false;
  }
  timeline.ids.splice(place, 0, id);
  changed(`${id} is number ${place + 1} of ${timeline.ids.length}`);
  return true;
}

export function startDrag(event, id, from = null) {
  dragged = { id, from };
  event.dataTransfer.effectAllowed = "copyMove";
  event.dataTransfer.setData("text/plain", id);
}

function move(from, to, focus = true) {
  if (to < 0 || to >= timeline.ids.length || to === from) return;
  const [id] = timeline.ids.splice(from, 1);
  timeline.ids.splice(to, 0, id);
  changed(`${id} is number ${to + 1} of ${timeline.ids.length}`);
  if (focus) track.querySelectorAll("li")[to].focus();
}

function takeOut(place) {
  const [id] = timeline.ids.splice(place, 1);
  changed(`${id} taken out`);
  const items = track.querySelectorAll("li");
  (items[Math.min(place, items.length - 1)] ?? listen).focus();
}

function changed(text) {
  draw();
  whisper(text);
  saved = saved.then(() => trying(() => send("/api/timeline", current()))); // in order
}

/** Each clip with its start in seconds. */
function parts() {
  let start = 0;
  return timeline.ids.map((id) => {
    const { duration_s: duration, made } = clips.get(id);
    const part = { id, start, duration, url: `/clips/${encodeURIComponent(id)}.flac?made=${made}` };
    start += duration - timeline.overlap_s;
    return part;
  });
}

function draw() {
  stopPreview?.();
  timeline.ids = timeline.ids.filter((id) => clips.has(id));
  shown = contentKey();
  const placed = parts();
  const last = placed.at(-1);
  const count = timeline.ids.length === 1 ? "1 clip" : `${timeline.ids.length} clips`;
  const length = last ? `${count}, ${seconds(last.start + last.duration)}` : "empty";
  document.querySelector("#timeline-title small").textContent = length;
  listen.disabled = !last;
  setBusy(isBusy);
  document.getElementById("timeline-keys").hidden = !last;
  track.replaceChildren(...placed.map(item));
}

function item(part, place) {
  const clip = clips.get(part.id);
  const li = fromTemplate("placed");
  const overlap = place ? timeline.overlap_s * WIDTH : 0;
  li.style.width = `${part.duration * WIDTH}px`;
  li.style.marginLeft = `${-overlap}px`;
  li.querySelector("i").style.width = `${overlap}px`;
  const hidden = timeline.overlap_s * WIDTH; // by the next clip
  li.querySelector(".tools").style.right = `${hidden + 4}px`;
  li.querySelector(".label").style.paddingRight = `${hidden + 8}px`;
  li.tabIndex = place ? -1 : 0;
  li.setAttribute("aria-label", `${place + 1} of ${timeline.ids.length}: ${clip.prompt}, seed ${clip.seed}, at ${part.start.toFixed(1)} seconds`);
  li.querySelector("img").src = `/clips/${encodeURIComponent(part.id)}.png?made=${clip.made}`;
  li.querySelector(".label").textContent = clip.prompt;
  li.querySelector(".left").onclick = () => move(place, place - 1);
  li.querySelector(".right").onclick = () => move(place, place + 1);
  li.querySelector(".out").onclick = () => takeOut(place);
  li.onkeydown = (event) => onKey(event, place);
  li.ondblclick = () => preview(part.start);
  li.ondragstart = (event) => {
    startDrag(event, part.id, place);
    li.classList.add("dragged");
  };
  li.ondragend = () => li.classList.remove("dragged");
  li.onfocus = () => track.querySelectorAll("li").forEach((other) => (other.tabIndex = other === li ? 0 : -1));
  return li;
}

function onKey(event, place) {
  if (event.target.tagName === "BUTTON") return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const items = track.querySelectorAll("li");
  if (step && event.shiftKey) move(place, place + step);
  else if (step) items[place + step]?.focus();
  else if (event.key === "Home") items[0].focus();
  else if (event.key === "End") items[items.length - 1].focus();
  else if (event.key === "Delete" || event.key === "Backspace") takeOut(place);
  else if (event.key === "Enter" || event.key === " ") preview(parts()[place].start);
  else return;
  event.preventDefault();
}

function dropPlace(event) {
  const items = [...track.querySelectorAll("li")];
  const place = items.findIndex((li) => {
    const box = li.getBoundingClientRect();
    return event.clientX < box.left + box.width / 2;
  });
  return place < 0 ? items.length : place;
}

function mark(event) {
  const items = track.querySelectorAll("li");
  const place = event ? dropPlace(event) : -1;
  items.forEach((li, i) => li.classList.toggle("before", i === place));
  track.classList.toggle("over", Boolean(event));
}

track.ondragover = (event) => {
  if (!dragged) return;
  event.preventDefault();
  mark(event);
};
track.ondragleave = () => mark(null);
track.ondrop = (event) => {
  event.preventDefault();
  const place = dropPlace(event);
  const { id, from } = dragged ?? {};
  dragged = null;
  mark(null);
  if (id === undefined) return;
  if (from === null) add(id, place);
  else move(from, place > from ? place - 1 : place, false);
};

async function preview(from) {
  stopPreview?.();
  silence();
  const now = document.createElement("div");
  now.className = "now";
  track.append(now);
  listen.setAttribute("aria-pressed", "true");
  listen.querySelector("span").textContent = "Stop";
  const ended = () => {
    now.remove();
    stopPreview = null;
    listen.setAttribute("aria-pressed", "false");
    listen.querySelector("span").textContent = "Listen";
  };
  const onTime = (at) => (now.style.transform = `translateX(${at * WIDTH}px)`);
  const stop = await trying(() => playFrom(parts(), timeline.overlap_s, from, onTime, ended));
  if (stop) stopPreview = stop;
  else ended();
}

listen.onclick = () => (stopPreview ? stopPreview() : preview(0));
document.addEventListener("dmm-play", () => stopPreview?.());
overlapField.onchange = () => {
  const shortest = Math.min(...timeline.ids.map((id) => clips.get(id).duration_s));
  const value = Math.min(Math.max(Number(overlapField.value) || 0, 0), Math.min(shortest / 2, 4));
  timeline.overlap_s = value;
  overlapField.value = value;
  changed(`overlap of ${value} seconds`);
};
