from dmm.commands import demo


def test_the_demo_ends_with_the_command_that_plays_its_fused_lora(tmp_path, monkeypatch, capsys):
    commands = []

    def run(arguments):
        commands.append(arguments)
        return 0

    monkeypatch.setattr(demo, "run", run)
    monkeypatch.setattr(demo, "_trained_lora", lambda *_: tmp_path / "lora.safetensors")
    demo.demo(tmp_path, steps=1, pieces=10)
    fused = str(tmp_path / "fused.safetensors")
    assert commands[-1][0] == "fuse" and commands[-1][-1] == fused
    assert f"--extra web dmm web {fused} " in capsys.readouterr().out.splitlines()[-1]
