import pytest

from dmm.checkpoints.tokenizers import ensure_tokenizer_folder, load_tokenizers


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("DMM_CACHE", str(tmp_path))


def test_clip_token_ids_are_those_that_open_clip_gives():
    from open_clip import SimpleTokenizer

    first, second = load_tokenizers()
    for text in ("lo-fi piano & upright bass, 84 bpm", "café – naïve", "a photo of a cat"):
        expected = SimpleTokenizer()([text], 77)[0]
        length = int(expected.argmax()) + 1
        assert first(text).input_ids == expected[:length].tolist()
        assert second(text, padding="max_length").input_ids == expected.tolist()


def test_the_first_encoder_pads_with_end_of_text():
    first, _ = load_tokenizers()
    assert first("cat", padding="max_length").input_ids[-1] == 49407


def test_a_small_vocabulary_ends_in_start_and_end_of_text():
    first, second = load_tokenizers(1024)
    ids = first("piano").input_ids
    assert (ids[0], ids[-1]) == (1022, 1023)
    assert max(ids) < 1024 and second("piano").input_ids == ids


def test_what_the_hub_has_is_taken_as_it_is(monkeypatch, tmp_path):
    def download(name, file, **_):
        path = tmp_path / "hub" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name} {file}")
        return str(path)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    root = ensure_tokenizer_folder()
    assert (root / "openai_clip-vit-large-patch14" / "merges.txt").read_text() == (
        "openai/clip-vit-large-patch14 merges.txt"
    )
