"""The stages of benchmarks/full_size.py, at tiny size: they continue, stop, and notice failures."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def python(code):
    return [sys.executable, "-c", code]


@pytest.fixture
def run(tmp_path):
    """Run stages in a work folder; returns their results by name."""
    from stages import run_stages

    def done(*stages, least_free_gb=0.0):
        results = []
        run_stages(stages, tmp_path / "work", least_free_gb, results.append)
        return {result.stage: result for result in results}

    return done


def test_a_finished_stage_is_not_run_again(run, tmp_path):
    from stages import Stage

    counter = tmp_path / "runs"
    add = python(f"open({str(counter)!r}, 'a').write('x')")
    first = Stage("count", [add], lambda: counter.read_text())
    assert run(first)["count"].found == "x"
    assert run(first)["count"].found == "x" and counter.read_text() == "x"


def test_peak_memory_is_that_of_all_processes_of_a_stage(run):
    from stages import Stage

    child = "x = bytearray(2 * 10**8); import time; time.sleep(2)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    assert 0.2 < run(Stage("memory", [python(parent)], lambda: ""))["memory"].peak_gb < 0.5


def test_a_stage_is_killed_once_a_file_is_there_and_then_continued(run, tmp_path):
    from stages import Stage

    state, end = tmp_path / "state", tmp_path / "end"
    code = f"from pathlib import Path; import time; Path({str(state)!r}).touch(); time.sleep(600)"
    resume = python(f"open({str(end)!r}, 'w')")
    stage = Stage("killed", [python(code), resume], lambda: str(end.exists()), kill_when=state)
    assert run(stage)["killed"].found == "True"


def test_a_stage_that_fails_or_proves_nothing_leaves_no_result(run):
    import subprocess

    from stages import Stage

    def nothing():
        raise AssertionError("no clips")

    with pytest.raises(subprocess.CalledProcessError):
        run(Stage("fails", [python("raise SystemExit(3)")], lambda: ""))
    with pytest.raises(AssertionError, match="no clips"):
        run(Stage("empty", [python("pass")], nothing))
    assert run(Stage("empty", [python("pass")], lambda: "clips"))["empty"].found == "clips"


def test_what_a_failed_attempt_left_is_removed_before_the_next(run, tmp_path):
    from stages import Stage

    left = tmp_path / "run"
    (left / "state").mkdir(parents=True)
    make = python(f"import os; os.mkdir({str(left)!r})")
    assert run(Stage("fresh", [make], lambda: "made", outputs=[left]))["fresh"].found == "made"


def test_a_stage_ends_before_the_machine_runs_out_of_memory(run):
    from stages import OutOfMemory, Stage

    with pytest.raises(OutOfMemory, match="GB and rising"):
        run(Stage("large", [python("import time; time.sleep(600)")], lambda: ""), least_free_gb=1e9)


def test_random_bases_are_whole_and_their_fused_lora_is_found_again(tmp_path, random_lora):
    import full_size_checks as checks

    from bench.random_base import write_base
    from dmm.fusing.fuse import fuse
    from dmm.fusing.unfuse import Ranks, extract_lora

    base, fused, back = (tmp_path / f"{name}.safetensors" for name in ("sdxl", "fused", "back"))
    write_base(base, "sdxl", tiny=True)
    assert checks.bases_are_whole([base], tiny=True).startswith("SDXL")
    lora = random_lora(tmp_path / "lora.safetensors", base)
    fuse(base, str(lora), fused)
    assert "base + LoRA within" in checks.fused_is_base_plus_lora(base, lora, fused)
    with pytest.raises(AssertionError):
        checks.fused_is_base_plus_lora(base, lora, base)
    extract_lora(base, fused, back, Ranks(4, 2), "fp32")
    assert "layers; cosine" in checks.extracted_is_the_lora(base, lora, back)


def test_clips_that_differ_and_sounds_of_their_length_are_told(tmp_path, rng):
    import full_size_checks as checks
    from PIL import Image

    from dmm.sound.audio import write_audio

    for name in ("plain", "lora"):
        (tmp_path / name).mkdir()
        image = Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8))
        image.save(tmp_path / name / "a.png")
        write_audio(tmp_path / name / "a.flac", rng.normal(0, 0.1, (1, 22050)), 22050)
    plain, tuned = tmp_path / "plain", tmp_path / "lora"
    assert "of 255 on average" in checks.lora_changes_the_picture(plain, tuned)
    with pytest.raises(AssertionError, match="changes nothing"):
        checks.lora_changes_the_picture(plain, plain)
    assert checks.sound_lasts(plain / "a.flac", 1.0).startswith("1.00 s")
    with pytest.raises(AssertionError):
        checks.sound_lasts(plain / "a.flac", 20.0)


def test_only_the_outputs_of_two_steps_are_computed_of_the_teacher(tmp_path):
    from full_size import Road, distil

    from dmm.distillation.presets import load_preset

    for tiny in (True, False):
        distil(Road(tmp_path, tiny, None))
        unet = load_preset(str(tmp_path / "two-steps.toml")).unet
        assert unet and (unet.steps, unet.store) == (2, 2)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_whole_road_at_tiny_size(engine, tmp_path):
    import subprocess

    command = [sys.executable, str(BENCHMARKS / "full_size.py"), "--tiny", "--work", str(tmp_path)]
    done = subprocess.run([*command, "--least-free", "0.5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    from full_size import STAGES

    assert len(done.stdout.splitlines()) == 2 + len(STAGES)
