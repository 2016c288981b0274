import json

from dmm.generation.clip_files import without_variations

VARIATION, MORPH = {"drift": [[7, 0.2]]}, {"drift": [[7, 0.5]], "toward": ["organ", 0.5]}


def clip(folder, name, **facts):
    (folder / f"{name}.json").write_text(json.dumps({"prompt": "piano", "seed": 1} | facts))
    return folder / f"{name}.flac"


def test_variations_are_left_out_and_morphs_and_other_sounds_are_kept(tmp_path):
    kept = [clip(tmp_path, "a"), clip(tmp_path, "morph", **MORPH), tmp_path / "no-json.flac"]
    assert without_variations([*kept, clip(tmp_path, "a-v7", **VARIATION)]) == kept


def test_a_folder_of_variations_alone_is_kept(tmp_path):
    files = [clip(tmp_path, f"a-v{n}", **VARIATION) for n in (7, 8)]
    assert without_variations(files) == files
