import json

import pytest
import toml

from dmm.errors import EngineError, InputError, PresetError
from dmm.files import folder_lock, sha256_file
from dmm.training.ablation.ablation import ablate
from dmm.training.ablation.queue import queue_runs, safe_folder_name, stated_settings
from dmm.training.facts import read_dataset_facts

PRESETS = {
    "base": {"max_train_steps": 40, "learning_rate": 1e-3},
    "base+mse": {"max_train_steps": 40, "learning_rate": 1e-3, "loss_type": "l2"},
}
LOSS = {"base": (0.50, 0.53, 0.47), "base+mse": (0.41, 0.42, 0.40)}
"""Validation loss at the end, by seed."""


def resolve(preset, words):
    settings = dict(PRESETS[preset])
    for word in words:
        key, _, value = word.partition("=")
        settings[key] = int(value) if value.isdigit() else value
    return settings


class FakeTrainer:
    """Writes what ``dmm train`` leaves; ``fate`` says what befalls a (preset, seed)."""

    def __init__(self, **fate):
        self.calls = []
        self.fate = {}

    def __call__(self, preset, dataset, base, out, settings, resume):
        stated = resolve(preset, settings)
        seed = stated["seed"]
        self.calls.append((preset, seed, resume))
        out.mkdir(parents=True, exist_ok=True)
        (out / "preset.toml").write_text(toml.dumps(stated))
        self.record = {
            "preset": preset,
            "dataset_sha256": sha256_file(dataset / "dataset.json"),
            "base_sha256": sha256_file(base),
        }
        self.say(out, "started")
        fate = self.fate.pop((preset, seed), None)
        loss = LOSS[preset][seed]
        if fate:
            loss = fate(self, out) or loss
        lines = [{"step": 20, "validation_loss": loss + 0.1}, {"step": 40, "validation_loss": loss}]
        (out / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        outcome = {"step": 40, "seconds_per_step": 2.0, "best_validation_loss": loss}
        (out / "outcome.json").write_text(json.dumps(outcome))
        self.say(out, "finished")
        return out / "lora.safetensors"

    def say(self, out, status, **more):
        (out / "run.json").write_text(json.dumps(self.record | {"status": status} | more))


def fails(trainer, out):
    trainer.say(out, "failed", reason="step 7: the loss is nan for the clips a, b")
    raise EngineError(f"{out}: training ended with exit code 1")


def is_killed(trainer, out):
    raise KeyboardInterrupt


def is_killed_after_a_state(trainer, out):
    (out / "state" / "step-000020").mkdir(parents=True)
    raise KeyboardInterrupt


@pytest.fixture
def sources(tmp_path):
    dataset, base = tmp_path / "data", tmp_path / "base.safetensors"
    (dataset / "val").mkdir(parents=True)
    (dataset / "val" / "a.png").write_bytes(b"")
    (dataset / "dataset.json").write_text("{}")
    base.write_bytes(b"weights")
    return dataset, base


@pytest.fixture
def run(sources, tmp_path):
    def run(trainer, presets=("base", "base+mse"), seeds=3, settings=(), **more):
        out = tmp_path / "out"
        named = {"seeds": seeds, "settings": settings, "trainer": trainer, "resolve": resolve}
        return ablate(presets, *sources, out, **named | more)

    return run


def test_seeds_are_interleaved_and_every_run_is_compared(run, tmp_path):
    trainer = FakeTrainer()
    found = run(trainer)
    assert trainer.calls == [(preset, seed, False) for seed in range(3) for preset in PRESETS]
    losses = found["metrics"]["validation_loss"]["presets"]
    assert losses["base"]["mean"] == pytest.approx(0.5) and losses["base"]["difference"] is None
    difference = losses["base+mse"]["difference"]
    assert difference["mean"] == pytest.approx(-0.09)
    t = 0.09 / (0.02 / 3**0.5)
    assert difference["p"] == pytest.approx(1 - t / (2 + t**2) ** 0.5)  # 2 degrees of freedom
    assert json.loads((tmp_path / "out" / "ablation.json").read_text()) == found
    assert "3 seeds" in (tmp_path / "out" / "ablation.md").read_text()


def test_the_mean_loss_is_of_the_last_validation_and_the_best_of_any(run):
    presets = run(FakeTrainer(), presets=("base",))["metrics"]
    assert presets["validation_loss"]["presets"]["base"]["mean"] == pytest.approx(0.5)
    assert presets["seconds_per_step"]["presets"]["base"]["mean"] == 2.0


def test_a_finished_ablation_trains_nothing_again(run):
    first = run(FakeTrainer())
    trainer = FakeTrainer()
    assert run(trainer) == first and trainer.calls == []


def test_more_presets_and_seeds_are_added_to_what_is_there(run):
    run(FakeTrainer(), presets=("base",), seeds=2)
    trainer = FakeTrainer()
    run(trainer)
    assert trainer.calls == [("base+mse", 0, False), ("base+mse", 1, False), ("base", 2, False),
                             ("base+mse", 2, False)]  # fmt: skip


@pytest.mark.parametrize(("fate", "resumed"), [(is_killed, False), (is_killed_after_a_state, True)])
def test_an_interrupted_queue_goes_on_where_it_was(run, tmp_path, fate, resumed):
    trainer = FakeTrainer()
    trainer.fate = {("base+mse", 1): fate}
    with pytest.raises(KeyboardInterrupt):
        run(trainer)
    partial = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert [r["status"] for r in partial["runs"]] == ["finished"] * 3 + ["started"] + [
        "waiting"
    ] * 2
    assert "3 of 6 runs are not done yet" in partial["notes"][0]
    again = FakeTrainer()
    found = run(again)
    assert again.calls == [("base+mse", 1, resumed), ("base", 2, False), ("base+mse", 2, False)]
    assert found["metrics"]["validation_loss"] == run(FakeTrainer())["metrics"]["validation_loss"]


def test_killed_at_any_moment_the_queue_comes_to_the_same_table(run, tmp_path):
    class Mortal(FakeTrainer):
        """Dies at its ``left``-th breath."""

        def __init__(self, left):
            super().__init__()
            self.left = left

        def breathe(self):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt

        def __call__(self, preset, dataset, base, out, settings, resume):
            self.breathe()
            out.mkdir(parents=True, exist_ok=True)
            self.breathe()
            (out / ".preset.toml.1.part.toml").write_text("seed =")
            self.breathe()
            self.fate[preset, resolve(preset, settings)["seed"]] = self.save_a_state
            path = super().__call__(preset, dataset, base, out, settings, resume)
            self.breathe()
            return path

        def save_a_state(self, _trainer, out):
            self.breathe()
            (out / "state" / "step-000020").mkdir(parents=True, exist_ok=True)
            self.breathe()

    deaths = 0
    for left in range(9):
        for _ in range(2):
            try:
                run(Mortal(left))
            except KeyboardInterrupt:
                deaths += 1
    found = run(Mortal(100))
    assert deaths > 9 and {r["status"] for r in found["runs"]} == {"finished"}
    (tmp_path / "out").rename(tmp_path / "killed")
    assert run(FakeTrainer()) == found


def test_a_run_without_a_state_is_moved_aside_not_deleted(run, tmp_path):
    trainer = FakeTrainer()
    trainer.fate = {("base", 0): is_killed}
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(trainer)
        trainer.fate = {("base", 0): is_killed}
    trainer.fate = {}
    run(trainer)
    assert sorted(path.name for path in (tmp_path / "out" / "base").iterdir()) == [
        "seed-0", "seed-0-broken-1", "seed-0-broken-2", "seed-1", "seed-2",
    ]  # fmt: skip


def test_a_state_of_the_last_step_is_no_state_to_go_on_from(run, tmp_path):
    def is_killed_after_the_last_state(trainer, out):
        (out / "state" / "step-000040").mkdir(parents=True)
        is_killed_after_a_state(trainer, out)

    trainer = FakeTrainer()
    trainer.fate = {("base", 0): is_killed_after_the_last_state}
    with pytest.raises(KeyboardInterrupt):
        run(trainer)
    trainer.calls = []
    run(trainer)
    assert trainer.calls[0] == ("base", 0, True)
    states = tmp_path / "out" / "base" / "seed-0" / "state"
    assert {path.name for path in states.iterdir()} == {"step-000020", "step-000040"}


@pytest.mark.parametrize("raises", [True, False])
def test_a_run_that_says_interrupted_ends_the_queue(run, raises):
    class Trainer(FakeTrainer):
        def __call__(self, *arguments, **named):
            path = super().__call__(*arguments, **named)
            self.say(path.parent, "interrupted")
            if raises:
                raise EngineError("interrupted")
            return path

    trainer = Trainer()
    with pytest.raises(KeyboardInterrupt):
        run(trainer)
    assert len(trainer.calls) == 1


def test_an_error_before_a_run_starts_is_not_taken_for_its_interruption(run, tmp_path):
    trainer = FakeTrainer()
    trainer.fate = {("base", 0): lambda trainer, out: fails(trainer, out)}
    run(trainer, presets=("base",), seeds=1)
    folder = tmp_path / "out" / "base" / "seed-0"
    trainer.say(folder, "interrupted")
    (folder / "state" / "step-000020").mkdir(parents=True)

    def cannot_start(*arguments, **named):
        raise EngineError("sd-scripts is not there; run: dmm setup")

    found = run(cannot_start, presets=("base",), seeds=1)
    assert found["runs"][0]["status"] == "failed"
    assert found["runs"][0]["reason"] == "sd-scripts is not there; run: dmm setup"


def test_a_failed_run_is_named_and_the_others_are_compared(run, tmp_path):
    trainer = FakeTrainer()
    trainer.fate = {("base+mse", 1): fails}
    found = run(trainer)
    assert len(trainer.calls) == 6
    entry = found["metrics"]["validation_loss"]["presets"]["base+mse"]
    assert (entry["n"], entry["missing"], entry["difference"]["n"]) == (2, [1], 2)
    assert found["notes"][0] == (
        "base+mse with seed 1 failed: step 7: the loss is nan for the clips a, b"
    )
    page = (tmp_path / "out" / "ablation.md").read_text()
    assert "2 of 3" in page and "1 of 6 runs failed and are in no mean" in page
    again = FakeTrainer()
    run(again)
    assert again.calls == [("base+mse", 1, False)]


def test_a_loss_that_is_not_a_number_is_named_and_in_no_mean(run):
    trainer = FakeTrainer()
    trainer.fate = {("base", 2): lambda trainer, out: float("nan")}
    found = run(trainer)
    assert found["runs"][4]["values"]["validation_loss"] is None
    assert found["metrics"]["validation_loss"]["presets"]["base"]["missing"] == [2]
    assert any("validation_loss is missing or not finite" in note for note in found["notes"])


def test_one_seed_has_no_interval_and_says_so(run):
    found = run(FakeTrainer(), seeds=1)
    entry = found["metrics"]["validation_loss"]["presets"]["base+mse"]
    assert entry["low"] is None and entry["difference"]["p"] is None
    assert any(note.startswith("One seed: no interval") for note in found["notes"])


def test_an_early_stop_is_compared_and_noted(run, tmp_path):
    class Trainer(FakeTrainer):
        def say(self, out, status, **more):
            ended = {"finished": "stopped"}.get(status, status)
            super().say(out, ended, reason="no better validation loss", **more)

    found = run(Trainer(), seeds=1)
    assert found["metrics"]["validation_loss"]["presets"]["base"]["n"] == 1
    assert "base with seed 0 stopped early, at step 40: no better validation loss" in found["notes"]


def test_validation_is_switched_on_ten_times_a_run_unless_the_preset_says(run, tmp_path):
    run(FakeTrainer(), presets=("base",), seeds=1)
    written = (tmp_path / "out" / "base" / "seed-0" / "preset.toml").read_text()
    assert toml.loads(written)["validate_every_n_steps"] == 4
    words = ("validate_every_n_steps=7",)
    run(FakeTrainer(), presets=("base+mse",), seeds=1, settings=words)
    written = (tmp_path / "out" / "base+mse" / "seed-0" / "preset.toml").read_text()
    assert toml.loads(written)["validate_every_n_steps"] == 7


def test_ten_validations_follow_from_epochs_where_these_are_set(dataset, tmp_path):
    words = ["max_train_epochs=60", "train_batch_size=2"]
    found = queue_runs(
        ["nano-cpu"], tmp_path, 1, words, stated_settings, lambda: read_dataset_facts(dataset)
    )
    assert found[0].settings["validate_every_n_steps"] == 60 * 2 // 10  # of three clips


def test_a_run_of_other_settings_is_not_mixed_in(run):
    run(FakeTrainer())
    trainer = FakeTrainer()
    with pytest.raises(InputError, match=r"seed-0: trained with learning_rate = 0\.001, requested"):
        run(trainer, settings=("learning_rate=2",))
    assert trainer.calls == []


def test_a_run_of_another_dataset_or_base_is_not_mixed_in(run, sources):
    dataset, base = sources
    run(FakeTrainer())
    base.write_bytes(b"others")
    with pytest.raises(InputError, match="trained with another base"):
        run(FakeTrainer())
    (dataset / "dataset.json").write_text('{"clips": 2}')
    with pytest.raises(InputError, match="trained with another dataset"):
        run(FakeTrainer())


def test_a_folder_that_is_no_run_is_left_alone(run, tmp_path):
    folder = tmp_path / "out" / "base" / "seed-0"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="no training run"):
        run(FakeTrainer())
    assert (folder / "thesis.txt").read_text() == "precious"


def test_presets_whose_scores_cannot_be_compared_are_refused(run, monkeypatch):
    monkeypatch.setitem(PRESETS["base+mse"], "huber_validation", 0.2)
    with pytest.raises(PresetError, match=r"huber_validation is 0\.2 in base\+mse and None in"):
        run(FakeTrainer())


@pytest.mark.parametrize(
    ("named", "match"),
    [
        ({"presets": ("base", "base")}, "named twice"),
        ({"presets": ()}, "1 or more presets"),
        ({"seeds": 0}, "got 2 and 0"),
        ({"settings": ("seed=3",)}, "counted up by --seeds"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(run, named, match):
    with pytest.raises(PresetError, match=match):
        run(FakeTrainer(), **named)


def test_a_dataset_without_clips_to_validate_on_is_refused(run, sources):
    (sources[0] / "val" / "a.png").unlink()
    with pytest.raises(InputError, match=r"no clips in its val split.*--val"):
        run(FakeTrainer())


def test_a_requested_score_that_was_not_measured_is_named(run):
    found = run(FakeTrainer(), metrics=("step", "preview/fat"))
    assert list(found["metrics"]) == ["step"]
    assert "No run measured preview/fat; check its name." in found["notes"]


def test_folder_names_are_safe_and_differ(tmp_path):
    names = ["nano", "Nano", "../nano", "a/b.toml", "b.toml", "con", ".", "x" * 99, "x" * 98, "π"]
    safe = [safe_folder_name(name) for name in names]
    assert safe[0] == "nano" and len({name.casefold() for name in safe}) == len(names)
    assert all((tmp_path / name).resolve().parent == tmp_path.resolve() for name in safe)
    assert max(map(len, safe)) <= 80


def test_real_presets_state_what_a_run_writes_down():
    stated = stated_settings("nano-cpu+mse", ("seed=3", "max_train_steps=20"))
    assert (stated["seed"], stated["max_train_steps"], stated["loss_type"]) == (3, 20, "l2")
    with pytest.raises(PresetError, match="nano-cpu"):
        stated_settings("nano-cpo", ())


def test_a_second_ablation_on_the_same_folder_is_refused(run, tmp_path):
    trainer = FakeTrainer()
    with folder_lock(tmp_path / "out"), pytest.raises(InputError, match="writes there"):
        run(trainer)
    assert trainer.calls == []
