import json
from functools import partial

import pytest
import soundfile
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from dmm.checkpoints.pipeline import load_pipeline
from dmm.codec.mel import load_format
from dmm.errors import InputError, ModelError, PresetError
from dmm.generation.conditioning import embed_prompts
from dmm.generation.generate import generate
from dmm.generation.mel_images import generate_images
from dmm.generation.requests import ClipRequest
from dmm.generation.sampling import Sampling
from dmm.generation.settings import GenerationSettings


@pytest.fixture(scope="module")
def clips(tiny_checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("clips")
    generate(["piano, slow", "organ"], tiny_checkpoint, out, count=2, seed=5, steps=2)
    return out


def test_every_clip_is_image_audio_and_settings(clips):
    ids = {"piano_slow-5", "organ-6", "piano_slow-7", "organ-8"}
    assert {p.stem for p in clips.iterdir()} == ids and len(list(clips.iterdir())) == 12
    facts = json.loads((clips / "organ-6.json").read_text())
    assert (facts["prompt"], facts["seed"], facts["format"]) == ("organ", 6, "nano")
    assert soundfile.info(clips / "organ-6.flac").duration == pytest.approx(5.12)


def test_the_same_command_gives_the_same_bytes(clips, tiny_checkpoint, tmp_path):
    generate(["piano, slow", "organ"], tiny_checkpoint, tmp_path, count=2, seed=5, steps=2)
    for path in clips.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_a_clip_does_not_depend_on_its_batch(clips, tiny_checkpoint, tmp_path):
    (alone,) = generate(["organ"], tiny_checkpoint, tmp_path, seed=6, steps=2)
    for kind in (".png", ".flac", ".json"):
        assert alone.with_suffix(kind).read_bytes() == (clips / f"organ-6{kind}").read_bytes()


def test_existing_clips_are_not_generated_again(clips, tiny_checkpoint):
    before = {path: path.stat().st_mtime_ns for path in clips.iterdir()}
    generate(["piano, slow", "organ"], tiny_checkpoint, clips, count=2, seed=5, steps=2)
    assert before == {path: path.stat().st_mtime_ns for path in clips.iterdir()}


def test_an_unknown_sampler_and_a_missing_lora_are_errors(tiny_checkpoint, tmp_path):
    with pytest.raises(PresetError, match=r"dpmsolver\+\+"):
        generate(["x"], tiny_checkpoint, tmp_path, sampler="magic")
    with pytest.raises(ModelError, match="no such"):
        generate(["x"], tiny_checkpoint, tmp_path, lora=tmp_path / "no.safetensors")


@pytest.mark.parametrize(("sampler", "most"), [("lcm", 50), ("ddim", 1000)])
def test_more_steps_than_a_sampler_has_are_an_error(sampler, most):
    assert Sampling(sampler, most).steps == most
    with pytest.raises(PresetError, match=f"--steps {most + 1}: {sampler} takes {most} at most"):
        Sampling(sampler, most + 1)


def test_sd15_generates_clips_in_its_own_format(tiny_sd15, tmp_path):
    made = generate(["piano", "organ"], tiny_sd15, tmp_path, seed=1, steps=2)
    assert [path.name for path in made] == ["piano-1.flac", "organ-2.flac"]
    assert _size(made[0]) == (256, 256)
    assert soundfile.info(made[1]).duration == pytest.approx(5.12)


@pytest.fixture
def lora(tmp_path):
    """``lora(metadata, base)``: a LoRA that changes nothing, with this metadata."""

    def write(**metadata: str):
        layer = "lora_unet_down_blocks_1_attentions_0_proj_in"
        tensors = {
            f"{layer}.lora_down.weight": torch.zeros(2, 64, 1, 1),
            f"{layer}.lora_up.weight": torch.zeros(64, 2, 1, 1),
            f"{layer}.alpha": torch.tensor(1.0),
        }
        path = tmp_path / "lora.safetensors"
        save_file(tensors, path, {"ss_sd_model_name": "tiny-sd15.safetensors", **metadata})
        return path

    return write


def test_anchor_and_format_come_from_the_lora_before_the_base(tiny_sd15, lora, tmp_path):
    base, file = tmp_path / "base.safetensors", lora(dmm_anchor="mel music", dmm_format="nano")
    save_file(load_file(tiny_sd15), base, {"dmm_format": "sdxl-512"})
    (clip,) = generate(["x"], base, tmp_path, file, steps=2)
    facts = json.loads(clip.with_suffix(".json").read_text())
    assert (facts["anchor"], facts["format"]) == ("mel music", "nano") and _size(clip) == (256, 256)


def test_clip_skip_of_the_lora_changes_the_image(tiny_sd15, lora, tmp_path):
    pictures = []
    for skip in ("1", "2"):
        (clip,) = generate(["x"], tiny_sd15, tmp_path / skip, lora(ss_clip_skip=skip), steps=2)
        pictures.append(clip.with_suffix(".png").read_bytes())
    assert json.loads(clip.with_suffix(".json").read_text())["clip_skip"] == 2
    assert pictures[0] != pictures[1]


def test_clip_skip_holds_for_the_negative_prompt_too(tiny_sd15):
    pipeline = load_pipeline(tiny_sd15)
    expected = torch.cat([embed_prompts(pipeline, [text], 2).tokens for text in ("noise", "piano")])
    seen = []
    hook = lambda unet, args, named: seen.append(named["encoder_hidden_states"])  # noqa: E731
    pipeline.unet.register_forward_pre_hook(hook, with_kwargs=True)
    sampling = Sampling(steps=1, negative_prompt="noise")
    generate_images(
        pipeline,
        [ClipRequest("piano", 0)],
        GenerationSettings(load_format("nano"), sampling, clip_skip=2),
    )
    assert torch.equal(seen[0], expected)


def test_a_lora_of_another_base_is_refused_before_generation(tiny_checkpoint, lora, tmp_path):
    with pytest.raises(ModelError, match=r"trained on tiny-sd15\.safetensors") as error:
        generate(["x"], tiny_checkpoint, tmp_path, lora(), steps=2)
    assert "\n" not in str(error.value) and not list(tmp_path.glob("*.flac"))


def test_prompts_and_variations_together_are_refused(tiny_sd15, tmp_path):
    with pytest.raises(ValueError, match="prompts, or a morph"):
        generate("organ", tiny_sd15, tmp_path, variations="organ-1")


def _size(clip):
    with Image.open(clip.with_suffix(".png")) as picture:
        return picture.size


def test_a_clip_with_other_settings_is_replaced_only_on_request(tiny_checkpoint, tmp_path):
    make = partial(generate, "piano", tiny_checkpoint, tmp_path, sampler="euler")
    (sound,) = make(steps=1)
    before = sound.read_bytes()
    with pytest.raises(InputError, match="--overwrite"):
        make(steps=2)
    assert sound.read_bytes() == before
    make(steps=2, overwrite=True)
    assert sound.read_bytes() != before
