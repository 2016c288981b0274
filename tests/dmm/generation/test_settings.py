import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from dmm.codec.mel import load_format
from dmm.devices import pick_device, pick_precision
from dmm.errors import ModelError, PresetError
from dmm.generation.callbacks import Callbacks
from dmm.generation.generate import generate
from dmm.generation.loading import Lora, open_pipeline
from dmm.generation.mel_images import generate_images
from dmm.generation.requests import ClipRequest
from dmm.generation.settings import other_format_note, resolve_settings

LAYER = "lora_unet_input_blocks_4_1_proj_in"


@pytest.fixture
def lora(tmp_path, tiny_checkpoint):
    """``lora(name, **metadata)``: a LoRA of the tiny model that does change something."""
    size = 64  # of the second level

    def write(name: str = "lora", **metadata: str) -> Lora:
        torch.manual_seed(len(name))
        tensors = {
            f"{LAYER}.lora_down.weight": torch.randn(2, size),
            f"{LAYER}.lora_up.weight": torch.randn(size, 2),
            f"{LAYER}.alpha": torch.tensor(2.0),
        }
        path = tmp_path / f"{name}.safetensors"
        save_file(tensors, path, metadata or {"dmm_anchor": ""})
        return Lora(path)

    return write


def picture(model, loras, settings, precision="fp32"):
    pipeline = open_pipeline(model, loras, "cpu", precision)
    return generate_images(pipeline, [ClipRequest("organ", 3)], settings)[0].astype(int)


def test_several_loras_are_applied_by_their_weights(tiny_checkpoint, lora, settings):
    one, half = lora(), Lora(lora().path, 0.5)
    whole = picture(tiny_checkpoint, [one], settings)
    assert np.abs(picture(tiny_checkpoint, [half, half], settings) - whole).max() <= 1
    assert np.abs(picture(tiny_checkpoint, [half], settings) - whole).max() > 1
    without = picture(tiny_checkpoint, [Lora(one.path, 0.0)], settings)
    assert (without == picture(tiny_checkpoint, [], settings)).all()


def test_half_precision_gives_nearly_the_same_with_the_lora_unmerged(
    tiny_checkpoint, lora, settings
):
    halves, whole = (picture(tiny_checkpoint, [lora()], settings, p) for p in ("bf16", "fp32"))
    assert 0 < np.abs(halves - whole).mean() < 8
    pipeline = open_pipeline(tiny_checkpoint, [lora()], "cpu", "bf16")
    assert pipeline.unet.dtype == torch.bfloat16 and pipeline.vae.dtype == torch.float32


def test_loras_that_agree_decide_the_settings(tiny_checkpoint, lora):
    said = {"dmm_anchor": "mel music", "dmm_format": "sdxl-1024", "dmm_stereo": "true"}
    settings = resolve_settings(tiny_checkpoint, [lora("a", **said), lora("b", **said), lora("c")])
    assert (settings.anchor, settings.fmt.name, settings.stereo) == ("mel music", "sdxl-1024", True)
    assert resolve_settings(tiny_checkpoint).fmt.name == "nano"


@pytest.mark.parametrize(
    ("key", "values", "remedy", "stated"),
    [
        ("dmm_anchor", ("mel", "music"), "--no-anchor", {"anchor": ""}),
        ("dmm_format", ("nano", "sdxl-512"), "--format", {"format_name": "nano"}),
        ("dmm_stereo", ("true", "false"), "--mono", {"stereo": False}),
    ],
)
def test_two_loras_that_disagree_need_an_option(tiny_checkpoint, lora, key, values, remedy, stated):
    loras = [lora(name, **{key: value}) for name, value in zip("ab", values, strict=True)]
    with pytest.raises(PresetError, match=r"a\.safetensors .*b\.safetensors") as error:
        resolve_settings(tiny_checkpoint, loras)
    assert remedy in str(error.value) and "\n" not in str(error.value)
    resolve_settings(tiny_checkpoint, loras, **stated)


def test_an_unknown_format_is_read_from_its_parameters(tiny_checkpoint, lora):
    settings = resolve_settings(tiny_checkpoint)
    own = settings.fmt.model_copy(update={"name": "mine", "n_frames": 96})
    found = resolve_settings(tiny_checkpoint, [lora(dmm_format_parameters=own.model_dump_json())])
    assert found.fmt == own
    with pytest.raises(PresetError, match="damaged"):
        resolve_settings(tiny_checkpoint, [lora(dmm_format_parameters='{"name": "x"}')])


def test_a_stereo_model_makes_colours_and_two_channels(tiny_sd15, tmp_path):
    base = tmp_path / "base.safetensors"
    save_file(load_file(tiny_sd15), base, {"dmm_format": "nano", "dmm_stereo": "true"})
    (sound,) = generate(["x"], base, tmp_path / "clips", steps=1)
    with Image.open(sound.with_suffix(".png")) as image:
        assert image.mode == "RGB"
    assert soundfile.info(sound).channels == 2


def test_a_lora_of_another_base_names_both(tiny_sd15, lora):
    with pytest.raises(ModelError, match=r"lora\.safetensors.*tiny-sd15\.safetensors"):
        open_pipeline(tiny_sd15, [lora()], "cpu")


def test_an_unavailable_device_or_precision_is_an_error(tiny_checkpoint):
    with pytest.raises(PresetError, match="known: auto, cpu"):
        pick_device("gpu")
    with pytest.raises(PresetError, match="bf16"):
        pick_precision("int8", "cpu")
    with pytest.raises(PresetError, match="runs on the CPU"):
        open_pipeline(tiny_checkpoint, device="cpu", offload="model")
    assert (pick_precision("auto", "cpu"), pick_precision("auto", "mps")) == ("fp32", "fp16")


def test_a_format_that_the_lora_was_not_trained_for_is_noted(lora, tiny_checkpoint, tmp_path):
    notes = []
    given = {"format": "sdxl-512", "dry_run": True, "callbacks": Callbacks(on_note=notes.append)}
    generate("organ", tiny_checkpoint, tmp_path, lora(dmm_format="nano"), **given)
    assert [note.split(":")[0] for note in notes] == [
        "lora.safetensors was trained for the format nano, not sdxl-512"
    ]
    given["format"] = "nano"
    generate("organ", tiny_checkpoint, tmp_path, lora(dmm_format="nano"), **given)
    assert len(notes) == 1


def test_the_base_has_no_say_on_the_format_of_a_lora_that_states_its_own(lora, tiny_checkpoint):
    own = lora(dmm_format="sdxl-512")  # the base was trained for nano
    assert other_format_note(load_format("sdxl-512"), tiny_checkpoint, [own]) is None
    note = other_format_note(load_format("sdxl-512"), tiny_checkpoint, [lora("silent")])
    assert note and "trained for the format nano" in note
