/** A picture as a time axis: click or keys to go to a place, a line that follows the sound. */

import { within } from "./dom";

export interface TimeSlider {
  /** Show a time and, for screen readers, where that is. */
  set(time: number): void;
  setLength(seconds: number): void;
}

const STEPS: Record<string, number> = {
  ArrowLeft: -0.25,
  ArrowRight: 0.25,
  ArrowDown: -0.25,
  ArrowUp: 0.25,
  PageDown: -2,
  PageUp: 2,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

/** `onSeek` gets seconds; `onToggle` is called on space and Enter. */
export function timeSlider(
  picture: HTMLElement,
  onSeek: (time: number) => void,
  onToggle: () => void,
): TimeSlider {
  const line = within(picture, "i", HTMLElement);
  let length = 0;
  let now = 0;

  const set = (time: number) => {
    now = time;
    line.hidden = length === 0;
    line.style.left = `${length ? (100 * time) / length : 0}%`;
    picture.setAttribute("aria-valuenow", time.toFixed(2));
    picture.setAttribute("aria-valuetext", `${time.toFixed(1)} of ${length.toFixed(1)} seconds`);
  };
  picture.onclick = (event) => {
    const { left, width } = picture.getBoundingClientRect();
    if (length) onSeek((length * (event.clientX - left)) / width);
  };
  picture.onkeydown = (event) => {
    const step = STEPS[event.key];
    if (event.key === " " || event.key === "Enter") onToggle();
    else if (step === undefined || !length) return;
    else onSeek(Math.min(Math.max(now + step, 0), length - 0.01));
    event.preventDefault();
  };
  set(0);
  return {
    set,
    setLength(seconds) {
      length = seconds;
      picture.setAttribute("aria-valuemax", seconds.toFixed(2));
      set(0);
    },
  };
}
