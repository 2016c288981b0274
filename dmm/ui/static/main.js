// Connects the parts of the page. All state is on the server, so a reload loses nothing.

import { complain, get, say, send, trying } from "./api.js";
import { showClips } from "./cards.js";
import * as order from "./order.js";
import { showSongs } from "./songs.js";
import * as timeline from "./timeline.js";

const POLL_MS = 400; // between requests while a job runs
const JOB_NAMES = { clips: "Clips", song: "Song" };
const elements = Object.fromEntries(["job", "job-note", "cancel", "order", "export"].map((id) => [id, document.getElementById(id)]));

history.replaceState(null, "", "/"); // the key is in a cookie now, so remove it from the address

function show({ clips, n_clips: count, songs }) {
  showClips(clips, count, { vary, reuse: order.take, refresh });
  timeline.show(clips);
  showSongs(songs);
}

const vary = (clip) =>
  trying(async () => {
    await send("/api/variations", { clip: clip.id });
    await follow();
  });

const refresh = async () => show(await get("/api/clips"));

/** Follows a job to its end and shows clips as they are finished. */
async function follow(finished = 0) {
  for (;;) {
    const job = await get("/api/job");
    showJob(job);
    if (job?.state !== "running") return end(job);
    if (job.kind === "clips" && Math.floor(job.done) > finished) {
      finished = Math.floor(job.done);
      await refresh();
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function showJob(job) {
  const runs = job?.state === "running";
  elements.job.hidden = !runs;
  elements.order.querySelector("button.main").disabled = runs;
  elements.cancel.disabled = !runs || job.stopping;
  timeline.setBusy(runs);
  document.title = runs ? `${Math.floor((100 * job.done) / job.total)} % · dmm` : "dmm: make clips, join them";
  if (!runs) return;
  elements.job.querySelector("progress").value = job.done / job.total;
  elements["job-note"].textContent = job.stopping ? "stopping …" : job.note;
}

async function end(job) {
  await refresh();
  if (job?.notes.length) complain(job.notes.join("\n"));
  if (job?.state === "failed") complain(job.note);
  else if (job) say(`${JOB_NAMES[job.kind]}: ${job.note}`);
}

elements.order.onsubmit = (event) => {
  event.preventDefault();
  trying(async () => {
    if (await order.place()) await follow();
  });
};
elements.cancel.onclick = () => trying(() => send("/api/cancel"));
elements.export.onclick = () =>
  trying(async () => {
    const field = (id) => document.getElementById(id);
    const how = { name: field("song-name").value, type: field("song-type").value, align: field("align").checked, loop: field("loop").checked };
    await send("/api/songs", { ...timeline.current(), ...how });
    await follow();
  });

await trying(async () => {
  const state = await get("/api/state");
  order.setUp(state);
  timeline.setUp(state);
  show(state);
  if (state.job?.state === "running") await follow();
});
