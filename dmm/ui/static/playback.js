// Plays one sound at a time. Its mel image is the time axis: a click plays from there.

import { complain } from "./api.js";

const audio = new Audio();
let current = null; // {url, button, image, duration}

/** Makes an image and a button play the sound at url. */
export function attach(image, button, url, duration, name) {
  const player = { url, button, image, duration };
  image.setAttribute("aria-label", `Time in ${name}`);
  image.setAttribute("aria-valuemax", duration.toFixed(2));
  place(player, 0);
  if (current?.url === url) {
    current = player; // shown again while it plays
    if (!audio.paused) audio.onplay();
  }
  button.onclick = () => (isPlaying(player) ? audio.pause() : play(player));
  image.onclick = (event) => {
    const box = image.getBoundingClientRect();
    play(player, (duration * (event.clientX - box.left)) / box.width);
  };
  image.onkeydown = (event) => {
    const step = { ArrowLeft: -0.25, ArrowRight: 0.25, PageDown: -2, PageUp: 2, Home: -duration, End: duration }[event.key];
    if (event.key === " " || event.key === "Enter") button.onclick();
    else if (step === undefined) return;
    else seek(player, Math.min(Math.max(time(player) + step, 0), duration - 0.01));
    event.preventDefault();
  };
}

export function silence() {
  audio.pause();
}

const isPlaying = (player) => current?.url === player.url && !audio.paused;
const time = (player) => (current?.url === player.url ? audio.currentTime : 0);

function choose(player) {
  if (current?.url === player.url) return;
  if (current) {
    audio.pause();
    rest(current);
  }
  current = player;
  audio.src = player.url;
}

function seek(player, at) {
  choose(player);
  audio.currentTime = at;
  place(player, at);
}

function play(player, at) {
  document.dispatchEvent(new Event("dmm-play"));
  choose(player);
  if (at !== undefined) audio.currentTime = at;
  audio.play().catch((error) => error.name === "AbortError" || complain(`cannot play: ${error.message}`));
}

function place({ image, duration }, at) {
  const line = image.querySelector("i");
  line.style.left = `${(100 * at) / duration}%`;
  image.setAttribute("aria-valuenow", at.toFixed(2));
  image.setAttribute("aria-valuetext", `${at.toFixed(1)} of ${duration.toFixed(1)} seconds`);
}

function rest(player) {
  player.button.setAttribute("aria-pressed", "false");
  player.image.querySelector("i").style.opacity = 0;
}

function follow() {
  if (!current) return;
  place(current, Math.min(audio.currentTime, current.duration));
  if (!audio.paused) requestAnimationFrame(follow);
}

audio.onplay = () => {
  current.button.setAttribute("aria-pressed", "true");
  current.image.querySelector("i").style.opacity = 1;
  follow();
};
audio.onpause = () => current?.button.setAttribute("aria-pressed", "false");
audio.onended = () => {
  rest(current);
  place(current, 0);
};
audio.onseeked = follow;
