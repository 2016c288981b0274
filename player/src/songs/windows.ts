/** Windows on a long latent, and which of two that overlap is believed (dmm/songs/latent_windows.py). */

import { linspace, roundHalfEven } from "../sampling/noise-schedule";

/** Share of a window that the next one covers, too. */
export const OVERLAP = 0.25;

export interface Windows {
  width: number;
  starts: readonly number[];
  /** Columns of the latent; in a loop windows go round. */
  length: number;
}

/**
 * The fewest windows that overlap by at least that share, evenly spread.
 *
 * A piece shorter than one window, and no loop, becomes as long as it.
 */
export function layWindows(
  length: number,
  width: number,
  loop = false,
  overlap = OVERLAP,
): Windows {
  const stride = Math.max(1, roundHalfEven(width * (1 - overlap)));
  if (loop) {
    const count = Math.ceil(length / stride);
    const starts = Array.from({ length: count }, (_, i) => roundHalfEven((i * length) / count));
    return { width, starts, length };
  }
  const covered = Math.max(length, width);
  const count = Math.ceil((covered - width) / stride) + 1;
  const starts = linspace(0, covered - width, count).map(roundHalfEven);
  return { width, starts, length: covered };
}

/** Columns that a window sees; a loop shorter than it, more than once. */
export function windowColumns({ starts, width, length }: Windows, number: number): number[] {
  return Array.from({ length: width }, (_, i) => (starts[number] + i) % length);
}

/**
 * Which of the windows' columns, put side by side, stands for each column in this turn.
 *
 * Where windows overlap they take turns from column to column and from turn to turn: the latent
 * swap of Dai et al. 2025 (https://arxiv.org/abs/2502.05130).
 */
export function swapped(windows: Windows, turn: number): number[] {
  return views(windows).map((seen, column) => seen[(column + turn) % seen.length]);
}

/** Of each column: where it stands among the windows' columns put side by side. */
function views(windows: Windows): number[][] {
  const found: number[][] = Array.from({ length: windows.length }, () => []);
  for (const number of windows.starts.keys()) {
    for (const [place, column] of windowColumns(windows, number).entries()) {
      found[column].push(number * windows.width + place);
    }
  }
  return found;
}
