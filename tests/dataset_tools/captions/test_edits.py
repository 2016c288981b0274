import json
from dataclasses import replace

import pytest

from dataset_tools.building.build import build_dataset
from dataset_tools.building.import_captions import import_captions
from dataset_tools.building.options import BuildOptions
from dataset_tools.captions.edits import captions_table, read_captions
from dataset_tools.dataset import content_sha256, read_dataset
from dataset_tools.inspection.check import check_dataset
from dmm.errors import InputError
from dmm.files import folder_lock

OPTIONS = BuildOptions(source="minimidi", format="nano", augment=("gain",), test=0.2, val=0.0)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edits") / "data"
    build_dataset(folder, OPTIONS, count=5, jobs=1)
    return folder


def captions(folder):
    return {row["id"]: (row["caption"], row["caption_origin"]) for row in read_dataset(folder).rows}


def test_an_edited_caption_is_used_checked_and_survives_a_new_build(built, tmp_path):
    row = next(r for r in read_dataset(built).rows if r["split"] == "train" and not r["parent"])
    table = tmp_path / "captions.csv"
    text = captions_table(read_dataset(built).rows)
    table.write_text(text.replace(f'{row["id"]},"{row["caption"]}"', f"{row['id']},harp at night"))
    assert import_captions(built, table) == 1
    edited = captions(built)
    assert edited[row["id"]] == ("harp at night", "edited")
    (copy,) = [r for r in read_dataset(built).rows if r["parent"] == row["id"]]
    assert copy["caption"] == "harp at night"
    assert (built / "train" / f"{row['id']}.txt").read_text() == "harp at night\n"
    assert check_dataset(built) == []
    stated = json.loads((built / "dataset.json").read_text())["content_sha256"]
    assert stated == content_sha256(read_dataset(built).rows)
    build_dataset(built, OPTIONS, count=5, jobs=1, force=True)
    assert captions(built)[row["id"]] == edited[row["id"]]
    assert import_captions(built, table) == 0


def test_the_anchor_is_no_part_of_an_imported_caption(built, tmp_path):
    row = next(r for r in read_dataset(built).rows if r["split"] == "train" and not r["parent"])
    (tmp_path / "t.csv").write_text(f'id,caption\n{row["id"]},"mel spectrogram music, oud"\n')
    assert import_captions(built, tmp_path / "t.csv") == 1
    assert captions(built)[row["id"]] == ("oud", "edited") and check_dataset(built) == []
    assert import_captions(built, tmp_path / "t.csv") == 0
    (built / "captions.csv").write_text((tmp_path / "t.csv").read_text())
    build_dataset(built, OPTIONS, count=5, jobs=1)
    assert captions(built)[row["id"]] == ("oud", "edited")


def test_copies_follow_the_clip_mixed_into_them_as_the_next_build_makes_them(tmp_path):
    options = replace(OPTIONS, augment=("mixup",), test=0.0, vocal_classifier="none")
    folder, table = tmp_path / "data", tmp_path / "t.csv"
    build_dataset(folder, options, count=4, jobs=1)
    mixups = [(r["id"], json.loads(r["augmentation"] or "{}")) for r in read_dataset(folder).rows]
    copy, partner = next((name, p["mixup"]["partner"]) for name, p in mixups if "mixup" in p)
    table.write_text(f"id,caption\n{partner},harp at night\n")
    assert import_captions(folder, table) == 1
    assert "harp" in captions(folder)[copy][0] and check_dataset(folder) == []
    imported = read_dataset(folder).rows
    build_dataset(folder, options, count=4, jobs=1)
    assert read_dataset(folder).rows == imported


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("id,text\nx,y\n", "no column 'caption'"),
        ("id,caption\nx,\n", "line 2: id or caption is empty"),
        ("id,caption\nx,<b>...</b>\n", "line 2: id or caption is empty"),
        ("id,caption\nx,a\nx,b\n", "line 3: clip 'x' stands there twice"),
        ('id,caption\n"x\ny",a\n"x\ny",b\n', r"line 5: clip 'x\\ny' stands there twice"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, text, why):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=why):
        read_captions(tmp_path / "t.csv")


def test_a_clip_of_another_dataset_is_refused_and_nothing_is_written(built, tmp_path):
    before = captions(built)
    (tmp_path / "t.csv").write_text("id,caption\nother-0,harp\n")
    with pytest.raises(InputError, match="no clip 'other-0'"):
        import_captions(built, tmp_path / "t.csv")
    assert captions(built) == before


def test_the_caption_of_an_augmented_copy_is_refused_with_its_original(built, tmp_path):
    before, copy = captions(built), next(r for r in read_dataset(built).rows if r["parent"])
    (tmp_path / "t.csv").write_text(f"id,caption\n{copy['id']},harp\n")
    with pytest.raises(InputError, match=f"{copy['id']}' is an .* edit '{copy['parent']}'"):
        import_captions(built, tmp_path / "t.csv")
    assert captions(built) == before


def test_a_dataset_that_is_being_built_is_refused(built, tmp_path):
    (tmp_path / "t.csv").write_text(captions_table(read_dataset(built).rows))
    with folder_lock(built), pytest.raises(InputError, match="writes there"):
        import_captions(built, tmp_path / "t.csv")


def test_a_folder_that_is_no_dataset_is_left_alone(tmp_path):
    with pytest.raises(InputError, match="no finished dataset"):
        import_captions(tmp_path / "none", tmp_path / "t.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("last", ["captions", "metadata", "manifest"])
def test_an_import_that_was_cut_short_is_completed_by_the_next(built, tmp_path, monkeypatch, last):
    from dataset_tools.building import tables

    row = next(r for r in read_dataset(built).rows if r["split"] == "train" and not r["parent"])
    (tmp_path / "t.csv").write_text(f"id,caption\n{row['id']},harp after {last}\n")
    write = getattr(tables, f"write_{last}")

    def then_interrupted(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tables, f"write_{last}", then_interrupted)
        import_captions(built, tmp_path / "t.csv")
    import_captions(built, tmp_path / "t.csv")
    assert captions(built)[row["id"]] == (f"harp after {last}", "edited")
    assert check_dataset(built) == []
