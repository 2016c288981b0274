"""Fixtures that several folders share, and the line that says what ran without sd-scripts."""

import os
import shutil
from pathlib import Path

# Tests run in as many processes as there are cores, so each has one thread, its children too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["DMM_CONFIG"] = os.devnull  # no test depends on what this machine's user has stored

import numpy as np
import pytest

from dmm.engine import find_engine
from dmm.errors import EngineError

WITHOUT_ENGINE = "sd-scripts is not there"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
PATIENCE_MS = 120_000
"""Longest wait for something that takes a second on a machine with nothing else to do."""
SLOW_TIME = """
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () {
  this.playbackRate = 1 / 16;
  return play.call(this);
};
const later = setTimeout;
window.setTimeout = (call, delay, ...given) =>
  later(call, delay < 1000 ? delay : 100 * delay, ...given);
"""
"""Script of every page: sounds play slowly and notes stay, since a busy machine may look late."""


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def engine() -> Path:
    """The folder of the real sd-scripts; tests that need it are skipped without."""
    try:
        return find_engine()
    except EngineError:
        pytest.skip(WITHOUT_ENGINE)


@pytest.fixture(scope="module")
def chromium_arguments():
    """What Chromium is started with."""
    return CHROMIUM_ARGUMENTS


@pytest.fixture(scope="module")
def chromium(chromium_arguments):
    """A headless Chromium; tests that need one are skipped without."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if path is None:
        pytest.skip("no Chromium (apt-get install chromium)")
    playwright.expect.set_options(timeout=PATIENCE_MS)
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=path, args=chromium_arguments, timeout=PATIENCE_MS
        )
        yield browser
        browser.close()


@pytest.fixture
def new_profile(chromium):
    """``new_profile(**options)``: a fresh browser profile, without animations, which cost time."""
    profiles = []

    def new_profile(**options):
        usual = {"viewport": {"width": 1280, "height": 860}, "reduced_motion": "reduce"}
        profile = chromium.new_context(**(usual | options))
        profiles.append(profile)
        profile.set_default_timeout(PATIENCE_MS)
        profile.add_init_script(SLOW_TIME)
        return profile

    yield new_profile
    for profile in profiles:
        profile.close()


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory) -> Path:
    """A checkpoint of nano's sizes with random weights, in full precision."""
    import torch

    from dmm.checkpoints.sdxl_layout import save_checkpoint, single_file_tensors
    from dmm.pretraining.nano import NANO, build_four_networks

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    metadata = {"modelspec.prediction_type": "v", "dmm_format": "nano"}
    save_checkpoint(path, single_file_tensors(*build_four_networks(NANO)), metadata, torch.float32)
    return path


@pytest.fixture(scope="session")
def overflowing_vae(tiny_checkpoint, tmp_path_factory) -> Path:
    """The same checkpoint in half precision, whose VAE adds 300,000 to what passes through it.

    SDXL 1.0's VAE is such a one: its weights fit half precision, what it computes does not.
    """
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(tiny_checkpoint)
    for half in ("encoder", "decoder"):
        tensors[f"first_stage_model.{half}.mid.block_1.conv2.weight"] *= 1e6
    path = tmp_path_factory.mktemp("overflowing") / "overflowing.safetensors"
    halves = {name: tensor.to(torch.float16) for name, tensor in tensors.items()}
    assert all(tensor.isfinite().all() for tensor in halves.values())
    save_file(halves, path, {"modelspec.prediction_type": "v", "dmm_format": "nano"})
    return path


@pytest.fixture(scope="session")
def tiny_sd15_shapes():
    """SD 1.5's architecture, narrow, in widths that are no multiples of the first."""
    from dmm.checkpoints.network_shapes import TextEncoderShapes
    from dmm.checkpoints.sd15_shapes import Sd15Shapes

    return Sd15Shapes(
        latent_channels=4,
        channels=(32, 64, 96, 96),
        time_embed_dim=64,
        te=TextEncoderShapes(vocab_size=1024, hidden_size=64, intermediate_size=96, num_layers=3),
        vae_channels=(32, 32, 64, 64),
        vae_layers=1,
    )


@pytest.fixture(scope="session")
def tiny_sd15(tiny_sd15_shapes, tmp_path_factory) -> Path:
    """An SD 1.5 checkpoint of a few megabytes with random weights, in full precision."""
    import torch

    from dmm.checkpoints.networks import build_networks
    from dmm.checkpoints.sd15_layout import single_file_tensors
    from dmm.checkpoints.sdxl_layout import save_checkpoint

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("tiny-sd15") / "tiny-sd15.safetensors"
    tensors = single_file_tensors(*build_networks(tiny_sd15_shapes).values())
    save_checkpoint(path, tensors, {"dmm_format": "nano"}, torch.float32)
    return path


@pytest.fixture(scope="session")
def random_lora():
    """``random_lora(path, base, seed, **metadata)``: on every layer sd-scripts trains, alpha 2."""
    import torch
    from safetensors.torch import save_file

    from dmm.checkpoints.architecture import read_architecture
    from dmm.checkpoints.lora_layers import trained_layers

    def write(path: Path, base: Path, seed: int = 0, **metadata: str) -> Path:
        generator, tensors = torch.Generator().manual_seed(seed), {}
        for layer, place in trained_layers(read_architecture(base)).items():
            (out, taken, *kernel), rank = place.size, 2 if place.size[2:] == (3, 3) else 4
            down = torch.randn(rank, taken, *kernel, generator=generator)
            up = torch.randn(out, rank, *[1] * len(kernel), generator=generator)
            tensors[f"{layer}.lora_down.weight"] = down / down[0].numel() ** 0.5
            tensors[f"{layer}.lora_up.weight"] = up * 0.1
            tensors[f"{layer}.alpha"] = torch.tensor(2.0)
        save_file(tensors, path, {"ss_sd_model_name": base.name, **metadata})
        return path

    return write


@pytest.fixture(scope="session")
def student_preset() -> str:
    """A preset of ``dmm distill`` with every part, of two steps each."""
    return """
[unet]
steps = 2
batch_size = 2
learning_rate = 1e-3
store = 4
variants = 1
sampling_steps = 2
[unet.sizes]
channels = [16, 32, 32]
depths = [0, 1, 1]
layers = 1
middle = "none"
groups = 8
size_width = 8
[steps]
to = 2
steps = 2
batch_size = 1
learning_rate = 1e-3
teacher_steps = 2
[text_encoder_1]
layers = 2
steps = 2
batch_size = 2
learning_rate = 1e-3
[decoder]
widths = [4, 4, 4, 4]
blocks = [1, 1, 1, 1]
crop = 32
steps = 2
batch_size = 1
learning_rate = 1e-3
"""


def pytest_terminal_summary(terminalreporter):
    skipped = [
        r for r in terminalreporter.stats.get("skipped", []) if WITHOUT_ENGINE in str(r.longrepr)
    ]
    if skipped:
        print(
            f"\n{len(skipped)} tests of training skipped: {WITHOUT_ENGINE}; run: uv run dmm setup"
        )
