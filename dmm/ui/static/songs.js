// Exported songs: play and save.

import { arrange, fromTemplate, seconds } from "./dom.js";
import { attach } from "./playback.js";

export function showSongs(songs) {
  const older = document.getElementById("older");
  const key = (song) => `${song.name} ${song.made}`;
  arrange(document.getElementById("songs"), songs.slice(0, 1), key, row);
  arrange(older.querySelector("div"), songs.slice(1), key, row);
  older.hidden = songs.length < 2;
  older.querySelector("summary").textContent = `${songs.length - 1} older`;
}

function row(song) {
  const element = fromTemplate("song");
  const find = (selector) => element.querySelector(selector);
  const path = `/songs/${encodeURIComponent(song.name)}`;
  find("h3").textContent = `${song.name}, ${seconds(song.duration_s)}`;
  find("img").src = `${path}/picture?made=${song.made}`;
  find("a").href = path;
  find("a").download = song.name;
  find("a").setAttribute("aria-label", `Save ${song.name}`);
  find(".play").setAttribute("aria-label", `Play ${song.name}`);
  attach(find(".picture"), find(".play"), `${path}?made=${song.made}`, song.duration_s, song.name);
  return element;
}
