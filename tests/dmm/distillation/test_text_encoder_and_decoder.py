"""Text encoders and decoders."""

from dataclasses import replace

import pytest
import torch

from dmm.checkpoints.custom_layout import STANDARD
from dmm.checkpoints.tiny_vae import TinyVae
from dmm.distillation.decoder import layout_with_tiny_vae, tiny_vae_config, train_tiny_vae
from dmm.distillation.presets import DecoderPart, TextPart
from dmm.distillation.text_encoder import (
    TextReader,
    check_half_precision,
    layers_to_keep,
    shortened_copy,
    train_text_encoder,
)
from dmm.errors import ModelError, PresetError
from dmm.generation.conditioning import embed_prompts

TRAINING = {"steps": 8, "batch_size": 4, "learning_rate": 2e-3, "warmup": 1, "ema_decay": 0.5}
TEXTS = ["piano, slow", "flute and strings", "organ, dark", "drums, fast", "jazz, calm piano"]


def _text(**changes):
    return TextPart(**{**TRAINING, "layers": 3, **changes})


def test_every_nth_layer_stays_with_the_one_that_is_read_and_those_behind_it():
    assert layers_to_keep(_text(layers=4), 12, 1) == [3, 6, 10, 11]
    assert layers_to_keep(_text(layers=3), 12, 0) == [3, 7, 11]
    assert layers_to_keep(_text(layers=None, ratio=1.0), 5, 1) == [0, 1, 2, 3, 4]
    with pytest.raises(PresetError, match="13 layers of a text encoder with 12: name 2 to 12"):
        layers_to_keep(_text(layers=13), 12, 1)


def test_a_quarter_of_bigg_has_at_most_180_million_weights_beside_its_embeddings():
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    from dmm.checkpoints.network_shapes import TextEncoderShapes
    from dmm.distillation.presets import load_preset

    part = load_preset("base").text_encoder_2
    assert part is not None
    sizes = TextEncoderShapes(49408, 1280, 5120, len(layers_to_keep(part, 32, 1)))
    with torch.device("meta"):
        encoder = CLIPTextModelWithProjection(
            CLIPTextConfig(**sizes.clip_text_config(hidden_act="gelu"))
        )
    embeddings = encoder.text_model.embeddings
    weights = sum(p.numel() for p in encoder.parameters())
    assert weights - sum(p.numel() for p in embeddings.parameters()) <= 180e6


@pytest.mark.parametrize("which", [1, 2])
def test_a_reader_sees_what_the_unet_is_given(teacher, which):
    reader, wanted = TextReader(teacher, which), embed_prompts(teacher.pipeline, TEXTS)
    hidden, pooled = reader.hidden_and_pooled(reader.encoder, reader.token_ids(TEXTS))
    place = slice(0, 64) if which == 1 else slice(64, None)
    assert torch.allclose(hidden, wanted.tokens[..., place], atol=1e-5)
    assert (pooled is None) == (which == 1)
    if pooled is not None and wanted.pooled is not None:
        assert torch.allclose(pooled, wanted.pooled, atol=1e-5)


def test_training_brings_a_short_encoder_nearer_and_leaves_its_teacher_alone(teacher, tmp_path):
    reader = TextReader(teacher, 1)
    before = [p.clone() for p in reader.encoder.parameters()]
    ids = reader.token_ids(TEXTS)
    wanted, _ = reader.hidden_and_pooled(reader.encoder, ids)
    start, _ = reader.hidden_and_pooled(shortened_copy(reader.encoder, [4, 10, 11]), ids)
    trained = train_text_encoder(_text(), 1, teacher, TEXTS, None, tmp_path, 0)
    found, _ = reader.hidden_and_pooled(trained, ids)
    assert (found - wanted).square().mean() < (start - wanted).square().mean()
    assert len(trained.text_model.encoder.layers) == 3
    assert all(map(torch.equal, before, reader.encoder.parameters()))


def test_a_loss_through_the_unet_needs_clips_and_works_with_some(teacher, tmp_path):
    part = _text(steps=1, unet=1.0)
    with pytest.raises(PresetError, match="needs clips: name a --dataset"):
        train_text_encoder(part, 1, teacher, TEXTS, None, tmp_path, 0)
    latents = torch.randn(2, 8, 8, 8, generator=torch.manual_seed(0))
    for which in (1, 2):
        part = _text(steps=1, unet=1.0, layers=2)
        train_text_encoder(part, which, teacher, TEXTS, latents, tmp_path, 0)


def test_the_text_encoder_of_sd15_is_read_with_its_clip_skip(tiny_sd15, compute):
    from dmm.distillation.teacher import Teacher

    teacher = Teacher(tiny_sd15, (), compute)
    for skip in (None, 2):
        teacher.settings = replace(teacher.settings, clip_skip=skip)
        reader = TextReader(teacher, 1)
        hidden, pooled = reader.hidden_and_pooled(reader.encoder, reader.token_ids(TEXTS))
        assert pooled is None
        assert torch.allclose(
            hidden, embed_prompts(teacher.pipeline, TEXTS, skip).tokens, atol=1e-5
        )
    with pytest.raises(PresetError, match=r"has 1 text encoder"):
        TextReader(teacher, 2)


def test_activations_beyond_half_precision_are_refused(teacher):
    reader = TextReader(teacher, 1)
    assert check_half_precision(reader.encoder, reader, TEXTS) < 1000
    loud = shortened_copy(reader.encoder, [0, 11])
    with torch.no_grad():
        loud.text_model.encoder.layers[0].mlp.fc2.bias.fill_(50_000)
    with pytest.raises(ModelError, match=r"activations reach 5.*e\+04, too close"):
        check_half_precision(loud, reader, TEXTS)


def _decoder(**changes):
    known = {**TRAINING, "widths": (8, 8, 8, 8), "blocks": (1, 1, 1, 1), "crop": 64}
    known |= {"optimizer": "muon", "learning_rate": 3e-2}
    return DecoderPart(**{**known, **changes})


def test_a_tiny_vae_learns_pictures_and_latents(teacher, tmp_path):
    generator = torch.manual_seed(0)
    latents = torch.randn(4, 8, 8, 8, generator=generator)
    images = (127 + 100 * latents[:, 0]).clamp(0, 255).byte()
    images = images.repeat_interleave(8, 1).repeat_interleave(8, 2)
    wanted = images.float()[:, None] / 127.5 - 1

    def error(steps):
        folder = tmp_path / str(steps)
        vae = train_tiny_vae(_decoder(steps=steps), teacher, images, latents, folder, 0)
        with torch.no_grad():
            return (vae.decode(latents).sample - wanted).square().mean().item()

    assert error(40) < 0.7 * error(1)


def test_grey_pictures_of_a_stereo_teacher_are_refused(teacher, monkeypatch):
    monkeypatch.setattr(teacher, "settings", replace(teacher.settings, stereo=True))
    with pytest.raises(PresetError, match="set colours = 3"):
        layout_with_tiny_vae(_decoder(), teacher, STANDARD)
    in_colour = layout_with_tiny_vae(_decoder(colours=3), teacher, STANDARD)
    assert in_colour.vae_config["colours"] == 3


def test_a_tiny_vae_with_other_resolutions_than_the_teachers_is_refused(teacher):
    with pytest.raises(PresetError, match=r"3 widths and 4 blocks.*give 4 of each"):
        tiny_vae_config(_decoder(widths=(8, 8, 8)), teacher.shapes)


def test_nanos_decoder_has_at_most_15_percent_of_the_weights(teacher):
    from dmm.distillation.presets import load_preset

    part = load_preset("nano-quarter").decoder
    assert part is not None
    tiny = TinyVae(**tiny_vae_config(part, teacher.shapes)).decoder
    whole = (teacher.pipeline.vae.decoder, teacher.pipeline.vae.post_quant_conv)
    count = sum(p.numel() for network in whole for p in network.parameters())
    assert sum(p.numel() for p in tiny.parameters()) <= 0.15 * count
