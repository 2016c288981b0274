import shutil

import numpy as np
import pytest
import soundfile

from dmm.registry import load_embedder, load_text_embedder
from eval.caution import Caution
from eval.cautions import caution_unknown_prompts, cautions_of_files, dataset_split_of
from eval.clips import audio_files, embed_files


@pytest.fixture
def found(clips, dataset):
    """Cautions about the clips, by text, beside the dataset's test split."""

    def ask(train=None, reference=dataset / "test"):
        sets = [embed_files(audio_files(folder), load_embedder("mel-stats"), 1)
                for folder in (clips, reference, *([train] if train else []))]  # fmt: skip
        return {
            f.text: [name.rpartition("/")[2] for name in f.names] for f in cautions_of_files(*sets)
        }

    return ask


def write(path, sound, sr=22050):
    path.parent.mkdir(exist_ok=True, parents=True)
    soundfile.write(path, sound, sr)


def test_fair_sets_have_no_cautions_but_their_number(found):
    assert found() == {"Only 6 clips: the scores are rough below 10": []}


def test_silent_clips_are_counted_and_named_and_stay(found, clips):
    write(clips / "silent.flac", np.zeros(22050))
    assert found()["Silent: 1 of 7 clips"] == ["silent.flac"]


@pytest.mark.parametrize("sound", [np.full(22050, np.nan), np.zeros(0)], ids=["nan", "no-samples"])
def test_unreadable_files_are_counted_and_named(found, clips, sound):
    soundfile.write(clips / "damaged.wav", sound, 22050, subtype="FLOAT")
    (clips / "torn.flac").write_bytes(b"fLaC")
    text = "Left out of all scores, because they cannot be read: 2 clips"
    assert found()[text] == ["damaged.wav", "torn.flac"]


def test_clips_of_another_length_or_rate_are_named(found, clips, tone):
    write(clips / "short.flac", tone(200)[:11025])
    write(clips / "fast.flac", np.repeat(tone(200), 2), 44100)
    texts = found()
    assert texts["Of another length than the usual 1.00 s: 1 of 8 clips"] == ["short.flac"]
    assert texts["Of another sample rate than the usual 22050 Hz: 1 of 8 clips"] == ["fast.flac"]


def test_sets_of_unlike_length_and_rate_are_found(found, dataset, tone, tmp_path):
    for hz in (300, 320, 350):
        write(tmp_path / "other" / f"{hz}.flac", np.repeat(tone(hz), 4), 44100)
    text = " ".join(found(reference=tmp_path / "other"))
    assert "Clips are of 1.00 s, reference clips of 2.00 s" in text
    assert "Clips are of 22050 Hz, reference clips of 44100 Hz" in text


def test_copies_within_and_between_sets_are_named(found, clips, dataset):
    shutil.copy(clips / "clip-1.flac", clips / "zz.flac")
    shutil.copy(dataset / "test" / "clip-2.flac", clips / "real.flac")
    texts = found()
    assert texts["The same file as another: 1 of 8 clips"] == ["zz.flac"]
    assert texts["Also files of the reference, so the scores flatter: 1 of 8 clips"] == [
        "real.flac"
    ]


def test_reference_and_training_mixed_up_are_named(found, clips, dataset, tmp_path):
    train = tmp_path / "train"
    train.mkdir()
    for source, name in ((clips, "clip-0.flac"), (dataset / "test", "clip-3.flac")):
        shutil.copy(source / name, train / name)
    texts = found(train)
    assert texts["Also training files, so nothing was generated: 1 of 6 clips"] == ["clip-0.flac"]
    text = "Also training files, so copying is rewarded: 1 of 8 reference clips"
    assert texts[text] == ["clip-3.flac"]


def test_a_training_split_used_as_reference_is_named(found, dataset, tone):
    for hz in (300, 320, 350):
        write(dataset / "train" / f"{hz}.flac", tone(hz))
    text = "Of a dataset's training or validation split: 3 of 3 reference clips"
    assert found(reference=dataset / "train")[text] == ["300.flac", "320.flac", "350.flac"]
    assert dataset_split_of(dataset / "test" / "clip-0.flac") == "test"
    assert dataset_split_of(dataset.parent / "clips" / "clip-0.flac") is None


def test_a_sentence_shows_the_first_names_and_counts_the_rest():
    names = tuple(f"clips/{i}.flac" for i in range(8))
    assert Caution("Silent: 8 of 9 clips", names).sentence == (
        "Silent: 8 of 9 clips (0.flac, 1.flac, 2.flac, 3.flac, 4.flac and 3 more)."
    )


def test_prompts_of_unknown_words_are_reported_by_the_shipped_embedder(clips):
    own = embed_files(audio_files(clips), load_embedder("mel-stats"), 1)
    prompts = ["piano, slow", "warzone2100", None, "warzone2100", "flute", "xyzzy quux"]
    embedder, words = load_text_embedder("nano-clap"), ["piano", *filter(None, prompts)]
    texts = dict(zip(words, embedder.embed_text(words), strict=True))
    (caution,) = caution_unknown_prompts(own, prompts, texts, embedder)
    assert "knows no word of their prompts" in caution.text
    assert [name[-6:-5] for name in caution.names] == ["1", "3", "5"]
    assert caution_unknown_prompts(own, ["piano"] * 6, texts, embedder) == []
