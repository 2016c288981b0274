"""Commands that are killed at any file operation, and then run again."""

import json
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from dmm.codec.mel import load_format
from dmm.errors import InputError
from dmm.files.parts import NAME
from dmm.fusing.fuse import fuse
from dmm.generation.clip_files import write_clip
from dmm.generation.generate import generate
from dmm.songs.song_files import Song, Track, write_song

NANO = load_format("nano")
STRATEGIES = (
    "TokenizeStrategy", "TextEncodingStrategy", "LatentsCachingStrategy",
    "TextEncoderOutputsCachingStrategy",
)  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.filterwarnings("ignore"),
]


def tree(folder):
    """Every file's bytes."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def is_final(path):
    """Whether no part of the path is hidden, as those of unfinished files are."""
    return not any(part.startswith(".") for part in path.parts)


def left_over(folder):
    """Part files and locks."""
    return [p for p in folder.rglob("*") if NAME.fullmatch(p.name) or p.suffix == ".lock"]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    from dataset_tools.building.build import build_dataset
    from dataset_tools.building.options import BuildOptions

    folder = tmp_path_factory.mktemp("data") / "dataset"
    options = BuildOptions(source="minimidi", format="nano", test=0.3, val=0.2)
    build_dataset(folder, options, count=8, jobs=1)
    return folder


@pytest.mark.parametrize("name", ["clip", "song", "fuse", "generate"])
def test_writing_again_leaves_the_files_of_an_uninterrupted_command(
    name, tiny_checkpoint, random_lora, tmp_path, kill_and_repeat
):
    levels = np.random.default_rng(0).integers(0, 200, (256, 128), np.uint8)
    sound = np.zeros((1, 1000), np.float32)
    lora = random_lora(tmp_path / "lora.safetensors", tiny_checkpoint)
    song = Song(levels, NANO, (Track(0.0, "piano"),), (), {"seed": 0})
    actions = {
        "clip": lambda out: write_clip(out, "a-0", levels, sound, NANO, {"seed": 0}),
        "song": lambda out: write_song(out / "a.flac", song, "fast"),
        "fuse": lambda out: fuse(tiny_checkpoint, lora, out / "fused.safetensors"),
        "generate": lambda out: generate(
            ["piano", "organ"], tiny_checkpoint, out, steps=1, device="cpu"
        ),
    }
    kill_and_repeat(f"dmm {name}", actions[name], tree, is_final=is_final)


def test_exporting_again_leaves_the_bundle_of_an_uninterrupted_export(tiny_sd15, kill_and_repeat):
    from dmm.export.exporter import ExportOptions, export
    from dmm.generation.sampling import Sampling
    from dmm.generation.settings import resolve_settings

    settings = resolve_settings(tiny_sd15, (), Sampling(sampler="ddim", steps=2, guidance=1.0))
    options = ExportOptions(tiny_sd15, settings, ("slow piano",))

    def run(out):
        try:
            export(options, out / "bundle")
        except InputError as error:  # it was killed when all was done
            assert "not empty" in str(error)

    kill_and_repeat("dmm export", run, tree, is_final=is_final)


def test_distilling_again_leaves_the_student_of_an_uninterrupted_command(
    tiny_checkpoint, dataset, student_preset, tmp_path, monkeypatch, kill_and_repeat
):
    from dmm.distillation.all_parts import distil_all
    from dmm.distillation.parts import Sources
    from dmm.distillation.presets import load_preset
    from dmm.distillation.report import ReportOptions
    from dmm.fitting.compute import Compute

    monkeypatch.setattr("dmm.fitting.loop.SAVE_EVERY_S", -1)
    monkeypatch.setattr("dmm.distillation.report.SEEDS", 1)
    (tmp_path / "all.toml").write_text(student_preset)
    preset = load_preset(str(tmp_path / "all.toml"))
    sources = Sources(dataset, None, 0, Compute("cpu", "fp32"))
    options = ReportOptions(prompts=2)

    def results(folder):
        assert not left_over(folder) and (folder / "student/report/report.html").is_file()
        files = {path: content for path, content in tree(folder).items() if path.suffix != ".pt"}
        return {p: c for p, c in files.items() if p.suffix in (".safetensors", ".png", ".flac")}

    def distil(out):
        distil_all(tiny_checkpoint, (), preset, sources, out / "student", options)

    kill_and_repeat("dmm distill all", distil, results)


def test_training_again_ends_in_the_lora_of_an_uninterrupted_run(
    engine, dataset, tiny_checkpoint, monkeypatch, kill_and_repeat
):
    from dmm.training import train as module

    monkeypatch.syspath_prepend(str(engine))
    monkeypatch.setattr(module, "run_trainer", trainer_in_this_process)
    settings = ("max_train_steps=4", "train_batch_size=1", "save_state=true",
                "save_every_n_steps=1", "validate_every_n_steps=2", "ema_decay=0.5",
                "lr_warmup_steps=0")  # fmt: skip

    def train(out):
        try:
            module.train("nano-cpu", dataset, tiny_checkpoint, out / "run", settings)
        except InputError as error:
            assert "--resume" in str(error)
            module.train("nano-cpu", dataset, tiny_checkpoint, out / "run", settings, resume=True)

    def results(folder):
        assert not left_over(folder)
        record = json.loads((folder / "run/run.json").read_text())
        lines = map(json.loads, (folder / "run/metrics.jsonl").read_text().splitlines())
        losses = [{k: v for k, v in line.items() if k != "loss_average"} for line in lines]
        loras = {p.name: load_file(p) for p in (folder / "run").glob("*.safetensors")}
        weights = {n: {k: t.tobytes() for k, t in lora.items()} for n, lora in loras.items()}
        return record["status"], losses, weights

    kill_and_repeat("dmm train", train, results)


def trainer_in_this_process(_engine, run, *_):
    """The trainer, so that a kill strikes it at any of its file operations."""
    from accelerate.state import AcceleratorState, GradientState, PartialState
    from library import strategy_base, train_util
    from networks.lora import LoRANetwork

    from dmm.training.engine_run import read_outcome
    from dmm_ext.process import TRAINERS, setup_parser
    from dmm_ext.process import train_and_record as run_trainer

    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()
    for name in STRATEGIES:  # the engine sets each once a process
        getattr(strategy_base, name)._strategy = None
    LoRANetwork.UNET_TARGET_REPLACE_MODULE = ["Transformer2DModel"]
    sys.argv = ["trainer", "--config_file", str(run / "engine.toml")]
    parser = setup_parser()
    arguments = train_util.read_config_from_file(parser.parse_args(), parser)
    assert run_trainer(TRAINERS["sdxl"](), arguments) == 0
    return read_outcome(run)
