"""The real trainer on tiny images: how runs end, and what they leave behind."""

import errno
import json
import os
import shutil
import signal
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from dmm.errors import DmmError
from dmm.files import write_text
from dmm.training.resuming import finished_lora, finished_record
from dmm_ext.run_files import one_line_saving_errors

pytestmark = pytest.mark.filterwarnings("ignore")
SHORT = {"max_train_steps": 4, "save_state": True, "save_every_n_steps": 1}


@pytest.fixture(scope="module")
def whole(train_here, tmp_path_factory):
    """Four steps without a break."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert train_here(out, **SHORT)[0] == 0
    return out


def at_batch(number, action):
    """Do something while the batch of this number is processed."""

    def hook(trainer):
        process = trainer.process_batch

        def process_batch(batch, *rest, **named):
            loss = process(batch, *rest, **named)
            return action(loss) if batch["number"] == number and trainer.network.training else loss

        trainer.process_batch = process_batch

    return hook


def at_save(step, action):
    """Do something when all but our own files of this step's state are written."""

    def hook(trainer):
        load = trainer.load_target_model

        def load_target_model(args, dtype, accelerator):
            save = accelerator.save_state

            def save_state(folder):
                save(folder)
                if folder.endswith(f"{step:06d}"):
                    action()

            accelerator.save_state = save_state
            return load(args, dtype, accelerator)

        trainer.load_target_model = load_target_model

    return hook


def metrics(run, key):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[key] for line in lines if key in line}


def outcome(run):
    return json.loads((run / "outcome.json").read_text())


def from_step(whole, out, step):
    shutil.copytree(whole, out)
    (out / "lora.safetensors").unlink()
    for state in (out / "state").iterdir():
        if int(state.name[5:]) > step:
            shutil.rmtree(state)
    return out / "state" / f"step-{step:06d}"


def test_ctrl_c_finishes_the_step_and_saves_a_state(whole, train_here, tmp_path):
    def interrupt(loss):
        os.kill(os.getpid(), signal.SIGINT)
        return loss

    settings = SHORT | {"save_state": False, "save_every_n_steps": 100}
    code, _ = train_here(tmp_path, at_batch(1, interrupt), **settings)
    assert (code, outcome(tmp_path)["status"]) == (130, "interrupted")
    assert [state.name for state in (tmp_path / "state").iterdir()] == ["step-000002"]
    train_here(tmp_path, resume=str(tmp_path / "state" / "step-000002"), **settings)
    ours, theirs = (load_file(run / "lora.safetensors") for run in (tmp_path, whole))
    assert all(ours[key].equal(theirs[key]) for key in theirs)


@pytest.mark.parametrize("averaged", [False, True])
def test_a_run_killed_before_its_lora_is_finished_from_its_last_state(
    train_here, tmp_path, averaged
):
    out, settings = tmp_path / "run", SHORT | ({"ema_decay": 0.9} if averaged else {})
    assert train_here(out, **settings)[0] == 0
    expected = load_file(out / "lora.safetensors")
    (out / "lora.safetensors").unlink()
    assert train_here(out, resume=str(out / "state/step-000004"), **settings)[0] == 0
    assert outcome(out)["status"] == "finished"
    found = load_file(out / "lora.safetensors")
    assert all(found[key].equal(expected[key]) for key in expected)


def test_a_loss_that_is_not_finite_stops_and_names_the_clip(train_here, tmp_path):
    named = []

    def spoil(trainer):
        process = trainer.process_batch

        def process_batch(batch, *rest, **named_too):
            if batch["number"] == 2:
                batch["loss_weights"][1] = torch.nan
                named.append(batch["clips"][1])
            return process(batch, *rest, **named_too)

        trainer.process_batch = process_batch

    code, _ = train_here(tmp_path, spoil, **SHORT | {"train_batch_size": 2})
    assert code == 1 and outcome(tmp_path)["status"] == "failed"
    assert f"step 3: the loss is not finite for {named[0]};" in outcome(tmp_path)["reason"]
    assert sorted(s.name for s in (tmp_path / "state").iterdir()) == ["step-000001", "step-000002"]
    assert list(metrics(tmp_path, "loss")) == [1, 2]


@pytest.mark.parametrize(("times", "states"), [(1, [1, 2, 3]), (2, [1])])
def test_ctrl_c_during_a_save_keeps_complete_states_only(train_here, tmp_path, times, states):
    def interrupt():
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)

    code, _ = train_here(tmp_path, at_save(2, interrupt), **SHORT)
    assert (code, outcome(tmp_path)["status"]) == (130, "interrupted")
    found = sorted(state.name for state in (tmp_path / "state").iterdir())
    assert found == [f"step-{step:06d}" for step in states]


def test_a_state_counts_only_once_its_step_is_logged(train_here, tmp_path):
    def end_before_logging(trainer):
        log = trainer.step_logging

        def step_logging(*arguments):
            if trainer.training_run.steps.done == 3:
                raise SystemExit("as if killed")
            log(*arguments)

        trainer.step_logging = step_logging

    train_here(tmp_path, end_before_logging, **SHORT)
    states = sorted(state.name for state in (tmp_path / "state").glob("step-*"))
    assert states == ["step-000001", "step-000002"]
    assert list(metrics(tmp_path, "loss")) == [1, 2]


def test_a_full_disk_loses_nothing_saved_before(train_here, tmp_path):
    def full():
        raise OSError(errno.ENOSPC, "No space left on device")

    code, _ = train_here(tmp_path, at_save(3, full), **SHORT)
    assert code == 1 and "No space left on device" in outcome(tmp_path)["reason"]
    assert sorted(s.name for s in (tmp_path / "state").iterdir()) == ["step-000001", "step-000002"]


def test_a_disk_too_full_to_say_so_is_reported_in_one_line(
    train_here, tmp_path, monkeypatch, capsys
):
    def full(path, *_):
        raise DmmError(f"{path}: the disk is full")

    def no_room(*_):
        monkeypatch.setattr("dmm_ext.outcome.write_text", full)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dmm_ext.metrics_log.MetricsLog.write", no_room)
    code, _ = train_here(tmp_path, **SHORT)
    last = capsys.readouterr().err.splitlines()[-1]
    assert code == 1 and last.startswith("the disk is full; everything saved before is intact")
    assert not (tmp_path / "outcome.json").exists()


def test_a_full_disk_is_named_where_torch_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=4096))
    with (
        pytest.raises(SystemExit, match=r"cannot be saved \(the disk is full\)"),
        one_line_saving_errors(tmp_path / "state" / "step-000001", "the state"),
    ):
        raise RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 2 vs 1")


def test_a_damaged_state_is_reported_in_one_line(whole, train_here, tmp_path):
    state = from_step(whole, tmp_path / "run", 2)
    (state / "optimizer.bin").write_bytes(bytes((state / "optimizer.bin").stat().st_size))
    code, _ = train_here(tmp_path / "run", resume=str(state), **SHORT)
    assert code == 1 and "the state does not load" in outcome(tmp_path / "run")["reason"]
    assert "\n" not in outcome(tmp_path / "run")["reason"]


@pytest.mark.parametrize(
    "name", ["optimizer.bin", "model.safetensors", "random_states_0.pkl", "dmm_state.json"]
)
def test_a_file_cut_short_is_named_before_anything_is_loaded(whole, tmp_path, name):
    from dmm_ext.resume import load_state

    state = from_step(whole, tmp_path / "run", 2)
    (state / name).write_bytes((state / name).read_bytes()[:-9])
    reason = ".*line 1 column" if name == "dmm_state.json" else f"{name} has .* bytes, of"
    with pytest.raises(SystemExit, match=rf"the state does not load \({reason}.*--from-weights"):
        load_state(None, state)


def test_a_resumed_run_takes_the_current_rate_threshold_and_length(whole, train_here, tmp_path):
    state = from_step(whole, tmp_path / "run", 2)
    changed = {
        "learning_rate": 5e-3,
        "huber_end": 0.01,
        "max_train_steps": 6,
        "train_batch_size": 2,
    }
    assert train_here(tmp_path / "run", resume=str(state), **SHORT | changed)[0] == 0
    rates, thresholds = (
        metrics(tmp_path / "run", "lr/unet"),
        metrics(tmp_path / "run", "huber_threshold"),
    )
    assert list(rates) == [1, 2, 3, 4, 5, 6]
    cosine = [0.5 * (1 + torch.pi**0 * torch.cos(torch.tensor(torch.pi * p / 5))) for p in range(6)]
    assert rates[2] == pytest.approx(metrics(whole, "lr/unet")[2])
    assert rates[3] == pytest.approx(5e-3 * float(cosine[2]), rel=1e-5)
    assert thresholds[6] == pytest.approx(0.01)


def test_early_stopping_gives_back_the_best_weights(train_here, tmp_path, monkeypatch):
    losses = iter([0.3, 0.5, 0.4, 0.6, 0.7, 0.8])  # the base's, 0.3, is no candidate
    monkeypatch.setattr("dmm_ext.training_run.validation_loss", lambda *_: next(losses))
    settings = {"max_train_steps": 40, "validate_every_n_steps": 1, "early_stop_patience": 2}
    code, _ = train_here(tmp_path, **settings, save_every_n_steps=2)
    found = outcome(tmp_path)
    assert code == 0 and (found["status"], found["step"], found["best_step"]) == ("stopped", 4, 2)
    best, kept = (load_file(tmp_path / f"{n}.safetensors") for n in ("lora", "lora-step000002"))
    assert all(best[key].equal(kept[key]) for key in kept)
    with safe_open(tmp_path / "lora.safetensors", framework="numpy") as file:
        assert file.metadata()["ss_steps"] == "2"


def test_a_run_whose_best_weights_are_earlier_ones_has_finished(train_here, tmp_path, monkeypatch):
    losses = iter([0.3, 0.5, 0.4, 0.6, 0.7])
    monkeypatch.setattr("dmm_ext.training_run.validation_loss", lambda *_: next(losses))
    settings = SHORT | {"validate_every_n_steps": 1, "early_stop_patience": 9}
    train_here(tmp_path, **settings)
    write_text(tmp_path / "run.json", '{"status": "started"}')  # as if killed before the record
    lora = finished_lora(tmp_path, "lora", 4)
    assert lora and finished_record(tmp_path, lora)["step"] == 4
    assert not finished_lora(tmp_path, "lora", 5)


def test_a_best_of_another_fingerprint_is_discarded(train_here, tmp_path):
    settings = SHORT | {"max_train_steps": 1, "validate_every_n_steps": 1}
    train_here(tmp_path, **settings)
    state, changed = tmp_path / "state" / "step-000001", {"huber_validation": 1.0}
    train_here(tmp_path, resume=str(state), **settings | {"max_train_steps": 2} | changed)
    losses = metrics(tmp_path, "validation_loss")
    assert losses[2] > losses[1] and outcome(tmp_path)["best_step"] == 2


def test_other_clips_have_another_fingerprint_wherever_they_lie(inside_engine, tmp_path):
    from dmm_ext.validation import validation_fingerprint

    def measured(folder, **clips):
        for name, content in clips.items():
            write_text(folder / f"{name}.png", content)
        data = {f: SimpleNamespace(absolute_path=str(f)) for f in folder.iterdir()}
        group = SimpleNamespace(datasets=[SimpleNamespace(image_data=data)])
        return validation_fingerprint(
            SimpleNamespace(max_validation_steps=None, huber_validation=0.1), group
        )

    first = measured(tmp_path / "a", x="1", y="22")
    assert measured(tmp_path / "b", y="22", x="1") == first
    assert measured(tmp_path / "c", x="1", y="333") != first != measured(tmp_path / "d", x="1")


def test_validation_is_the_same_for_every_loss_and_leaves_training_alone(train_here, tmp_path):
    settings = {"max_train_steps": 2, "learning_rate": 1e-9}
    runs = {
        "huber": {"validate_every_n_steps": 1},
        "mse": {"validate_every_n_steps": 1, "loss_type": "l2", "noise_offset": 0.1},
        "none": {},
    }
    for name, extra in runs.items():
        assert train_here(tmp_path / name, **settings, **extra)[0] == 0
    huber, mse = (metrics(tmp_path / name, "validation_loss") for name in ("huber", "mse"))
    assert list(huber) == [0, 1, 2]  # the base's first
    assert huber == pytest.approx(mse, rel=1e-4)
    assert metrics(tmp_path / "huber", "loss") == metrics(tmp_path / "none", "loss")


def test_averaged_weights_are_saved_and_previewed(train_here, tmp_path):
    from dmm_ext.previews import weights_sha256

    settings = {"max_train_steps": 3, "ema_decay": 0.5, "save_state": True, "save_every_n_steps": 1}
    previews = {"preview_every_n_steps": 3, "preview_steps": 1, "preview_prompts": ["piano"]}
    previews |= {"preview_count": 1, "lora_metadata": ["dmm_format=nano"]}
    code, trainer = train_here(tmp_path, **settings, **previews)
    assert code == 0
    average = load_file(tmp_path / "state" / "step-000003" / "ema.safetensors")
    lora = load_file(tmp_path / "lora.safetensors")
    weights = load_file(tmp_path / "state" / "step-000003" / "model.safetensors")
    assert all(lora[key].equal(average[key]) for key in average)
    assert not all(lora[key].equal(weights[key]) for key in average)
    drawn = json.loads((tmp_path / "previews" / "step-000003" / "preview.json").read_text())
    trainer.network.load_state_dict(lora)
    assert drawn["drawn"]["weights_sha256"] == weights_sha256(trainer.network)


def test_muon_moves_every_matrix_of_a_lora_by_equal_shares(train_here, tmp_path):
    muon = {"optimizer_type": "dmm.fitting.muon.Muon", "optimizer_args": ["weight_decay=0.0"]}
    assert train_here(tmp_path, max_train_steps=1, lr_warmup_steps=0, **muon)[0] == 0
    lora = load_file(tmp_path / "lora.safetensors")
    ups = [tensor for name, tensor in lora.items() if name.endswith("lora_up.weight")]
    sizes = torch.tensor([up.square().mean().sqrt() for up in ups])  # they began at zero
    assert ((sizes - 0.002).abs() < 0.001).all()  # a fifth of the rate


def test_a_lora_file_says_how_it_was_made(train_here, tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 9.0}\n')  # of a run without state
    train_here(tmp_path, max_train_steps=1, lora_metadata=["dmm_format=nano", "dmm_anchor=a=b"])
    with safe_open(tmp_path / "lora.safetensors", framework="numpy") as file:
        metadata = file.metadata()
    assert metadata["modelspec.resolution"] == "64x64" and metrics(tmp_path, "loss")[1] < 9
    assert (metadata["dmm_format"], metadata["dmm_anchor"]) == ("nano", "a=b")
    assert metadata["ss_steps"] == metadata["ss_max_train_steps"] == "1"
    assert metadata["ss_network_dim"] == "2" and "modelspec.architecture" in metadata


def test_sd15_trains_resumes_and_previews_with_the_same_hooks(
    train_here, tiny_sd15, small_data, tmp_path
):
    settings = SHORT | {"max_train_steps": 2, "v_parameterization": False, "clip_skip": 2}
    settings |= {"preview_every_n_steps": 2, "preview_steps": 2, "preview_prompts": ["piano"]}
    settings["lora_metadata"] = ["dmm_format=nano"]
    assert train_here(tmp_path / "a", base=tiny_sd15, **settings)[0] == 0
    state = from_step(tmp_path / "a", tmp_path / "b", 1)
    assert train_here(tmp_path / "b", base=tiny_sd15, resume=str(state), **settings)[0] == 0
    ours, theirs = (load_file(tmp_path / name / "lora.safetensors") for name in "ba")
    assert theirs and all(ours[key].equal(theirs[key]) for key in theirs)
    assert len(list((tmp_path / "a" / "previews" / "step-000002").glob("*.flac"))) == 2
