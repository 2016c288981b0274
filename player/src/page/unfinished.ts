/** The clip that was not finished when the tab was put to sleep, discarded or closed. */

const KEY = "dmm-player-making";

export const unfinished = {
  /** Remember until it is done. */
  set(title: string): void {
    sessionStorage.setItem(KEY, title);
  },
  done(): void {
    sessionStorage.removeItem(KEY);
  },
  /** Title of the unfinished clip; reported once. */
  take(): string | undefined {
    const title = sessionStorage.getItem(KEY) ?? undefined;
    this.done();
    return title;
  },
};
