import subprocess
import sys

import pytest

from dmm.errors import PresetError
from dmm.training.engine_options import Option
from dmm.training.presets import ABLATIONS, PRESETS, preset_names, resolve
from dmm.training.values import parse_value


def written(folder, **files):
    """Preset files by name; returns the path of the first."""
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return str(folder / f"{next(iter(files))}.toml")


def test_every_preset_loads_and_every_ablation_goes_on_every_preset():
    assert len(preset_names()) >= 5 and len(preset_names(ABLATIONS)) >= 20
    for name in preset_names():
        resolve(name)
        for ablation in preset_names(ABLATIONS):
            resolve(f"{name}+{ablation}")


def test_every_preset_says_in_comments_what_it_is_for():
    for path in PRESETS.rglob("*.toml"):
        comments = [x for x in path.read_text(encoding="utf-8").splitlines() if x[:1] == "#"]
        wanted = ("Changes", "First model", "Elsewhere", "Memory and speed")
        if path.parent == ABLATIONS:
            assert all(f"# {word}:" in "\n".join(comments) for word in wanted), path
        assert comments, path


def test_a_preset_is_checked_in_half_a_second_without_torch_or_engine():
    code = (
        "import sys, time; start = time.process_time(); from dmm.training.presets import resolve; "
        "resolve('sdxl-24gb+rank-64', ['learning_rate=1e-3']); took = time.process_time() - start; "
        "assert not {'torch', 'library', 'transformers'} & set(sys.modules); print(took)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.5


def test_what_is_on_top_wins():
    settings = resolve("nano-cpu+min-snr+rank-64", ["network_dim=4"])
    assert (settings["min_snr_gamma"], settings["network_alpha"], settings["network_dim"]) == (
        20.0,
        64.0,
        4,
    )
    origins = [settings.origin(key) for key in ("min_snr_gamma", "network_dim", "seed", "huber_c")]
    assert origins == ["min-snr", "--set", "base", "default"]


def test_a_table_is_a_prefix(tmp_path):
    path = written(
        tmp_path, mine='extends = "nano-cpu"\n[huber]\nstart = 0.3\n[preview]\nprompts = ["a, b"]'
    )
    settings = resolve(path, ["huber.end=0.2"])
    assert (settings["huber_start"], settings["huber_end"]) == (0.3, 0.2)
    assert settings["preview_prompts"] == ["a, b"]


def test_unset_settings_go_back_to_their_defaults(tmp_path):
    path = written(tmp_path, mine='extends = "nano-cpu"\nunset = ["min_snr_gamma"]')
    settings = resolve(path, ["noise_offset="])
    assert settings["min_snr_gamma"] is None and settings["noise_offset"] is None
    assert not settings.states("min_snr_gamma", "noise_offset")
    assert "huber_start" not in resolve("nano-cpu+mse").stated


def test_a_preset_extends_its_neighbour_before_one_of_ours(tmp_path):
    path = written(
        tmp_path,
        mine='extends = "nano-cpu"\nseed = 3',
        **{"nano-cpu": 'network_module = "networks.lora"\ntrain_batch_size = 7'},
    )
    settings = resolve(path)
    assert (settings["train_batch_size"], settings["seed"], settings["loss_type"]) == (7, 3, "l2")


def test_launcher_settings_stay_out_of_the_engines():
    settings = resolve("sdxl-12gb")
    assert settings.launcher_settings()["dataset_shuffle"] is False
    assert "dataset_shuffle" not in settings.engine_settings()
    assert settings.engine_settings()["cache_text_encoder_outputs"] is True


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": 'extends = "b"', "b": 'extends = "a"'}, r"extends itself \(a.toml -> b.toml -> a"),
        ({"a": "learnign_rate = 1e-3"}, "'learnign_rate'.*did you mean 'learning_rate'"),
        ({"a": "[hubr]\nstart = 1"}, "'hubr_start'.*did you mean 'huber_start'"),
        ({"a": "[huber]\nstart = 1\nseed = 1"}, "seed stands under .huber.*above the first table"),
        ({"a": "huber_start = 1\n[huber]\nstart = 1"}, "huber_start is stated twice"),
        ({"a": "seed = "}, "a.toml: damaged, not valid TOML"),
        ({"a": 'seed = "many"'}, "seed = 'many': a whole number is needed"),
        ({"a": "train_batch_size = 2.5"}, "train_batch_size = 2.5: a whole number is needed"),
        ({"a": "seed = true"}, "seed = true: a whole number is needed"),
        ({"a": 'cache_latents = "perhaps"'}, "true or false is needed"),
        ({"a": 'loss_type = "hubr"'}, "one of l1, l2, huber, smooth_l1 is needed"),
        ({"a": "learning_rate = nan"}, "a finite number is needed"),
        ({"a": 'network_args = ["a=1", ["b=1"]]'}, "text is needed"),
        ({"a": "extends = 3"}, "the name of one preset is needed"),
        ({"a": 'unset = "seed"'}, "a list of settings is needed"),
        ({"a": 'unset = ["sede"]'}, "did you mean 'seed'"),
        ({"a": 'output_dir = "x"'}, "output_dir cannot stand in a preset; it is given by --out"),
        ({"a": 'extends = "nano-cpuu"'}, "did you mean 'nano-cpu'"),
        ({"a": "seed = 1"}, "states a difference only"),
    ],
)
def test_a_bad_preset_is_reported_in_one_line(tmp_path, files, message):
    with pytest.raises(PresetError, match=message) as found:
        resolve(written(tmp_path, **files))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sdxl-24g", "did you mean 'sdxl-24gb'"),
        ("nowhere.toml", "no preset 'nowhere.toml'; known are nano-cpu"),
        ("rank-64", "put it on a preset, as in sdxl-24gb.rank-64"),
        ("min-snr+nano-cpu", "put it on a preset"),
        ("sdxl-24gb+nano-cpu", "'nano-cpu' is a complete preset: put it first"),
        ("nano-cpu+", "no preset ''"),
    ],
)
def test_presets_that_do_not_go_together_are_refused(name, message):
    with pytest.raises(PresetError, match=message):
        resolve(name)


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("learning_rate=1e-3", 1e-3),
        ("max_train_steps=20", 20),
        ("cache_latents=False", False),
        ("network_args=conv_dim=4 conv_alpha=1", ["conv_dim=4", "conv_alpha=1"]),
        ("preview_prompts=piano, slow", ["piano, slow"]),
        ('preview_prompts=["piano, slow", "organ"]', ["piano, slow", "organ"]),
        ("text_encoder_lr=1e-4 1e-5", [1e-4, 1e-5]),
        ("lr_warmup_steps=10", 10),
        ("lr_warmup_steps=0.1", 0.1),
        ("lr_warmup_steps=5%", 0.05),
        ("dataset_repeats=3", 3),
    ],
)
def test_words_take_the_type_of_their_option(pair, value):
    found = resolve("nano-cpu", [pair])[pair.partition("=")[0]]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("pair", ["learning_rate", "=3", "lr_warmup_steps=1.5", "seed=[1]"])
def test_words_that_are_no_setting_are_refused(pair):
    with pytest.raises(PresetError, match="--set"):
        resolve("nano-cpu", [pair])


def test_a_choice_is_compared_as_it_is_written():
    option = Option("int", choices=("150", "225"))
    assert parse_value("max_token_length", "150", option) == 150
    with pytest.raises(PresetError, match="one of 150, 225"):
        parse_value("max_token_length", 75, option)


def test_a_runs_own_settings_are_a_preset_again(tmp_path):
    import toml

    first = resolve("sdxl-12gb+huber-constant", ["seed=5"])
    (tmp_path / "preset.toml").write_text(toml.dumps(dict(first.stated)))
    assert resolve(str(tmp_path / "preset.toml")).stated == first.stated
