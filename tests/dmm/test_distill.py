import pytest
import torch
from torch import nn

from dataset_tools.build import build_dataset
from dataset_tools.options import BuildOptions
from dmm.distill.diffusion import min_snr_weights
from dmm.distill.loop import Schedule, fit
from dmm.distill.nano import NANO, build, pretrain
from dmm.distill.text import word_targets
from dmm.distill.vae import encode_latents, reconstruction_psnr, whiten
from dmm.sdxl_shapes import read_shapes


def _fit(model, steps, state):
    inputs, schedule = torch.randn(64, 3, generator=torch.manual_seed(1)), Schedule(6, 8, 1e-2)
    targets, budget = inputs.sum(1, keepdim=True), iter(range(steps))

    def loss(generator):
        if next(budget, None) is None:
            raise KeyboardInterrupt
        chosen = torch.randint(64, (8,), generator=generator)
        return (model(inputs[chosen]) - targets[chosen]).square().mean()

    return fit("line", model, loss, schedule, state, seed=0)


def test_a_run_that_was_cut_off_ends_in_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr("dmm.distill.loop.SAVE_EVERY_S", -1)  # after every step
    whole = _fit(_line(), 6, tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        _fit(_line(), 4, tmp_path / "cut.pt")
    resumed = _fit(_line(), 2, tmp_path / "cut.pt")
    assert torch.equal(whole.weight, resumed.weight)


def _line():
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def test_whitening_keeps_the_picture_and_gives_latents_unit_scale():
    torch.manual_seed(0)
    vae = build(NANO)[3].eval()
    images = torch.randint(256, (4, 64, 64), dtype=torch.uint8)
    before = reconstruction_psnr(vae, images)
    whiten(vae, images)
    latents = encode_latents(vae, images)
    assert latents.mean((0, 2, 3)).abs().max() < 1e-3
    assert latents.std((0, 2, 3)).numpy() == pytest.approx(1, abs=1e-3)
    assert reconstruction_psnr(vae, images) == pytest.approx(before, abs=1e-3)


def test_min_snr_weights_of_v_prediction_match_the_closed_form():
    snr = torch.tensor([0.1, 5.0, 20.0])
    weights = min_snr_weights(snr / (1 + snr))
    assert weights.numpy() == pytest.approx([0.1 / 1.1, 5 / 6, 5 / 21], rel=1e-4)


def test_words_that_are_rare_are_no_targets():
    targets = word_targets(["piano, slow"] * 5 + ["piano, organ"])
    assert targets.tolist() == [[1, 1]] * 5 + [[1, 0]]


def test_a_base_from_scratch_loads_with_the_sizes_asked_for(tmp_path):
    options = BuildOptions(source="minimidi", format="nano")
    build_dataset(tmp_path / "data", options, count=6, jobs=1)
    steps = {"vae_steps": 1, "text_steps": 1, "unet_steps": 1}
    out = pretrain(tmp_path / "data", tmp_path / "base.safetensors", **steps)
    assert read_shapes(out) == NANO
