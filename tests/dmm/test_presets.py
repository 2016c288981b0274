import pytest

from dmm.errors import PresetError
from dmm.presets import PRESETS, Option, check, engine_options, load_preset, parse_settings

OPTIONS = {
    "learning_rate": Option("float"),
    "max_train_steps": Option("int"),
    "cache_latents": Option("flag"),
    "huber_anneal": Option("str", choices=("linear", "cosine")),
    "network_args": Option("str", is_list=True),
    "lr_warmup_steps": Option("number"),
}


def test_every_preset_fits_the_engines_own_parser(engine):
    options = engine_options(engine)
    paths = sorted(PRESETS.rglob("*.toml"))
    assert paths
    for path in paths:
        check(load_preset(str(path)), options)


def test_a_preset_overrides_what_it_extends():
    assert load_preset("nano")["loss_type"] == load_preset("base")["loss_type"]
    assert load_preset("nano")["optimizer_type"] == "AdamW"
    assert load_preset("sdxl-24gb")["optimizer_type"] == "AdamW8bit"


def test_a_misspelt_key_is_told_its_nearest_neighbour():
    with pytest.raises(PresetError, match=r"'learnign_rate'.*did you mean 'learning_rate'"):
        check({"learnign_rate": 1e-3}, OPTIONS)


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("learning_rate=1e-3", 1e-3),
        ("max_train_steps=20", 20),
        ("cache_latents=false", False),
        ("network_args=conv_dim=4 conv_alpha=1", ["conv_dim=4", "conv_alpha=1"]),
        ("lr_warmup_steps=10", 10),
        ("lr_warmup_steps=0.1", 0.1),
    ],
)
def test_words_take_the_type_of_their_option(pair, value):
    (found,) = check(parse_settings([pair]), OPTIONS).values()
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "pair", ["max_train_steps=1.5", "cache_latents=maybe", "huber_anneal=sine", "learning_rate=x"]
)
def test_a_value_of_the_wrong_kind_is_refused(pair):
    with pytest.raises(PresetError, match="is needed"):
        check(parse_settings([pair]), OPTIONS)


def test_an_unknown_preset_is_told_the_known_ones():
    with pytest.raises(PresetError, match="nano"):
        load_preset("nanoo")
