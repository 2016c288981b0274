import json

import pytest
import torch
from safetensors.torch import save_file

from dmm.commands import demo
from dmm.errors import InputError
from dmm.files import sha256_file


@pytest.fixture
def commands(monkeypatch):
    """The commands that the demo runs, as lists of words; nothing is executed."""
    found = []
    monkeypatch.setattr(demo, "run", lambda arguments: found.append(arguments) or 0)
    return found


@pytest.fixture
def lora(tmp_path):
    path = tmp_path / "run" / "lora.safetensors"
    path.parent.mkdir()
    save_file({"a": torch.zeros(1)}, path, {"ss_steps": "250"})
    return path


def test_the_demo_ends_with_the_command_that_plays_its_fused_lora(commands, lora, capsys, tmp_path):
    demo.demo(tmp_path, pieces=10)
    fused = str(tmp_path / "fused.safetensors")
    assert commands[-1][0] == "fuse" and commands[-1][-1] == fused
    assert f"--extra web dmm web {fused} " in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("is_this_lora", [True, False])
def test_a_fused_file_is_kept_while_it_holds_the_same_lora(commands, lora, tmp_path, is_this_lora):
    sha256 = sha256_file(lora) if is_this_lora else "0" * 64
    stated = json.dumps({"loras": [{"sha256": sha256}]})
    save_file({"a": torch.zeros(1)}, tmp_path / "fused.safetensors", {"dmm_fused": stated})
    demo.demo(tmp_path, pieces=10)
    assert ("fuse" in [words[0] for words in commands]) is not is_this_lora


def test_a_demo_with_other_steps_is_refused(commands, lora, tmp_path):
    with pytest.raises(InputError, match="has 250 steps, not 500; name another --out"):
        demo.demo(tmp_path, steps=500, pieces=10)
