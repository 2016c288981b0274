// Play one clip at a time. A click on a mel image plays from that position; elements with data-media play.
const media = JSON.parse(document.getElementById("media").textContent);
const audio = new Audio();
let playing = null;

for (const button of document.querySelectorAll(".picture[data-media]")) {
  button.querySelector("img").src = media[button.dataset.media].picture;
}

function follow() {
  if (!playing) return;
  playing.style.setProperty("--at", audio.duration ? audio.currentTime / audio.duration : 0);
  if (!audio.paused) requestAnimationFrame(follow);
}

function ignoreAbort(error) {  // another sound took its place, or it was paused, before it began
  if (error.name !== "AbortError") throw error;
}

function show(button) {
  if (playing && playing !== button) playing.classList.remove("playing", "opened");
  playing = button;
  button.classList.add("opened");
}

function play(button, share) {
  const isOther = playing !== button;
  show(button);
  const start = () => {
    if (share !== undefined && audio.duration) audio.currentTime = share * audio.duration;
    audio.play().catch(ignoreAbort);
  };
  if (!isOther && audio.readyState) return start();
  audio.src = media[button.dataset.media].audio;
  audio.onloadedmetadata = start;
}

function pressed(event) {
  const button = event.currentTarget, isPicture = button.classList.contains("picture");
  const onBadge = event.target.classList.contains("badge");
  if (isPicture && event.detail && !onBadge) {  // a click on the picture, not a key
    const box = button.getBoundingClientRect();
    play(button, (event.clientX - box.left) / box.width);
  } else if (playing === button && !audio.paused) audio.pause();
  else play(button, playing === button && !audio.ended ? undefined : 0);
}

const stage = document.querySelector(".stage"), onStage = stage.querySelector(".picture");

function putOnStage(point) {
  const { media: key, tag, id, prompt } = point.dataset;
  stage.hidden = false;
  if (onStage.dataset.media !== key && playing === onStage) { audio.pause(); playing = null; }
  onStage.dataset.media = key;
  onStage.querySelector("img").src = media[key].picture;
  const label = stage.querySelector(".tag");
  label.textContent = tag;
  label.className = "tag " + key.split("/")[0];
  stage.querySelector(".id").textContent = id;
  stage.querySelector(".prompt").textContent = prompt;
  for (const other of document.querySelectorAll(".point.chosen")) other.classList.remove("chosen");
  point.classList.add("chosen");
}

for (const button of document.querySelectorAll(".picture, .mini")) button.addEventListener("click", pressed);
for (const point of document.querySelectorAll("button.point")) {
  point.addEventListener("click", () => { putOnStage(point); play(onStage, 0); });
}
const first = document.querySelector("button.point.clips");
if (first) putOnStage(first);

audio.addEventListener("play", () => { playing.classList.add("playing"); follow(); });
audio.addEventListener("pause", () => { if (playing) playing.classList.remove("playing"); });
audio.addEventListener("seeked", follow);

// A table's head sorts it: first the least, then the greatest on top.
for (const head of document.querySelectorAll(".sortable th")) {
  head.tabIndex = 0;
  const sort = () => {
    const column = head.cellIndex, body = head.closest("table").tBodies[0];
    const worth = (row) => {
      const cell = row.cells[column], exact = cell.querySelector("data");
      return head.dataset.number === undefined ? cell.textContent : exact ? +exact.value : -Infinity;
    };
    const down = head.ariaSort === "ascending" ? -1 : 1;
    for (const other of head.parentNode.cells) other.ariaSort = null;
    head.ariaSort = down > 0 ? "ascending" : "descending";
    body.append(...[...body.rows].sort((a, b) => down * (worth(a) > worth(b) ? 1 : worth(a) < worth(b) ? -1 : 0)));
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
}
