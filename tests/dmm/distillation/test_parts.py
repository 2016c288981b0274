"""The commands as a whole, on a teacher of random weights."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import BuildOptions
from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.header import read_metadata
from dmm.checkpoints.network_shapes import UNET, VAE
from dmm.checkpoints.sdxl_shapes import TE2
from dmm.cli import run
from dmm.distillation.all_parts import distil_all
from dmm.distillation.parts import (
    Sources,
    distil_text_encoder,
    distil_unet,
    write_in_main_process,
)
from dmm.distillation.presets import Preset, TextPart, UnetLosses
from dmm.distillation.report import ReportOptions
from dmm.distillation.unet_training import make_student
from dmm.errors import InputError, ModelError
from dmm.generation.loading import Lora
from dmm.generation.sampling import Sampling
from dmm.generation.settings import default_sampling, resolve_settings


def test_a_student_keeps_all_but_its_unet_and_can_be_generated_with(
    tiny_checkpoint, part, sources, tmp_path
):
    out = tmp_path / "student.safetensors"
    preset = Preset(name="test", unet=part(losses=UnetLosses(task=0.5, features=0.1, huber=0.1)))
    distil_unet(tiny_checkpoint, (), preset, sources, out)
    old, new = load_file(tiny_checkpoint), load_file(out)
    kept = [name for name in old if not name.startswith(UNET)]
    assert all(torch.equal(old[name].half(), new[name]) for name in kept)
    assert default_sampling(out) == Sampling("dpm++-2m-karras", 25, 1.0)
    command = ["generate", "piano", "--model", str(out), "--out", str(tmp_path / "clips")]
    assert run([*command, "--steps", "1"]) == 0


def test_a_student_that_reads_the_guidance_generates_with_any(
    tiny_checkpoint, part, sources, tmp_path, capsys
):
    out, clips = tmp_path / "ranged.safetensors", tmp_path / "clips"
    preset = Preset(name="test", unet=part(guidance=(2.0, 6.0)))
    distil_unet(tiny_checkpoint, (), preset, sources, out)
    assert default_sampling(out).guidance == 4
    for guidance in ("2", "6"):
        command = ["generate", "piano", "--model", str(out), "--out", str(clips / guidance)]
        assert run([*command, "--steps", "1", "--guidance", guidance]) == 0
    weak, strong = ((clips / g / "piano-0.png").read_bytes() for g in ("2", "6"))
    assert weak != strong


def test_an_interrupted_training_ends_in_the_same_student(
    tiny_checkpoint, part, sources, tmp_path, monkeypatch
):
    monkeypatch.setattr("dmm.fitting.loop.SAVE_EVERY_S", -1)
    preset = Preset(name="test", unet=part(steps=3, store=4))
    whole = distil_unet(tiny_checkpoint, (), preset, sources, tmp_path / "whole.safetensors")

    from dmm.distillation import unet_training as module

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "timestep_weights", _until(2, module.timestep_weights, interrupted))
    cut = tmp_path / "cut.safetensors"
    with pytest.raises(KeyboardInterrupt):
        distil_unet(tiny_checkpoint, (), preset, sources, cut)
    assert not cut.exists()
    distil_unet(tiny_checkpoint, (), preset, sources, cut)
    assert whole.read_bytes() == cut.read_bytes()


def _until(count, function, after):
    """The function, but once ``after`` behind so many calls."""
    calls = iter(range(count + 1))

    def called(*arguments):
        number = next(calls, None)
        return after() if number == count else function(*arguments)

    return called


def test_a_file_of_another_making_is_not_overwritten(tiny_checkpoint, part, sources, tmp_path):
    out = tmp_path / "mine.safetensors"
    out.write_bytes(tiny_checkpoint.read_bytes())
    with pytest.raises(ModelError, match="exists, with other settings"):
        distil_unet(tiny_checkpoint, (), Preset(name="test", unet=part()), sources, out)


def test_the_contents_of_prompts_decide_the_result_and_not_their_path(tmp_path):
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    for path in (one, other):
        path.write_text("piano")
    first = Sources(prompts=str(one)).identity
    assert first == Sources(prompts=str(other)).identity
    one.write_text("piano\nflute")
    assert first != Sources(prompts=str(one)).identity
    assert Sources(prompts="music").identity != Sources(prompts="minimidi").identity


def test_a_state_of_other_settings_is_refused(tiny_checkpoint, part, sources, tmp_path):
    out = tmp_path / "student.safetensors"
    distil_unet(tiny_checkpoint, (), Preset(name="test", unet=part()), sources, out)
    out.unlink()
    with pytest.raises(InputError, match="of another run"):
        other = Preset(name="test", unet=part(losses=UnetLosses(huber=0.5)))
        distil_unet(tiny_checkpoint, (), other, sources, out)


def test_a_whole_student_in_sdxls_layout_is_its_teacher_again(
    teacher, tiny_checkpoint, part, tmp_path
):
    from dmm.distillation.presets import UnetSizes
    from dmm.distillation.student_sizes import student_shapes

    same = part(sizes=UnetSizes(channels=(32, 64, 128), depths=(0, 1, 1)))
    shapes = student_shapes(same, teacher.shapes)
    networks = {
        "unet": make_student(same, shapes, teacher, 0).unet,
        "text_encoder_2": teacher.pipeline.text_encoder_2,
        "vae": teacher.pipeline.vae,
    }
    out = tmp_path / "same.safetensors"
    write_in_main_process(teacher, out, networks, shapes, {})
    assert read_architecture(out) == teacher.shapes
    old, new = load_file(tiny_checkpoint), load_file(out)
    assert old.keys() == new.keys()
    assert all(torch.equal(old[name].half(), new[name]) for name in old)


def test_loras_on_text_encoders_go_into_the_students_file(
    tiny_checkpoint, random_lora, part, sources, tmp_path
):
    lora = random_lora(tmp_path / "lora.safetensors", tiny_checkpoint)
    out = tmp_path / "student.safetensors"
    preset = Preset(name="test", unet=part(steps=1))
    distil_unet(tiny_checkpoint, [Lora(lora, 0.5)], preset, sources, out)
    old, new = load_file(tiny_checkpoint), load_file(out)
    changed = [n for n in old if n in new and not torch.equal(old[n].half(), new[n])]
    assert any(name.startswith(TE2) for name in changed)
    assert not any(name.startswith(VAE) for name in changed)


@pytest.mark.parametrize("stereo", [True, False])
def test_a_student_of_a_stereo_base_is_as_its_lora_states(
    tiny_checkpoint, random_lora, part, sources, tmp_path, stereo
):
    base = tmp_path / "stereo.safetensors"
    save_file(
        load_file(tiny_checkpoint), base, read_metadata(tiny_checkpoint) | {"dmm_stereo": "true"}
    )
    path = random_lora(tmp_path / "lora.safetensors", base, dmm_stereo=str(stereo).lower())
    out = tmp_path / "student.safetensors"
    distil_unet(base, [Lora(path)], Preset(name="test", unet=part(steps=1)), sources, out)
    assert resolve_settings(out).stereo is stereo


def test_settings_of_a_lora_stay_where_only_a_text_encoder_is_distilled(
    tiny_checkpoint, random_lora, sources, tmp_path, monkeypatch
):
    stated = {"dmm_format": "nano", "dmm_anchor": "organ music", "dmm_stereo": "true"}
    path = random_lora(tmp_path / "lora.safetensors", tiny_checkpoint, **stated)
    loras = [Lora(path, 0.5)]
    part = TextPart(layers=2, steps=1, batch_size=1, learning_rate=1e-3)
    preset = Preset(name="test", text_encoder_1=part)
    monkeypatch.setattr("dmm.distillation.all_parts.write_report", lambda *_: tmp_path)
    alone = tmp_path / "alone.safetensors"
    distil_text_encoder(tiny_checkpoint, loras, 1, preset, sources, alone)
    student, _ = distil_all(
        tiny_checkpoint, loras, preset, sources, tmp_path / "all", ReportOptions()
    )
    wanted = resolve_settings(tiny_checkpoint, loras)
    assert wanted.anchor == "organ music" and wanted.stereo
    assert resolve_settings(alone) == resolve_settings(student) == wanted


def test_all_parts_end_in_one_student_and_one_report(
    tiny_checkpoint, student_preset, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("dmm.distillation.report.SEEDS", 1)
    options = BuildOptions(source="minimidi", format="nano", test=0.5)
    build_dataset(tmp_path / "data", options, count=6, jobs=1)
    (tmp_path / "all.toml").write_text(student_preset)
    command = [
        "distill", "all", str(tmp_path / "all.toml"), "--teacher", str(tiny_checkpoint),
        "--dataset", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--device", "cpu",
        "--precision", "fp32", "--clips", "2",
    ]  # fmt: skip
    assert run(command) == 0
    student, page = (tmp_path / "out" / name for name in ("student.safetensors", "report"))
    shapes = read_architecture(student)
    assert shapes.custom.unet and shapes.custom.vae
    assert read_architecture(student).te1.num_layers == 2
    assert default_sampling(student) == Sampling("ddim-trailing", 2, 1.0)
    assert "dmm_distilled" in read_metadata(student)
    html = (page / "report.html").read_text(encoding="utf-8")
    assert "UNet passes a clip" in html and "by timestep" in html
    made = student.stat().st_mtime_ns
    assert run(command) == 0
    assert student.stat().st_mtime_ns == made
    assert run([*command, "--check"]) == 0
    assert "in all about" in capsys.readouterr().out


@pytest.mark.parametrize("check", [[], ["--check"]])
def test_all_parts_refuse_steps_that_would_be_a_lora(
    tiny_checkpoint, data, student_preset, tmp_path, capsys, check
):
    preset = tmp_path / "all.toml"
    preset.write_text(student_preset.replace("[steps]", "[steps]\nrank = 4"))
    command = ["distill", "all", str(preset), "--teacher", str(tiny_checkpoint), "--dataset"]
    assert run([*command, str(data), "--out", str(tmp_path / "out"), *check]) == 1
    assert "[steps] rank = 4 makes a LoRA" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["unet", "--student", "unet-9m"], "no distillation preset 'unet-9m'"),
        (["unet", "--student", "nano-quarter", "--prompts", "minimidi"], "clips = 0"),
        (["text-encoder", "--which", "2", "--prompts", "minimidi", "--layers", "9"], "9 layers"),
        (["text-encoder", "--which", "1", "--prompts", "minimidi"], r"no \[text_encoder_1\]"),
    ],
)
def test_impossible_commands_end_in_a_one_line_error(
    tiny_checkpoint, tmp_path, capsys, words, reason
):
    import re

    out = ["--teacher", str(tiny_checkpoint), "--out", str(tmp_path / "out.safetensors")]
    assert run(["distill", *words, *out, "--device", "cpu", "--precision", "fp32"]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert re.search(reason, lines[-1]), lines
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_teacher_of_another_kind_is_refused(tmp_path, capsys):
    from safetensors.torch import save_file

    path = tmp_path / "flux.safetensors"
    save_file({"double_blocks.0.img_attn.qkv.weight": torch.zeros(1)}, path)
    words = ["--teacher", str(path), "--student", "unet-88m", "--prompts", "music"]
    assert run(["distill", "unet", *words, "--out", str(tmp_path / "out.safetensors")]) == 1
    assert "Flux; name an SD 1.5 or SDXL checkpoint" in capsys.readouterr().err
