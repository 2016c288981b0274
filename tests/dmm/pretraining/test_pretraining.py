import copy
import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import BuildOptions
from dataset_tools.sources.minimidi import caption, compose, render
from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.header import read_metadata
from dmm.checkpoints.network_shapes import UNET, VAE
from dmm.checkpoints.pipeline import load_pipeline
from dmm.checkpoints.sdxl_shapes import TE1, TE2
from dmm.codec.mel import encode, load_format
from dmm.errors import InputError, ModelError, PresetError
from dmm.files import write_text
from dmm.fitting.compute import Compute
from dmm.fitting.loop import Schedule
from dmm.pretraining.caption_check import check_captions
from dmm.pretraining.diffusion import (
    UNIFORM_SHARE,
    Denoiser,
    held_out_errors,
    timestep_probabilities,
    train_unet,
    v_schedule,
    velocity_errors,
)
from dmm.pretraining.latents import encode_latents, latents_identity, refresh_cached_latents
from dmm.pretraining.nano import (
    NANO,
    build_four_networks,
    empty_tokens,
    pretrain,
    tokenize_variants,
)
from dmm.pretraining.text import TextEncoders, shrink_outputs, tokenize, word_targets
from dmm.pretraining.vae import (
    LatentChange,
    clip_psnr,
    random_latent_change,
    reconstruction_psnr,
    train_decoder,
    train_vae,
    whiten_latents,
)


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return build_four_networks(NANO)[3].eval()


@pytest.fixture
def images():
    return torch.randint(256, (4, 64, 64), dtype=torch.uint8, generator=torch.manual_seed(0))


def test_whitening_keeps_the_image_and_gives_latents_unit_scale(vae, images):
    before = reconstruction_psnr(vae, images)
    whiten_latents(vae, images)
    latents = encode_latents(vae, images, Compute("cpu", "fp32"))
    assert latents.mean((0, 2, 3)).abs().max() < 1e-3
    assert latents.std((0, 2, 3)).numpy() == pytest.approx(1, abs=1e-3)
    assert reconstruction_psnr(vae, images) == pytest.approx(before, abs=1e-3)


def test_psnr_of_a_tenth_off_is_20_db():
    truth = torch.full((2, 8, 8), 0.5)
    assert clip_psnr(truth + 0.1, truth).numpy() == pytest.approx(20, abs=1e-4)


def test_training_the_decoder_keeps_the_latents_to_the_bit(vae, images, tmp_path):
    before = encode_latents(vae, images)
    old = vae.decoder.conv_out.weight.detach().clone()
    trained = train_decoder(vae, images, Schedule(2, 2, 1e-2), tmp_path / "vae.pt", 0)
    assert torch.equal(encode_latents(trained, images), before)
    assert not torch.equal(trained.decoder.conv_out.weight, old)


def test_a_decoder_does_not_resume_the_state_of_a_whole_vae(vae, images, tmp_path):
    arguments = (images, Schedule(1, 2, 1e-2), tmp_path / "vae.pt", 0)
    train_vae(copy.deepcopy(vae), *arguments)
    with pytest.raises(InputError, match="other learning parameters"):
        train_decoder(vae, *arguments)


def test_latents_are_computed_once_for_each_encoder_and_image(vae, images, tmp_path, monkeypatch):
    monkeypatch.setattr("dmm.pretraining.latents.IMAGES_A_FILE", 2)
    first = refresh_cached_latents(vae, images, tmp_path)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    vae.post_quant_conv.bias.data += 1  # the decoder's side
    assert torch.equal(refresh_cached_latents(vae, images, tmp_path), first)
    assert written == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    images[0] += 1
    refresh_cached_latents(vae, images, tmp_path)
    assert len(written.keys() & set(tmp_path.iterdir())) == 1
    vae.quant_conv.bias.data += 1
    assert not torch.equal(refresh_cached_latents(vae, images, tmp_path), first)
    assert len(list(tmp_path.iterdir())) == 2


def test_high_noise_is_sampled_most_and_no_timestep_is_rare():
    probabilities = timestep_probabilities()
    assert probabilities.sum().item() == pytest.approx(1)
    assert probabilities.min().item() > 0.9 * UNIFORM_SHARE / 1000
    assert probabilities[600:].sum() > 0.5
    assert probabilities[:300].sum() < 0.15


def test_noise_on_latents_has_the_stated_strength():
    mean = torch.randn(2, 8, 64, 64, generator=torch.manual_seed(0))
    noise = torch.randn(mean.shape, generator=torch.manual_seed(1))
    change = LatentChange(noise, torch.tensor([0.0, 0.5])[:, None, None, None])
    moved = (change.sample_changed_latents(mean, torch.full_like(mean, -50)) - mean).std((1, 2, 3))
    assert moved.numpy() == pytest.approx([0, 0.5], abs=0.01)


def test_latents_are_resized_in_some_steps():
    generator = torch.Generator().manual_seed(0)
    sizes = [random_latent_change((1, 8, 32, 16), generator).size for _ in range(200)]
    resized = [size for size in sizes if size]
    assert 0.3 < len(resized) / 200 < 0.5
    assert {min(rows for rows, _ in resized), max(f for _, f in resized)} == {8, 16}


def test_scaling_a_text_encoders_outputs_changes_only_their_scale():
    torch.manual_seed(0)
    _, te1, te2, _ = build_four_networks(NANO)
    encoders = TextEncoders(te1, te2)
    for encoder in (te1, te2):
        for module in encoder.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                module.weight.data *= 4
    ids = tokenize(["slow piano, A minor", "flute", "fast drums"], NANO.te1.vocab_size)
    before = encoders(*ids)
    shrink_outputs(encoders, *ids)
    for old, new in zip(before, encoders(*ids), strict=True):
        assert new.std() < 0.7 * old.std()
        cosine = torch.cosine_similarity(old.flatten(1), new.flatten(1), dim=1)
        assert cosine.min() > 0.999


def test_predicting_nothing_errs_by_the_variance_of_v():
    unet, te1, te2, _ = build_four_networks(NANO)
    for parameter in unet.conv_out.parameters():
        parameter.data.zero_()
    tokens = tuple(ids[None].expand(64, -1) for ids in empty_tokens())
    silence = torch.zeros(64, 8, 8, 8)
    errors = velocity_errors(Denoiser(unet, TextEncoders(te1, te2)), silence, tokens, (300,), 0)
    signal = v_schedule().alphas_cumprod[300].item()  # v = sqrt(alphas_cumprod) noise where x is 0
    assert errors.mean().item() == pytest.approx(signal, rel=0.02)


@pytest.mark.parametrize("text_rate", [0.0, 0.1])
def test_text_encoders_are_trained_with_the_unet_only_if_asked(tmp_path, text_rate):
    unet, te1, te2, _ = build_four_networks(NANO)
    encoders = TextEncoders(te1, te2)
    before = te2.text_projection.weight.detach().clone()
    latents, tokens = torch.randn(2, 8, 8, 8), tokenize_variants([["piano", "flute"]])
    schedule, state = Schedule(2, 2, 1e-2), tmp_path / "unet.pt"
    arguments = (unet, latents, encoders, tokens, empty_tokens(), schedule, state, 0)
    trained = train_unet(*arguments, text_rate=text_rate)
    after = trained.encoders.te2.text_projection.weight
    assert torch.equal(after, before) == (text_rate == 0)


def test_the_held_out_error_is_the_mean_over_its_timesteps():
    unet, te1, te2, _ = build_four_networks(NANO)
    tokens = tuple(ids[None].expand(2, -1) for ids in empty_tokens())
    errors = held_out_errors(
        Denoiser(unet, TextEncoders(te1, te2)), torch.zeros(2, 8, 8, 8), tokens
    )
    mean, *parts = errors.values()
    assert mean == pytest.approx(sum(parts) / len(parts))


def test_captions_of_other_clips_are_refused():
    fmt = load_format("nano")
    pieces = [compose(seed) for seed in range(12)]
    images = torch.stack(
        [torch.tensor(encode(render(p, fmt.sr).mean(0, keepdims=True), fmt).copy()) for p in pieces]
    )
    captions = [caption(piece) for piece in pieces]
    assert check_captions(images, captions, fmt) > 0.8
    with pytest.raises(InputError, match="build the dataset again"):
        check_captions(images, [*captions[5:], *captions[:5]], fmt)


def test_words_that_are_rare_are_no_targets():
    targets = word_targets(["piano, slow"] * 5 + ["piano, organ"])
    assert targets.tolist() == [[1, 1]] * 5 + [[1, 0]]


def test_a_base_from_scratch_loads_and_parts_of_it_can_be_kept(tmp_path):
    options = BuildOptions(source="minimidi", format="nano")
    build_dataset(tmp_path / "data", options, count=6, jobs=1)
    once = {"vae_steps": 1, "text_steps": 1, "unet_steps": 1}
    base = pretrain(tmp_path / "data", tmp_path / "base.safetensors", **once)
    assert read_architecture(base) == NANO
    assert (tmp_path / "base.state/early.safetensors").is_file()
    more = {"vae_steps": 0, "text_steps": 0, "unet_steps": 2}
    out = pretrain(tmp_path / "data", tmp_path / "more.safetensors", start=base, **more)
    old, new = load_file(base), load_file(out)
    kept = {key for key in old if torch.equal(old[key], new[key])}
    assert kept.issuperset(key for key in old if key.startswith((VAE, TE1, TE2)))
    assert not kept.issuperset(key for key in old if key.startswith(UNET))
    identities = {read_metadata(path)["dmm_latents"] for path in (base, out)}
    assert identities == {latents_identity(load_pipeline(base).vae)}


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ({"vae_steps": 0}, "name a checkpoint with --from"),
        ({"decoder_only": True}, "name a checkpoint with --from"),
        ({"start": "base", "unet_steps": 0}, "other latents"),
    ],
)
def test_steps_that_make_no_working_model_are_refused(tmp_path, steps, reason):
    if "start" in steps:
        steps = {**steps, "start": tmp_path / steps["start"]}
    with pytest.raises(PresetError, match=reason):
        pretrain(tmp_path, tmp_path / "out.safetensors", **steps)


@pytest.mark.parametrize("formats", [("sdxl-512", "nano"), ("nano", "sdxl-512")])
def test_datasets_of_another_format_are_refused_before_training(tmp_path, formats):
    dataset, extra = (tmp_path / name for name in ("data", "extra"))
    for folder, name in zip((dataset, extra), formats, strict=True):
        built = {"format": {"name": name}, "options": {"anchor": "music"}}
        write_text(folder / "dataset.json", json.dumps(built))
    with pytest.raises(InputError, match=r"its mel format is sdxl-512, .*--format nano"):
        pretrain(dataset, tmp_path / "out.safetensors", extra)


def test_a_start_that_is_missing_is_refused_by_name(tmp_path):
    with pytest.raises(ModelError, match=r"none\.safetensors: no such checkpoint"):
        pretrain(tmp_path, tmp_path / "out.safetensors", start=tmp_path / "none.safetensors")
