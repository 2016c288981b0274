import json
import re
import tomllib
from urllib.parse import unquote

import numpy as np
import pytest
import toml
import yaml
from markdown_it import MarkdownIt
from safetensors.numpy import save_file

from dmm.checkpoints.published import PUBLISHED_BASES
from dmm.codec.mel import load_format
from dmm.errors import InputError, ModelError
from dmm.model_cards import verify_against_card
from dmm.training.run_card.card import write_card

SDXL = next(iter(PUBLISHED_BASES))
RECORD = {
    "status": "finished",
    "name": "tunes",
    "preset": "nano-cpu+mse",
    "seed": 3,
    "base": "/home/me/secret/base.safetensors",
    "base_sha256": SDXL,
    "dataset": "/home/me/secret/music",
    "dataset_sha256": "d" * 64,
    "licences": {"CC0-1.0": 40, "CC BY-NC 4.0": 3, "unknown": 2},
    "engine_commit": "e" * 40,
    "versions": {"torch": "2.10.0"},
    "resumed": [
        {"from": "step-000010", "changed": {"dataset": ["/home/me/secret/old", "/home/me/secret"]}},
        {
            "from": "step-000020",
            "changed": {"learning_rate": [0.001, 0.0005], "ema_decay": [None, 0.99]},
        },
    ],
}
OUTCOME = {
    "status": "finished",
    "step": 40,
    "best_step": 20,
    "best_validation_loss": 0.25,
    "seconds_per_step": 1.25,
    "peak_memory_mb": 900,
}
METADATA = {
    "dmm_format": "nano",
    "dmm_anchor": "mel spectrogram music",
    "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
}


@pytest.fixture
def run(tmp_path):
    """A finished run with everything; keywords go over run.json."""

    def make(**changes):
        write_run(tmp_path, RECORD | changes)
        return tmp_path

    return make


def write_run(folder, record):
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "outcome.json").write_text(json.dumps(OUTCOME))
    settings = {"learning_rate": 0.0005, "preview_prompts": ["it's | piano"], "note": "```\n# no"}
    (folder / "preset.toml").write_text(toml.dumps(settings))
    lines = [
        {"step": 20, "validation_loss": 0.25},
        {"step": 40, "validation_loss": 0.5},
        {"step": 40, "preview/fad": 1.5, "preview/embedder": "mel-stats"},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    lora = folder / f"{record['name']}.safetensors"
    save_file({"w": np.zeros(1, np.float32)}, lora, METADATA)
    (folder / "curve.png").write_bytes(b"")
    for step in (0, 20, 40):
        clips = folder / "previews" / f"step-{step:06}"
        clips.mkdir(parents=True, exist_ok=True)
        for name in ("piano & a(b)-0", "drums-1"):
            (clips / f"{name}.png").write_bytes(b"")
            (clips / f"{name}.flac").write_bytes(b"")


def card(folder):
    return write_card(folder).read_text(encoding="utf-8")


def head(text):
    return yaml.safe_load(text.split("---\n")[1])


def body(text):
    return MarkdownIt().enable("table").render(text.split("---\n", 2)[2])


def test_the_head_says_what_is_known_in_yaml(run):
    fields = head(card(run()))
    assert fields["base_model"] == "stabilityai/stable-diffusion-xl-base-1.0"
    assert fields["base_model_relation"] == "adapter" and "stable-diffusion-xl" in fields["tags"]
    assert fields["instance_prompt"] == "mel spectrogram music"
    assert "license" not in fields  # unknown and non-commercial music is in it
    assert head(card(run(licences={"CC0-1.0": 4})))["license"] == "openrail++"


def test_a_base_that_is_not_known_is_not_named_to_the_hub(run):
    fields = head(card(run(base_sha256="0" * 64, licences={"CC0-1.0": 4})))
    assert not fields.keys() & {"base_model", "base_model_relation", "license"}


def test_the_same_run_gives_the_same_card(run):
    folder = run()
    assert card(folder) == card(folder)


def test_everything_that_is_linked_is_there(run):
    folder = run()
    links = re.findall(r"(?:src|href)=\"([^\"]+)\"", body(card(folder)))
    assert len(links) == 1 + 2 * 2 * 2  # the curve; image and sound of two clips at two steps
    assert all((folder / unquote(link)).is_file() for link in links)
    assert not any("step-000020" in link for link in links)


def test_the_card_says_how_to_play_the_lora_and_decode_its_images(run):
    text = card(run())
    assert "dmm generate 'it'\"'\"'s | piano' --model base.safetensors" in text
    assert "--lora tunes.safetensors --out clips" in text
    assert "256 columns, 441 samples apart at 22050 Hz, which are 5.12 s" in text
    assert "--format nano" in text and "`mel spectrogram music`" in text


def test_a_format_that_the_lora_states_in_full_needs_no_preset(run):
    folder = run()
    fmt = load_format("nano").model_copy(update={"name": "mine", "n_frames": 512})
    stated = METADATA | {"dmm_format": "mine", "dmm_format_parameters": fmt.model_dump_json()}
    save_file({"w": np.zeros(1, np.float32)}, folder / "tunes.safetensors", stated)
    text = card(folder)
    assert "the mel format `mine`: 512 columns" in text and "which are 10.24 s" in text


def test_a_format_that_is_not_known_is_named_without_its_size(run):
    folder = run()
    save_file({"w": np.zeros(1, np.float32)}, folder / "tunes.safetensors", {"dmm_format": "gone"})
    assert "of the mel format `gone`. " in card(folder)


@pytest.mark.parametrize("parameters", ['{"name": "x"}', "{", "[1]"])
def test_damaged_format_parameters_leave_the_formats_name(run, parameters):
    folder = run()
    damaged = METADATA | {"dmm_format_parameters": parameters}
    save_file({"w": np.zeros(1, np.float32)}, folder / "tunes.safetensors", damaged)
    assert "--format nano`" in card(folder) and parameters not in card(folder)
    del damaged["dmm_format"]
    save_file({"w": np.zeros(1, np.float32)}, folder / "tunes.safetensors", damaged)
    assert "The mel format of its images is not recorded." in card(folder)


def test_scores_come_with_their_steps_and_their_embedder(run):
    text = card(run())
    assert "| 0.25 (step 20) | 0.5 (step 40) |" in text
    assert "Lowest validation loss: 0.25, at step 20." in text and "`mel-stats`" in text


def test_licences_are_counted_and_their_conditions_named(run):
    text = card(run())
    assert "| CC BY-NC 4.0 | 3 | no commercial use |" in text
    assert "**Warning:** no known licence permits copying, training on or passing on 2" in text


def test_hours_energy_and_money_are_on_the_card_as_far_as_they_are_known(run):
    text = write_card(run(seconds=9000.0, price="0.4 EUR/kWh", watts=350.0)).read_text()
    assert "| hours, loading included | 2.5 |" in text
    assert "| energy | 0.875 kWh (at 350 W) |" in text
    assert "| cost | 0.35 EUR (at 0.4 EUR/kWh) |" in text
    assert "| cost |" not in write_card(run(seconds=9000.0)).read_text()


def test_every_resume_names_what_it_changed(run):
    text = card(run())
    assert '| dataset | "old" | "secret" |' in text
    assert "from the state step-000020 with other settings" in text
    assert "| learning\\_rate | 0.001 | 0.0005 |" in text and "| ema\\_decay | - | 0.99 |" in text
    same = [{"from": "step-000020", "changed": {}}]
    assert "with the same settings" in card(run(resumed=same))
    assert "Resumed" not in card(run(resumed=[]))


def test_licences_of_several_datasets_are_marked(run):
    assert "dataset changed" not in card(run())
    changed = {"dataset_sha256": ["c" * 64, "d" * 64]}
    resumed = [{"from": "step-000020", "changed": changed}]
    assert "dataset changed between resumes: each count" in card(run(resumed=resumed))


def test_no_folder_of_the_machine_is_published(run):
    assert "/home" not in card(run()) and "/secret" not in card(run())


def test_paths_in_settings_are_cut_and_other_slashes_are_kept(run):
    pair = ["C:\\me\\secret\\a.toml", "piano/organ, 3/4"]
    folder = run(resumed=[{"from": "step-000020", "changed": {"note": pair}}])
    settings = {"vae": "/home/me/secret/vae.pt", "args": ["file=~/secret/x.txt", "rate=1/2"]}
    (folder / "preset.toml").write_text(toml.dumps(settings))
    text = card(folder)
    assert "secret" not in text and '| "a.toml" | "piano/organ, 3/4" |' in text
    assert 'vae = "vae.pt"' in text and '"file=x.txt", "rate=1/2"' in text


def test_the_settings_stand_as_they_were_resolved(run):
    folder = run()
    tokens = MarkdownIt().parse(card(folder))
    (settings,) = [token for token in tokens if token.type == "fence" and token.info == "toml"]
    assert tomllib.loads(settings.content) == tomllib.loads((folder / "preset.toml").read_text())


def test_the_card_vouches_for_its_lora(run):
    folder = run()
    (folder / "README.md").write_text(card(folder))
    verify_against_card(folder / "tunes.safetensors")
    (folder / "tunes.safetensors").write_bytes(b"altered")
    with pytest.raises(ModelError, match="damaged or altered"):
        verify_against_card(folder / "tunes.safetensors")


def test_words_of_a_user_do_not_become_markdown(run):
    text = card(
        run(
            preset="a*b*|c\n# head\n<script>",
            dataset="[x](http://evil)",
            status="failed",
            reason="--- | `no` ![p](q)\n---",
        )
    )
    html = body(text)
    heads = re.findall(r"<h1>(.*?)</h1>", html)
    assert heads == ["tunes"] and "<script>" not in html and "http://evil" not in html
    assert "a*b*|c # head" in html and html.count("<img") == 5


def test_a_run_that_did_not_end_says_so(run):
    text = card(run(status="interrupted", reason="ctrl-C"))
    assert "**This run has not reached its end**: interrupted at step 40: ctrl-C" in text
    assert "stopped early at step 40: no better loss" in card(
        run(status="stopped", reason="no better loss")
    )


def test_a_run_that_was_killed_at_once_still_has_a_card(tmp_path):
    (tmp_path / "run.json").write_text('{"status": "started"}')
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "lo')
    text = card(tmp_path)
    assert "There is no LoRA yet." in text and "are not recorded" in text
    assert head(text)["library_name"] == "diffusers"


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no run\.json"):
        write_card(tmp_path)
