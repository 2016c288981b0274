"""The whole road at SDXL's real size, without a GPU: ``benchmarks/full_size.py --work FOLDER``.

Bases of random weights (SDXL 1.0 and SD 1.5, half precision) go through training, killed and
resumed, generation, a song, fusing, distillation and export: two steps of each, which shows that it
works, its memory and its time, not what it sounds like. Each stage is a process of its own with a
check: values are finite, shapes are right, the LoRA changes the picture, files load elsewhere.
``--music`` names real music; by default MiniMIDI composes it. A run that was stopped continues. A
stage is stopped when less than --least-free GB of memory are free; --only runs some stages.
``--tiny`` takes nano's sizes, for tests. Prints one Markdown row a stage: date, commit, machine,
stage, seconds, CPU seconds, GB (10^9 bytes) of all its processes at the peak, what was found.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import full_size_checks as checks
from provenance import provenance
from stages import OutOfMemory, Result, Stage, run_stages

ON_CPU = ("optimizer_type=AdamW", "mixed_precision=bf16")
TWO_STEPS = (
    "max_train_steps=2", "lr_warmup_steps=0", "save_every_n_steps=1", "save_last_n_steps_state=2",
    "validate_every_n_steps=2", "max_validation_steps=1", "preview_every_n_steps=",
    "learning_rate=1e-2",
)  # fmt: skip
"""Of 3000: one state to be killed after, and one validation. The rate makes two steps visible."""
PRESETS = ("sdxl-24gb", "sdxl-16gb", "sdxl-12gb", "sd15-12gb")
HEADER = "| date | commit | machine | stage | s | CPU s | peak GB | found |\n|" + "---|" * 8


@dataclass(frozen=True)
class Road:
    """Files of one run, and the sizes that it takes."""

    work: Path
    tiny: bool
    music: Path | None

    def file(self, name: str) -> Path:
        """A checkpoint or LoRA in the work folder."""
        return self.work / f"{name}.safetensors"

    def run(self, preset: str) -> Path:
        """The RUN folder of a preset."""
        return self.work / f"run-{preset}"

    @property
    def data(self) -> Path:
        """The DATASET folder."""
        return self.work / "data"

    @property
    def lora(self) -> Path:
        """The LoRA that later stages use."""
        return self.run("sdxl-24gb") / "lora.safetensors"


def dmm(*words: object) -> list[str]:
    """A command of ours."""
    return [sys.executable, "-W", "ignore", "-m", "dmm", *map(str, words)]


def make_bases(road: Road) -> Stage:
    """Write both bases."""
    size = ["--tiny"] if road.tiny else []
    files = {kind: road.file(kind) for kind in ("sdxl", "sd15")}
    write = [sys.executable, "-m", "bench.random_base"]
    commands = [[*write, kind, str(file), *size] for kind, file in files.items()]
    return Stage("bases", commands, lambda: checks.bases_are_whole(files.values(), road.tiny))


def make_dataset(road: Road) -> Stage:
    """Build a dataset of six tracks, at 512 x 512 pixels."""
    source = ["folder", "--input", road.music] if road.music else ["minimidi", "--count", 12]
    command = dmm(
        "data", "build", "--source", *source, "--out", road.data,
        "--format", "nano" if road.tiny else "sdxl-512", "--val", 0.2, "--test", 0.2,
    )  # fmt: skip
    return Stage("dataset", [command], lambda: checks.dataset_has_clips(road.data))


def train(preset: str) -> Callable[[Road], Stage]:
    """Train two steps, killed after the first and resumed."""

    def stage(road: Road) -> Stage:
        run, base = (
            road.run(preset),
            road.file("sd15") if preset.startswith("sd15") else road.file("sdxl"),
        )
        words = [f"--set={setting}" for setting in (*ON_CPU, *TWO_STEPS)]
        command = dmm("train", preset, "--dataset", road.data, "--base", base, "--out", run, *words)
        return Stage(
            f"train {preset}",
            [command, [*command, "--resume"]],
            lambda: checks.run_was_resumed_and_learnt(run),
            kill_when=run / "state" / "step-000001",
            outputs=[run],
        )

    return stage


def generate(pixels: int) -> Callable[[Road], Stage]:
    """Generate one clip with the LoRA and one without, two steps each."""

    def stage(road: Road) -> Stage:
        out = road.work / f"clips-{pixels}"
        fmt = "nano" if road.tiny else f"sdxl-{pixels}"
        words = ["--model", road.file("sdxl"), "--precision", "bf16", "--steps", 2, "--format", fmt]
        plain = dmm("generate", "piano, slow", *words, "--out", out / "plain")
        tuned = dmm("generate", "piano, slow", *words, "--lora", road.lora, "--out", out / "lora")
        return Stage(
            f"generate {pixels}",
            [plain, tuned],
            lambda: checks.lora_changes_the_picture(out / "plain", out / "lora"),
            outputs=[out],
        )

    return stage


def song(road: Road) -> Stage:
    """Generate a song of 20 s, two steps."""
    out = road.work / "song.flac"
    fmt = "nano" if road.tiny else "sdxl-512"
    words = ["--prompt", "jazz, slow", "--seconds", 20, "--steps", 2, "--format", fmt]
    command = dmm("song", "--model", road.file("sdxl"), *words, "--precision", "bf16", "--out", out)
    return Stage("song 20 s", [command], lambda: checks.sound_lasts(out, 20.0))


def fuse(road: Road) -> Stage:
    """Fuse the LoRA into the base."""
    command = dmm("fuse", road.file("sdxl"), "--lora", road.lora, "--out", road.file("fused"))
    return Stage(
        "fuse",
        [command],
        lambda: checks.fused_is_base_plus_lora(road.file("sdxl"), road.lora, road.file("fused")),
    )


def unfuse(road: Road) -> Stage:
    """Extract the LoRA again."""
    out = road.file("extracted")
    command = dmm(
        "unfuse", road.file("sdxl"), road.file("fused"), "--out", out, "--precision", "fp32"
    )
    return Stage(
        "unfuse", [command], lambda: checks.extracted_is_the_lora(road.file("sdxl"), road.lora, out)
    )


def distil(road: Road) -> Stage:
    """Distil two steps of a smaller UNet."""
    preset, out = road.work / "two-steps.toml", road.file("student")
    size = "nano-quarter" if road.tiny else "unet-330m"
    road.work.mkdir(parents=True, exist_ok=True)
    preset.write_text(
        f'about = "Two steps."\nextends = "{size}"\n[unet]\nsteps = 2\nbatch_size = 1\nwarmup = 1\n'
        "store = 2\n"
    )
    words = [
        "--teacher",
        road.file("sdxl"),
        "--student",
        preset,
        "--dataset",
        road.data,
        "--out",
        out,
    ]
    return Stage(
        "distill unet", [dmm("distill", "unet", *words)], lambda: checks.student_is_smaller(out)
    )


def export(road: Road) -> Stage:
    """Export the fused model, compare it with PyTorch, and generate a clip from the bundle."""
    out, clips = road.work / "bundle", road.work / "clips-bundle"
    commands = [
        dmm("export", road.file("fused"), "--out", out, "--steps", 2, "--guidance", 1),
        dmm("export", "--verify", out),
        dmm("generate", "piano, slow", "--bundle", out, "--steps", 1, "--out", clips),
    ]
    return Stage("export", commands, lambda: checks.clips_are_finite(clips), outputs=[out, clips])


STAGES: dict[str, Callable[[Road], Stage]] = {
    "bases": make_bases,
    "dataset": make_dataset,
    **{f"train-{preset}": train(preset) for preset in PRESETS},
    "generate-512": generate(512),
    "generate-1024": generate(1024),
    "song": song,
    "fuse": fuse,
    "unfuse": unfuse,
    "distill": distil,
    "export": export,
}
"""By the name that --only takes, in the order in which they need one another."""


def row(result: Result) -> str:
    """A Markdown row."""
    figures = (f"{result.seconds:.0f}", f"{result.cpu_seconds:.0f}", f"{result.peak_gb:.2f}")
    return f"| {' | '.join([*provenance(), result.stage, *figures, result.found])} |"


def main() -> None:
    """Run all stages, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="Folder for 60 GB of files.")
    parser.add_argument("--music", type=Path, help="Folder of real music.")
    parser.add_argument("--only", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--least-free", type=float, default=3.0, help="GB of memory to leave free.")
    parser.add_argument("--tiny", action="store_true", help="nano's sizes.")
    options = parser.parse_args()
    road = Road(options.work, options.tiny, options.music)
    print(HEADER)
    try:
        run_stages(
            [STAGES[name](road) for name in options.only],
            options.work,
            options.least_free,
            lambda result: print(row(result), flush=True),
        )
    except OutOfMemory as error:
        sys.exit(f"stopped to leave memory free: {error}; run again to continue")
    except AssertionError as error:
        sys.exit(f"a stage ended, but did not work: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(error.cmd)}: exit code {error.returncode}; see the log in --work")


if __name__ == "__main__":
    main()
