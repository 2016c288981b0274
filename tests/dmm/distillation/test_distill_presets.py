import pytest

from dmm.distillation.presets import load_preset, override_part, preset_names
from dmm.errors import PresetError


def test_every_preset_loads():
    assert len(preset_names()) >= 4
    for name in preset_names():
        assert load_preset(name).unet is not None


def test_tables_are_taken_over_key_by_key_and_parts_can_be_left_out(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "unet-330m"\ndecoder = false\n[unet]\nsteps = 7\n')
    mine, below = load_preset(str(path)), load_preset("unet-330m")
    assert mine.decoder is None
    assert below.decoder is not None
    assert mine.unet is not None and below.unet is not None
    assert mine.unet == below.unet.model_copy(update={"steps": 7})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[unet]\nsteps = 1\n[unet.sizes]\nchanels = [8]", "did you mean 'channels'"),
        ("[decoder]\nsteps = 0\nbatch_size = 1\nlearning_rate = 1", "decoder.steps"),
        ('extends = "mine.toml"', "extends itself"),
        ("[unet", "not valid TOML"),
    ],
)
def test_invalid_presets_end_in_a_one_line_error(tmp_path, text, reason):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(PresetError, match=reason) as error:
        load_preset(str(path))
    assert "\n" not in str(error.value)


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(PresetError, match=r"no distillation preset 'unet-9m'; known: .*unet-88m"):
        load_preset("unet-9m")


def test_values_can_be_stated_otherwise_and_are_checked():
    found = override_part(load_preset("base"), "text_encoder_2", layers=6, ratio=None)
    assert found.text_encoder_2 is not None
    assert (found.text_encoder_2.layers, found.text_encoder_2.ratio) == (6, None)
    with pytest.raises(PresetError, match="method: input should be"):
        override_part(load_preset("base"), "steps", method="magic")
    with pytest.raises(PresetError, match=r"has no \[unet\]"):
        override_part(load_preset("base"), "unet", steps=3)
