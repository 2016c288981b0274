// Requests to the server of dmm ui, and messages to the user.

export async function get(path) {
  return answer(await fetch(path, { cache: "no-store" }));
}

export async function send(path, body = {}) {
  const headers = { "content-type": "application/json" };
  return answer(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function answer(response) {
  if (response.ok) return response.json();
  const text = await response.text();
  let failure;
  try {
    failure = JSON.parse(text);
  } catch {
    failure = { detail: text };
  }
  throw Object.assign(new Error(failure.detail), failure, { status: response.status });
}

/** Runs an action and shows the error if it fails. */
export async function trying(action) {
  try {
    return await action();
  } catch (error) {
    const lost = error instanceof TypeError && /fetch/i.test(error.message);
    complain(lost ? "dmm ui does not answer; is it still running in the terminal?" : error.message);
  }
}

export const say = (text) => show("says", text, 6000);
export const complain = (text) => show("alert", text, 20000);

/** Message for screen readers only; others see the change itself. */
export const whisper = (text) => (document.getElementById("whispers").textContent = text);

/** Says something that can be undone by a button. */
export const offer = (text, label, action) => show("says", text, 15000, { label, action });

function show(region, text, milliseconds, choice = null) {
  const note = document.createElement("div");
  note.className = "note";
  note.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "×";
  close.setAttribute("aria-label", "Close");
  close.onclick = () => note.remove();
  if (choice) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = choice.label;
    button.onclick = () => {
      note.remove();
      choice.action();
    };
    note.append(button);
  }
  note.append(close);
  document.getElementById(region).replaceChildren(note);
  setTimeout(() => note.remove(), milliseconds);
}
