// Elements from templates, and lists that update without losing focus or stopping sound.

export const seconds = (s) => (s < 60 ? `${s.toFixed(1)} s` : `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`);

export const fromTemplate = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

/** Makes a parent's children match the things, in order; existing children are kept. */
export function arrange(parent, things, key, make) {
  const there = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  things.forEach((thing, place) => {
    const child = there.get(key(thing)) ?? make(thing);
    child.dataset.key = key(thing);
    there.delete(key(thing));
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
  });
  there.forEach((child) => child.remove());
}
