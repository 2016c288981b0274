"""Origins of captions, and their cleaning."""

import mutagen.flac
import mutagen.id3
import mutagen.mp4
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.captions.clean import (
    caption_prefix,
    check_anchor,
    clean,
    full_prompt,
    without_anchor,
)
from dataset_tools.captions.pipeline import prepare_caption
from dataset_tools.captions.tokens import count_tokens, fit_to_token_limit
from dataset_tools.sources import Rejected, SourceRequest, track_id
from dataset_tools.sources.folder import tracks
from dataset_tools.sources.tags import caption_from_tags, read_tags
from dmm.errors import InputError


def found(music):
    return list(tracks(SourceRequest(music.root)))


def tag(path, **tags):
    file = mutagen.flac.FLAC(path)
    file.update(tags)
    file.save()


def test_sidecar_beats_tags_beat_the_rule(music):
    path = music("lo-fi/01 - RainyNight.flac")
    (by_rule,) = found(music)
    assert (by_rule.caption, by_rule.caption_origin) == ("lo fi, rainy night", "rule")
    tag(path, genre="Orchestral", mood="Epic", bpm="120")
    (by_tags,) = found(music)
    assert (by_tags.caption, by_tags.caption_origin) == ("orchestral, epic, 120 bpm", "tags")
    path.with_suffix(".txt").write_text("\ufeffQuiet harp\n", encoding="utf-8")
    (by_sidecar,) = found(music)
    assert (by_sidecar.caption, by_sidecar.caption_origin) == ("Quiet harp", "sidecar")


def test_artist_album_and_licence_come_from_tags(music):
    tag(music("a.flac"), artist="Ana", album="One", license="CC0-1.0")
    tag(music("b.flac"), artist="Various Artists")
    a, b = tracks(SourceRequest(music.root, licence="CC-BY-4.0"))
    assert not isinstance(a, Rejected) and not isinstance(b, Rejected)
    assert (a.artist, a.album, a.licence) == ("Ana", "One", "CC0-1.0")
    assert (b.artist, b.licence) == (None, "CC-BY-4.0")


def test_tags_of_mp3_m4a_and_wav_are_read(music):
    mp3, m4a, wav = music("a.mp3"), music("a.m4a"), music("a.wav")
    frames = [
        mutagen.id3.TCON(text="(17)"),
        mutagen.id3.TBPM(text="98"),
        mutagen.id3.TPE1(text="A"),
    ]
    id3 = mutagen.id3.ID3()
    for frame in frames:
        id3.add(frame)
    id3.save(mp3)
    file = mutagen.mp4.MP4(m4a)
    file["\xa9gen"], file["tmpo"] = ["Ambient"], [70]
    file["----:com.apple.iTunes:MOOD"] = [b"Calm"]
    file.save()
    riff = mutagen.File(wav)
    riff.add_tags()
    riff.tags.add(mutagen.id3.TXXX(desc="mood", text="Dark"))
    riff.save()
    assert caption_from_tags(read_tags(mp3)) == "rock, 98 bpm"
    assert caption_from_tags(read_tags(m4a)) == "ambient, calm, 70 bpm"
    assert caption_from_tags(read_tags(wav)) == "dark"


@pytest.mark.parametrize(
    "comment", ["Visit https://x.example", "00000A2B 0000", "Encoded by me", "(c) copyright 2010"]
)
def test_comments_about_the_file_are_no_caption(comment):
    assert caption_from_tags({"comment": [comment], "title": ["Sunrise"]}) is None


def test_a_genre_that_describes_no_sound_is_no_caption():
    assert caption_from_tags({"genre": ["Jazz/Funk"], "title": ["Sunrise"]}) == "jazz, funk"
    assert caption_from_tags({"genre": ["Other", "Game"]}) is None


def test_hidden_files_are_left_out_and_the_order_is_by_path(music):
    for name in ("b.wav", "a/z.wav", ".hidden.wav", ".cache/x.wav"):
        music(name)
    assert [track.input for track in found(music)] == ["a/z.wav", "b.wav"]


@given(st.text())
def test_cleaning_is_one_line_free_of_the_separator_and_settles(raw):
    caption, changes = clean(raw)
    assert len(caption.splitlines()) <= 1 and "|||" not in caption
    assert clean(caption) == (caption, [])
    assert bool(changes) == (caption != raw)


@given(st.text(alphabet="aA.!; \n\t,|\u00ad\u0301e<>/&ltmp"))
def test_changes_lead_from_the_raw_caption_to_the_clean_one(raw):
    caption, changes = clean(raw)
    texts = [raw, *(change.after for change in changes)]
    assert [change.before for change in changes] == texts[:-1] and texts[-1] == caption


@pytest.mark.parametrize(
    ("raw", "caption"),
    [
        ("Slow piano. It is sad.", "Slow piano, It is sad"),
        ("Sonata no. 2 in C, 2.5 minutes", "Sonata no. 2 in C, 2.5 minutes"),
        ("Wow! Drums; bass? yes", "Wow, Drums, bass, yes"),
    ],
)
def test_sentences_become_comma_parts_and_abbreviations_stay(raw, caption):
    assert clean(raw)[0] == caption


@pytest.mark.parametrize(
    ("raw", "caption"),
    [
        ("R&amp;B, drum &amp;amp; bass", "R&B, drum & bass"),
        ("<p>Slow <b>piano</b></p>", "Slow piano"),
        ("it&#39;s calm<br/>and soft", "it's calm and soft"),
        ("quiet < loud > quiet", "quiet < loud > quiet"),
    ],
)
def test_entities_are_decoded_and_tags_stripped(raw, caption):
    assert clean(raw)[0] == caption


def test_a_caption_as_long_as_a_book_is_cut_first():
    caption, changes = clean("a" * 130_000)
    assert caption == "a" * 10_000 and [change.rule for change in changes] == ["length"]
    assert clean("x" + "." * 130_000 + "x")[0] == "x"


def test_a_long_caption_is_fitted_as_its_beginning():
    parts = ", ".join(map(str, range(2_000)))
    assert fit_to_token_limit("", parts)[0] == fit_to_token_limit("", parts[:400])[0]


def test_a_missing_caption_is_an_input_error():
    with pytest.raises(InputError, match="caption is None"):
        clean(None)


@pytest.mark.parametrize(
    ("raw", "caption"),
    [
        ("mel spectrogram music, slow piano", "slow piano"),
        ("Mel Spectrogram Music. Slow piano", "Slow piano"),
        ("slow piano, mel spectrogram music, rain", "slow piano, rain"),
        ("slow piano, mel spectrogram music", "slow piano"),
        ("a mel spectrogram musician", "a mel spectrogram musician"),
        ("mel spectrogram music", "music"),
        ("   ,,, ", "music"),
    ],
)
def test_the_anchor_is_no_part_of_a_caption_and_no_caption_is_empty(raw, caption):
    prepared = prepare_caption(raw, "mel spectrogram music", keep_voice=True, reduce=False)
    assert prepared[0] == caption
    assert prepared[1] == count_tokens(f"mel spectrogram music, {caption}")


def test_an_anchor_of_two_parts_is_dropped_and_none_changes_nothing():
    assert without_anchor("my style, warm, harp", "my style, warm")[0] == "harp"
    assert without_anchor("harp, rain", "") == ("harp, rain", [])


def test_an_empty_anchor_or_caption_leaves_no_comma_behind():
    assert [full_prompt("a", "b"), full_prompt("", "b"), full_prompt("a", "")] == ["a, b", "b", "a"]


def test_anchor_goes_in_front_of_the_separator_or_is_left_out():
    assert caption_prefix("mel spectrogram music") == "mel spectrogram music |||"
    assert caption_prefix("") is None
    with pytest.raises(InputError, match="one line without"):
        check_anchor("a ||| b")


def test_no_track_id_is_the_beginning_of_another():
    short, longer = track_id("song", "a" * 64), track_id("song " + "a" * 10 + " 1", "b" * 64)
    assert not longer.startswith(short + "-0")
    assert track_id("音楽", "c" * 64) == "track-" + "c" * 10
