"""Clips downloaded from Suno: captions from style and description, never from lyrics."""

import dataclasses
import json

import mutagen.id3
import mutagen.mp4
import pytest

from dataset_tools.sources import Rejected, SourceRequest, Track
from dataset_tools.sources.suno import tracks
from dataset_tools.sources.suno_clips import clip_description

UUID = "6c8a40fd-32bf-4c7b-ab59-23579ff95828"
CANARY = "zanzibarian"
LYRICS = f"[Verse]\n{CANARY} moon above"
CLIP = {
    "id": UUID,
    "title": "Rain",
    "audio_url": f"https://cdn1.suno.ai/{UUID}.mp3",
    "metadata": {
        "tags": "lo-fi, piano",
        "gpt_description_prompt": "a rainy evening",
        "type": "gen",
    },
}


def clip(**metadata):
    return CLIP | {"metadata": CLIP["metadata"] | metadata}


def write_json(path, values):
    path.write_text(json.dumps(values), encoding="utf-8")


def id3(path, *frames):
    tags = mutagen.id3.ID3()
    for frame in frames:
        tags.add(frame)
    tags.save(path)


def only(music):
    (track,) = tracks(SourceRequest(music.root))
    assert isinstance(track, Track)
    return track


def words_of(track):
    values = {
        f.name: getattr(track, f.name) for f in dataclasses.fields(track) if f.name != "stream"
    }
    return json.dumps(values).lower()


@pytest.mark.parametrize("key", ["prompt", "lyrics", "lyric", "display_lyrics"])
def test_lyrics_of_the_service_are_evidence_but_no_caption(music, key):
    path = music("a.mp3", 1.0)
    write_json(path.with_suffix(".json"), clip(**{key: LYRICS}))
    track = only(music)
    assert CANARY not in words_of(track) and track.has_lyrics is True
    assert track.caption == "lo-fi, piano, a rainy evening" and track.tags == ("lo-fi", "piano")


@pytest.mark.parametrize(
    "frame",
    [
        mutagen.id3.USLT(lang="eng", desc="", text=LYRICS),
        mutagen.id3.SYLT(lang="eng", format=2, type=1, desc="", text=[(CANARY, 0)]),
        mutagen.id3.TXXX(desc="lyrics", text=LYRICS),
        mutagen.id3.TXXX(desc="prompt", text=LYRICS),
        mutagen.id3.TXXX(desc="description", text=LYRICS),
        mutagen.id3.COMM(lang="eng", desc="", text=LYRICS),
    ],
    ids=lambda frame: frame.HashKey,
)
def test_lyrics_in_a_tag_are_no_caption(music, frame):
    id3(music("a.mp3", 1.0), frame, mutagen.id3.TXXX(desc="style", text="Dream Pop"))
    track = only(music)
    assert track.caption == "dream pop" and CANARY not in words_of(track)
    assert track.has_lyrics is (
        True if "lyrics" in frame.HashKey or "LT" in frame.HashKey else None
    )


def test_lyrics_in_mp4_tags_and_in_text_files_are_no_caption(music):
    path = music("a.m4a", 1.0, text=LYRICS)
    file = mutagen.mp4.MP4(path)
    file["©lyr"], file["©gen"] = [LYRICS], ["Ambient"]
    file.save()
    track = only(music)
    assert track.caption == "ambient" and track.has_lyrics and CANARY not in words_of(track)


def test_bare_download_is_known_by_its_comment_and_its_marks_are_no_lyrics(music):
    id3(
        music("a.mp3", 1.0),
        mutagen.id3.TIT2(text="Silent Beeps"),
        mutagen.id3.TPE1(text="someone"),
        mutagen.id3.COMM(lang="eng", desc="", text=f"made with suno; created=2026; id={UUID}"),
        mutagen.id3.USLT(lang="eng", desc="", text="[Instrumental]"),
    )
    track = only(music)
    assert (track.caption, track.caption_origin) == ("music", "rule")
    assert (track.title, track.artist) == ("Silent Beeps", "someone")
    assert track.has_lyrics is False and track.instrumental is None
    write_json(music.root / "library.json", {"clips": [clip(prompt="")]})
    track = only(music)
    assert track.caption == "lo-fi, piano, a rainy evening" and track.has_lyrics is False
    assert track.url == f"https://suno.com/song/{UUID}"


@pytest.mark.parametrize("name", [f"{UUID}.mp3", f"Rain-{UUID}.mp3", "Rain.mp3"])
def test_a_clip_in_a_list_is_found_by_its_id_or_unique_title(music, name):
    music(name, 1.0)
    other = clip() | {"id": UUID.replace("6", "7"), "title": "Snow"}
    write_json(music.root / "page 1.json", [{"clip": other}, {"clip": clip()}])
    assert only(music).url == f"https://suno.com/song/{UUID}"


@pytest.mark.parametrize("name", ["Rain.mp3", f"Rain {UUID}.mp3"])
def test_a_clip_without_an_id_is_found_by_its_title(music, name):
    music(name, 1.0)
    without_id = {key: value for key, value in CLIP.items() if key != "id"}
    write_json(music.root / "all.json", [without_id | {"title": name[:-4]}, {"title": "Snow"}])
    assert only(music).caption == "lo-fi, piano, a rainy evening"


def test_a_title_does_not_name_a_clip_with_another_id(music):
    music(f"Rain {UUID}.mp3", 1.0)
    other = clip() | {"id": UUID.replace("6", "7"), "title": f"Rain {UUID}"}
    write_json(music.root / "all.json", [other, {"title": "Snow"}])
    assert only(music).caption == "music"


def test_a_title_of_two_clips_names_neither(music):
    music("Rain.mp3", 1.0)
    write_json(music.root / "all.json", [clip(), clip() | {"id": UUID.replace("6", "7")}])
    assert only(music).caption == "music"


@pytest.mark.parametrize(
    ("values", "claim"),
    [
        ({"make_instrumental": True}, True),
        ({"make_instrumental": False}, False),
        ({"has_vocal": False}, True),
        ({}, None),
        ({"make_instrumental": "yes"}, None),
    ],
)
def test_flag_is_what_was_claimed(values, claim):
    assert clip_description(clip(**values)).instrumental is claim
    assert clip_description(CLIP | values).instrumental is claim


def test_description_that_is_the_lyrics_is_left_out():
    assert clip_description(clip(prompt=LYRICS, gpt_description_prompt=LYRICS)).user_text == ""


def test_broken_json_refuses_its_own_sound_only(music):
    music("a.mp3", 1.0).with_suffix(".json").write_text('{"id": ')
    music("b.mp3", 1.0)
    found = list(tracks(SourceRequest(music.root)))
    refused = [(f.input, f.reason.split(":")[0]) for f in found if isinstance(f, Rejected)]
    assert refused == [("a.json", "sidecar not JSON"), ("a.mp3", "sidecar not JSON")]
    assert [f.input for f in found if isinstance(f, Track)] == ["b.mp3"]
