// One sound at a time. A mel picture is its time axis: click to play from there.

import { complain } from "./api.js";

const audio = new Audio();
let current = null; // {url, button, picture, duration}

/** Makes a picture and a button play what lies at url; returns how to let go of it again. */
export function attach(picture, button, url, duration, name) {
  const player = { url, button, picture, duration };
  picture.setAttribute("aria-label", `Time in ${name}`);
  picture.setAttribute("aria-valuemax", duration.toFixed(2));
  place(player, 0);
  if (current?.url === url) {
    current = player; // drawn anew while it plays
    if (!audio.paused) audio.onplay();
  }
  button.onclick = () => (isPlaying(player) ? audio.pause() : play(player));
  picture.onclick = (event) => {
    const box = picture.getBoundingClientRect();
    play(player, (duration * (event.clientX - box.left)) / box.width);
  };
  picture.onkeydown = (event) => {
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

function place({ picture, duration }, at) {
  const line = picture.querySelector("i");
  line.style.left = `${(100 * at) / duration}%`;
  picture.setAttribute("aria-valuenow", at.toFixed(2));
  picture.setAttribute("aria-valuetext", `${at.toFixed(1)} of ${duration.toFixed(1)} seconds`);
}

function rest(player) {
  player.button.setAttribute("aria-pressed", "false");
  player.picture.querySelector("i").style.opacity = 0;
}

function follow() {
  if (!current) return;
  place(current, Math.min(audio.currentTime, current.duration));
  if (!audio.paused) requestAnimationFrame(follow);
}

audio.onplay = () => {
  current.button.setAttribute("aria-pressed", "true");
  current.picture.querySelector("i").style.opacity = 1;
  follow();
};
audio.onpause = () => current?.button.setAttribute("aria-pressed", "false");
audio.onended = () => {
  rest(current);
  place(current, 0);
};
audio.onseeked = follow;
