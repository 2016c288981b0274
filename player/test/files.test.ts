import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { crc8, crc16, crc32 } from "../src/audio/crc";
import { flacFile } from "../src/audio/flac";
import { toInt16 } from "../src/audio/pcm";
import { pngFile } from "../src/audio/png";
import { wavFile } from "../src/audio/wav";
import { goldenFormat, goldenImage, goldenRows } from "./golden";

const [music] = goldenRows("small-sound") as Float32Array[];
const CHECK = new TextEncoder().encode("123456789");

test("checksums of 123456789 are the published ones", () => {
  expect(crc8(CHECK)).toBe(0xf4);
  expect(crc16(CHECK)).toBe(0xfee8);
  expect(crc32(CHECK)).toBe(0xcbf43926);
});

test("samples beyond full scale are cut, the others rounded", () => {
  const pcm = toInt16([Float32Array.of(2, -2, 0.5), Float32Array.of(0, 1, -1)]);
  expect([...pcm]).toEqual([32767, 0, -32768, 32767, 16384, -32767]);
});

test("a WAV has its length and its samples", () => {
  const file = wavFile([music, music], 8000);
  const view = new DataView(file.buffer);
  expect(view.getUint32(40, true)).toBe(4 * music.length);
  expect(view.getUint32(24, true)).toBe(8000);
  expect(view.getInt16(44 + 4 * 100, true)).toBe(Math.round(music[100] * 32767));
});

/** Files of a folder as Python's libraries read them. */
function readByPython(files: Record<string, Uint8Array>, program: string): unknown {
  const folder = mkdtempSync(join(tmpdir(), "player-"));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  execFileSync("uv", ["run", "python", "-c", program, folder], { cwd: "..", stdio: "pipe" });
  return JSON.parse(readFileSync(join(folder, "read.json"), "utf-8"));
}

describe("files that Python reads", () => {
  const noise = Float32Array.from({ length: 5000 }, (_, i) => Math.sin(i * i));
  const silent = new Float32Array(4097);
  const sounds = { mono: [music], stereo: [noise, noise.map((x) => 0.1 * x)], silent: [silent] };

  test("FLAC and WAV hold the same samples", () => {
    const files: Record<string, Uint8Array> = {};
    for (const [name, sound] of Object.entries(sounds)) {
      files[`${name}.flac`] = flacFile(sound, 8000);
      files[`${name}.wav`] = wavFile(sound, 8000);
    }
    const read = readByPython(files, READ_SOUND) as Record<string, boolean>;
    expect(read).toEqual({ mono: true, stereo: true, silent: true });
    expect(files["mono.flac"].length).toBeLessThan(0.9 * files["mono.wav"].length);
  }, 60_000);

  test("PNG holds the levels and the format", async () => {
    const [grey, colour] = ["small", "mid-side"].map((name) => goldenImage(`${name}-levels`));
    const files = {
      "small.png": await pngFile(grey, goldenFormat("small")),
      "mid-side.png": await pngFile(colour, goldenFormat("small")),
    };
    const read = readByPython(files, READ_IMAGES);
    expect(read).toEqual({ small: "small", "mid-side": "small" });
  }, 60_000);
});

const READ_SOUND = `
import json, sys, pathlib, numpy, soundfile
folder = pathlib.Path(sys.argv[1])
same = lambda p: bool((soundfile.read(p, dtype="int16")[0] == soundfile.read(p.with_suffix(".wav"), dtype="int16")[0]).all())
(folder / "read.json").write_text(json.dumps({p.stem: same(p) for p in folder.glob("*.flac")}))
`;
const READ_IMAGES = `
import json, sys, pathlib, numpy
from dmm.codec.image import read_image
folder, found = pathlib.Path(sys.argv[1]), {}
for path in folder.glob("*.png"):
    image, fmt = read_image(path)
    expected = numpy.load(f"tests/golden/{path.stem}-levels.npy")[::-1]
    found[path.stem] = fmt.name if (image == expected).all() else "other levels"
(folder / "read.json").write_text(json.dumps(found))
`;
