"""Folders of previews, their settings and trackers; the images are noise."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dmm.codec.image import read_image
from dmm.codec.mel import load_format

pytestmark = pytest.mark.filterwarnings("ignore")


def settings(**changed):
    """The plugin's options that previews read."""
    defaults = {
        "preview_prompts": ["piano, slow", "organ"], "preview_count": 2, "preview_seed": 5,
        "preview_steps": 4, "preview_guidance": 5.0, "preview_sampler": "dpmsolver++",
        "preview_embedder": "mel-stats", "preview_weights": None, "preview_reference": None,
        "collapse_floor": 0.05, "collapse_patience": 2, "collapse_stop": False,
        "anchor": "mel music", "lora_metadata": ["dmm_format=nano"],
    }  # fmt: skip
    return {**defaults, **changed}


class FakeGenerator:
    """Noise from each seed; counts how often it is called, and fails if set to."""

    calls = 0
    fails = False

    def __init__(self, *_):
        pass

    def generate(self, texts, seeds):
        FakeGenerator.calls += 1
        if self.fails:
            raise KeyboardInterrupt
        return [
            np.random.default_rng(seed).integers(0, 200, (256, 256), np.uint8) for seed in seeds
        ]


@pytest.fixture
def make(inside_engine, tmp_path, monkeypatch):
    """``make(**settings)``: Previews of a network of one layer that generate noise."""
    from dmm_ext import previews

    monkeypatch.setattr(previews, "ImageGenerator", FakeGenerator)
    monkeypatch.setattr(FakeGenerator, "calls", 0)
    accelerator = SimpleNamespace(device=torch.device("cpu"), is_main_process=True, trackers=[])
    network = torch.nn.Linear(2, 2)

    def make(trackers=(), **changed):
        accelerator.trackers = list(trackers)
        args = SimpleNamespace(**settings(**changed))
        engine = SimpleNamespace(args=args, accelerator=accelerator, network=network)
        return previews.Previews(engine, None, tmp_path / "previews")

    return make


def test_a_preview_is_a_folder_of_images_sounds_and_scores(make):
    previews = make()
    scores = previews.make_preview(200)
    folder = previews.folder / "step-000200"
    ids = {"piano_slow-5", "organ-6", "piano_slow-7", "organ-8"}
    names = {f"{clip}{suffix}" for clip in ids for suffix in (".png", ".flac")}
    assert {path.name for path in folder.iterdir()} == names | {"preview.json"}
    assert read_image(folder / "organ-6.png")[1] == load_format("nano")
    numbers = ("diversity", "prompt_diversity", "seconds")
    assert all(scores[f"preview/{name}"] > 0 for name in numbers)
    assert scores["preview/embedder"] == "mel-stats"
    assert "preview/similarity" not in scores and "preview/fad" not in scores


def test_a_preview_is_generated_again_only_if_the_weights_have_changed(make):
    previews = make()
    scores = previews.make_preview(200)
    assert make().make_preview(200) == scores and FakeGenerator.calls == 1
    torch.nn.init.ones_(previews.engine.network.weight)
    make().make_preview(200)
    assert FakeGenerator.calls == 2
    make(preview_guidance=3.0).make_preview(200)
    assert FakeGenerator.calls == 3


def test_a_killed_preview_leaves_no_partial_folder(make, monkeypatch):
    previews = make()
    (previews.folder / ".step-000200.999999999.part").mkdir(
        parents=True
    )  # of a process that was killed
    (previews.folder / ".step-000200.999999999.part" / "old.png").touch()
    with monkeypatch.context() as during, pytest.raises(KeyboardInterrupt):
        during.setattr(FakeGenerator, "fails", True)
        previews.make_preview(200)
    assert list(previews.folder.iterdir()) == []
    previews.make_preview(200)
    assert not (previews.folder / "step-000200" / "old.png").exists()


def test_other_processes_prepare_nothing(make):
    previews = make()
    previews.engine.accelerator.is_main_process = False
    from dmm_ext.previews import Previews

    assert not hasattr(Previews(previews.engine, None, previews.folder), "scorer")


def test_the_alarm_is_fed_and_can_end_the_run(make, caplog):
    previews = make(collapse_floor=2.0, collapse_patience=2, collapse_stop=True)
    previews.make_preview(1)
    state = previews.state()
    assert previews.reason_to_stop() is None
    resumed = make(collapse_floor=2.0, collapse_patience=2, collapse_stop=True)
    resumed.restore(state)
    resumed.make_preview(2)
    assert resumed.reason_to_stop().startswith("mode collapse at step 2")
    assert "mode collapse" not in caplog.text
    goes_on = make(collapse_floor=2.0, collapse_patience=1)
    goes_on.make_preview(2)
    assert goes_on.reason_to_stop() is None and "mode collapse at step 2" in caplog.text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preview_prompts": []}, "no prompts: set preview_prompts"),
        ({"preview_prompts": [" "], "preview_reference": "."}, "no captions"),
        ({"preview_count": 0}, "count is 1 or more; got 0"),
        ({"preview_embedder": "ears"}, "no embedder 'ears'"),
        ({"preview_reference": "nowhere"}, "nowhere: 0 mel images"),
        ({"lora_metadata": ["dmm_format=sdxl-9"]}, "no mel format 'sdxl-9'"),
    ],
)
def test_settings_that_do_not_hold_are_reported_in_one_line(make, changed, message, tmp_path):
    if changed.get("preview_reference") == ".":
        changed = {**changed, "preview_reference": str(tmp_path)}
    with pytest.raises(SystemExit, match=message) as error:
        make(**changed)
    assert "\n" not in str(error.value)


def test_prompts_are_evenly_spaced_captions_where_none_are_given(tmp_path):
    from dmm_ext.preview_settings import preview_prompts

    for n, caption in enumerate(["a", "b", "b", "", "c\n", "d", "e", "f"]):
        (tmp_path / f"{n}.txt").write_text(caption)
    args = SimpleNamespace(preview_prompts=None, preview_reference=str(tmp_path))
    assert preview_prompts(args) == ["a", "b", "d", "e"]


def test_the_format_is_the_loras_else_the_checkpoints(tiny_checkpoint, tmp_path):
    from safetensors.torch import save_file

    from dmm_ext.preview_settings import preview_format

    save_file({"x": torch.zeros(1)}, tmp_path / "plain.safetensors")
    for checkpoint, metadata, name in (
        (tiny_checkpoint, ["dmm_a=b", "dmm_format=sdxl-1024"], "sdxl-1024"),
        (tiny_checkpoint, ["dmm_a=b"], "nano"),
        (tmp_path / "plain.safetensors", None, "sdxl-512"),
    ):
        args = SimpleNamespace(
            lora_metadata=metadata, pretrained_model_name_or_path=str(checkpoint)
        )
        assert preview_format(args).name == name


def test_tensorboard_gets_sound_image_and_scores(make, tmp_path):
    from accelerate.tracking import TensorBoardTracker
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = TensorBoardTracker("run", str(tmp_path))
    tracker.start()
    scores = make([tracker]).make_preview(200)
    tracker.finish()
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) == {name for name in scores if name != "preview/embedder"}
    assert "preview/organ-6" in tags["audio"] and "preview/organ-6" in tags["images"]
    sound, picture = events.Audio("preview/organ-6")[0], events.Images("preview/organ-6")[0]
    assert (sound.step, sound.sample_rate, sound.length_frames) == (200, 22050, 256 * 441)
    assert (picture.step, picture.height, picture.width) == (200, 256, 256)


def test_wandb_gets_sound_image_and_scores_where_it_is_on(make, monkeypatch):
    logged = []
    tracker = SimpleNamespace(name="wandb", log=logged.append)
    fake = SimpleNamespace(Audio=lambda path: ("audio", path), Image=lambda path: ("image", path))
    monkeypatch.setitem(sys.modules, "wandb", fake)
    previews = make([tracker])
    scores = previews.make_preview(200)
    (values,) = logged
    kind, path = values["preview/organ-6/sound"]
    assert kind == "audio" and path.endswith("organ-6.flac") and Path(path).is_file()
    kind, path = values["preview/organ-6/mel"]
    assert kind == "image" and path.endswith("organ-6.png") and Path(path).is_file()
    assert values["global_step"] == 200
    assert values["preview/diversity"] == scores["preview/diversity"]
    assert "preview/embedder" not in values
