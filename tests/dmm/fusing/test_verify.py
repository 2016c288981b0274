import json

import pytest
from safetensors.torch import save_file

from dmm.checkpoints.header import read_metadata
from dmm.cli import run
from dmm.codec.mel import load_format
from dmm.errors import ModelError
from dmm.fusing.fuse import fuse
from dmm.fusing.verify import LIMIT, verify
from dmm.generation.generate import generate
from dmm.generation.loading import Lora

SMALL = load_format("nano").model_copy(update={"name": "small", "n_mels": 64, "n_frames": 64})
TOLD = {
    "dmm_format": "small",
    "dmm_format_parameters": SMALL.model_dump_json(),
    "dmm_anchor": "mel music",
    "ss_clip_skip": "2",
}


@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_the_fused_file_generates_what_base_and_loras_generate(
    kind, tiny_checkpoint, tiny_sd15, random_lora, tmp_path
):
    base = {"sdxl": tiny_checkpoint, "sd15": tiny_sd15}[kind]
    shares = [
        Lora(random_lora(tmp_path / f"{seed}.safetensors", base, seed, **TOLD), ratio)
        for seed, ratio in ((1, 0.5), (2, -0.5))
    ]
    fuse(base, shares, tmp_path / "fused.safetensors")
    found = verify(base, shares, tmp_path / "fused.safetensors", "piano", steps=1)
    assert found.greatest < LIMIT < 0.01 < found.effect and found.is_exact


def test_another_ratio_is_found_out(tiny_sd15, random_lora, tmp_path):
    lora = random_lora(tmp_path / "lora.safetensors", tiny_sd15, **TOLD)
    fuse(tiny_sd15, [Lora(lora, 0.9)], tmp_path / "fused.safetensors")
    with pytest.raises(ModelError, match=r"more than 0\.001, do not use it"):
        verify(tiny_sd15, [Lora(lora)], tmp_path / "fused.safetensors", "piano", steps=1)


def test_clips_take_anchor_format_and_clip_skip_from_a_fused_model(
    tiny_sd15, random_lora, tmp_path
):
    lora = random_lora(tmp_path / "lora.safetensors", tiny_sd15, **TOLD)
    fused = tmp_path / "fused.safetensors"
    fuse(tiny_sd15, [Lora(lora)], fused)
    (by_lora,) = generate(["x"], tiny_sd15, tmp_path / "a", lora, steps=1)
    (by_fused,) = generate(["x"], fused, tmp_path / "b", steps=1)
    facts = [json.loads(clip.with_suffix(".json").read_text()) for clip in (by_lora, by_fused)]
    for key, value in (("anchor", "mel music"), ("format", "small"), ("clip_skip", 2)):
        assert facts[0][key] == facts[1][key] == value


def test_the_commands_fuse_verify_and_unfuse(tiny_sd15, random_lora, tmp_path, capsys):
    lora = random_lora(tmp_path / "lora.safetensors", tiny_sd15, **TOLD)
    fused, folder = str(tmp_path / "fused.safetensors"), str(tmp_path / "folder")
    arguments = ["fuse", str(tiny_sd15), "--lora", f"{lora}:0.5", "--out", fused, "--verify"]
    assert run([*arguments, "--steps", "1", "--diffusers", folder]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == [fused, folder] and "the LoRA itself changes" in printed[2]
    back = str(tmp_path / "back.safetensors")
    arguments = ["unfuse", str(tiny_sd15), fused, "--rank", "4", "--conv-rank", "2"]
    assert run([*arguments, "--out", back, "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert len(layers) > 200 and all(layer["energy"] > 0.999 for layer in layers)
    assert run([*arguments, "--out", back]) == 0
    assert "100.00% of all that differs" in capsys.readouterr().out


def test_the_command_tells_a_bad_lora_in_one_line(tiny_sd15, tmp_path, capsys):
    save_file({}, tmp_path / "empty.safetensors")
    out = str(tmp_path / "fused.safetensors")
    for lora in ("empty.safetensors", "missing.safetensors:0.5"):
        arguments = ["--lora", str(tmp_path / lora), "--out", out]
        assert run(["fuse", str(tiny_sd15), *arguments]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert read_metadata(tiny_sd15)
