import re

import pytest

from dmm.errors import PresetError
from dmm.training.engine_options import loss_weights
from dmm.training.explain import explain, read_explanations
from dmm.training.known_settings import known_options
from dmm.training.presets import ABLATIONS, preset_names, read_layers, resolve
from dmm.training.rules.engine import OURS_INSTEAD


def test_every_explained_key_exists_and_has_a_sentence():
    assert set(read_explanations()) <= set(known_options())
    for key, words in read_explanations().items():
        assert set(words) <= {"what", "why"}, key
        assert all(text.endswith(".") for text in words.values()), key


def test_every_setting_of_ours_is_explained():
    ours = {key for key, option in known_options().items() if option.owner != "engine"}
    assert ours and ours - set(loss_weights()) <= set(read_explanations())


def test_a_setting_without_a_table_shows_its_own_line(monkeypatch):
    monkeypatch.setattr("dmm.training.explain.read_explanations", dict)
    line = {"mel_tilt": "weight of a new loss; 0 is off"}
    monkeypatch.setattr("dmm.training.explain.loss_weights", lambda: line)
    assert explain("mel_tilt").what == "Weight of a new loss; 0 is off."


def test_every_setting_in_a_shipped_preset_is_explained_with_its_reason():
    whole = {key for name in preset_names() for key in resolve(name).stated}
    ablated = {key for name in preset_names(ABLATIONS) for key in read_layers(name)[-1].values}
    assert whole | ablated <= set(read_explanations())
    assert [key for key in sorted(whole) if "why" not in read_explanations()[key]] == []


def test_an_explanation_shows_default_presets_and_ablations():
    text = str(explain("noise_offset"))
    assert "default: unset" in text and "sd-scripts, for SD 1.5 and SDXL" in text
    assert "0.0357 in nano-cpu, sdxl-12gb, sdxl-16gb, sdxl-24gb" in text
    assert "ablation: 0.1 in noise-offset" in text and "why: 0.0357, what SDXL" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_spelling_of_a_table_is_accepted():
    assert explain("huber.start") == explain("huber_start")


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("ddp_timeout", "Passed through to sd-scripts unchanged."),
        ("output_dir", "it is given by --out"),
        ("save_every_n_epochs", "Does nothing here.*use save_every_n_steps"),
        ("cache_text_encoder_outputs", "SDXL only"),
    ],
)
def test_other_settings_are_explained_by_what_reads_them(key, sentence):
    assert re.search(sentence, explain(key).what)


def test_what_our_trainer_does_itself_is_known_to_the_engine():
    assert set(OURS_INSTEAD) <= set(known_options())


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("lerning_rate", "did you mean 'learning_rate'"),
        ("huber", "there are huber_c, huber_curve"),
        ("", "no setting ''"),
    ],
)
def test_an_unknown_setting_gets_similar_ones(key, message):
    with pytest.raises(PresetError, match=message):
        explain(key)


def test_the_rate_that_is_explained_for_nano_is_that_of_its_preset():
    rate = resolve("nano-cpu")["learning_rate"]
    assert rate == 5e-3 and "nano-cpu takes 5e-3" in explain("learning_rate").why
