/** Noise schedules and their timesteps, as diffusers' schedulers have them. */

export interface Schedule {
  train_timesteps: number;
  beta_start: number;
  beta_end: number;
  beta_schedule: "linear" | "scaled_linear";
  timestep_spacing: "leading" | "linspace" | "trailing";
  steps_offset: number;
  rescale_betas_zero_snr: boolean;
}

/** Cumulated products of 1 - beta, in single precision as in torch. */
export function alphasCumprod(schedule: Schedule): Float32Array {
  const alphas = betas(schedule).map((beta) => 1 - beta);
  let product = 1;
  const cumulated = alphas.map((alpha) => {
    product *= alpha;
    return product;
  });
  return schedule.rescale_betas_zero_snr ? withZeroTerminalSnr(cumulated) : cumulated;
}

function betas({ beta_schedule, beta_start, beta_end, train_timesteps }: Schedule): Float32Array {
  if (beta_schedule === "linear") return linspace32(beta_start, beta_end, train_timesteps);
  const roots = linspace32(Math.sqrt(beta_start), Math.sqrt(beta_end), train_timesteps);
  return roots.map((root) => root * root);
}

/** Shift and scale the square roots so that the last is 0 (Lin et al. 2023, algorithm 1). */
function withZeroTerminalSnr(cumulated: Float32Array): Float32Array {
  const roots = cumulated.map(Math.sqrt);
  const first = roots[0];
  const last = roots[roots.length - 1];
  const scale = first / (first - last);
  const alphas = roots.map((root) => ((root - last) * scale) ** 2);
  const steps = alphas.map((value, i) => (i ? value / alphas[i - 1] : value));
  let product = 1;
  return steps.map((alpha) => {
    product *= 1 - Math.fround(1 - alpha);
    return product;
  });
}

/** `torch.linspace` in single precision: from both ends to the middle. */
function linspace32(start: number, end: number, count: number): Float32Array {
  const [first, last] = [Math.fround(start), Math.fround(end)];
  const step = Math.fround(Math.fround(last - first) / (count - 1));
  return Float32Array.from({ length: count }, (_, i) =>
    i < count / 2 ? first + step * i : last - step * (count - 1 - i),
  );
}

export function linspace(start: number, end: number, count: number): number[] {
  if (count === 1) return [start];
  return Array.from({ length: count }, (_, i) => start + ((end - start) * i) / (count - 1));
}

/** To the nearest whole number, halves to the even one, as NumPy rounds. */
export function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** Falling timesteps; `extra` steps are laid out and then left out at the end of the schedule. */
export function spacedTimesteps(schedule: Schedule, steps: number, extra: 0 | 1): number[] {
  const { train_timesteps, timestep_spacing, steps_offset } = schedule;
  if (timestep_spacing === "trailing") {
    const ratio = train_timesteps / steps;
    const count = Math.ceil(train_timesteps / ratio - 1e-9);
    return Array.from({ length: count }, (_, i) => roundHalfEven(train_timesteps - i * ratio) - 1);
  }
  const rising =
    timestep_spacing === "linspace"
      ? linspace(0, train_timesteps - 1, steps + extra)
      : Array.from(
          { length: steps + extra },
          (_, i) => i * Math.floor(train_timesteps / (steps + extra)) + steps_offset,
        );
  return rising.slice(extra).reverse();
}

/** Noise beside signal of every training timestep. */
export function trainSigmas(cumulated: Float32Array): Float32Array {
  return cumulated.map((alpha) => Math.sqrt((1 - alpha) / alpha));
}

/** Value of a table at a fractional place. */
export function interpolate(table: Float32Array, place: number): number {
  const low = Math.min(Math.max(Math.floor(place), 0), table.length - 1);
  const high = Math.min(low + 1, table.length - 1);
  return table[low] + (table[high] - table[low]) * (place - low);
}

/** Sigmas spaced as Karras et al. 2022 (equation 5, rho 7). */
export function karrasSigmas(most: number, least: number, count: number): number[] {
  const [high, low] = [most ** (1 / 7), least ** (1 / 7)];
  return linspace(0, 1, count).map((ramp) => (high + ramp * (low - high)) ** 7);
}

/** The fractional timestep of a sigma. */
export function sigmaToTimestep(sigma: number, sigmas: Float32Array): number {
  const log = Math.log(Math.max(sigma, 1e-10));
  let low = 0;
  while (low < sigmas.length - 2 && Math.log(sigmas[low + 1]) <= log) low++;
  const [below, above] = [Math.log(sigmas[low]), Math.log(sigmas[low + 1])];
  const share = Math.min(Math.max((below - log) / (below - above), 0), 1);
  return (1 - share) * low + share * (low + 1);
}
