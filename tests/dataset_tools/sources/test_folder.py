"""A folder of audio files: odd names, links, and files with wrong suffixes."""

import os
import unicodedata

import mutagen
import pytest

from dataset_tools.sources import Rejected, SourceRequest, Track
from dataset_tools.sources.folder import tracks
from dmm.errors import InputError


def found(music):
    everything = list(tracks(SourceRequest(music.root)))
    refused = {r.input: r.reason for r in everything if isinstance(r, Rejected)}
    return {t.input: t for t in everything if isinstance(t, Track)}, refused


def test_links_out_of_the_folder_to_nowhere_and_in_a_circle_are_refused(music, tmp_path):
    music("good.wav", 1.0)
    (tmp_path / "secret.wav").write_bytes((music.root / "good.wav").read_bytes())
    for name, target in {
        "out.wav": tmp_path / "secret.wav",
        "nowhere.wav": "gone.wav",
        "circle.wav": "circle.wav",
        "up": "..",
        "loop": ".",
    }.items():
        (music.root / name).symlink_to(target)
    good, refused = found(music)
    assert list(good) == ["good.wav"]
    assert {name: reason.split(";")[0] for name, reason in refused.items()} == {
        "out.wav": "link: leads out of the folder",
        "nowhere.wav": "link: leads nowhere",
        "circle.wav": "link: leads in a circle",
        "up": "link: leads out of the folder",
        "loop": "link: leads to a folder, which is not followed",
    }


def test_a_folder_that_cannot_be_read_is_refused_by_name(music, monkeypatch):
    music("good.wav", 1.0)
    music("closed/lost.wav", 1.0)
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", scandir)
    good, refused = found(music)
    reason = "unreadable folder: Permission denied; change its permissions"
    assert list(good) == ["good.wav"] and refused == {"closed": reason}


def test_link_to_a_file_in_the_folder_is_read(music):
    music("good.wav", 1.0)
    (music.root / "again.wav").symlink_to("good.wav")
    good, refused = found(music)
    assert list(good) == ["again.wav", "good.wav"] and refused == {}


def test_a_caption_behind_a_link_out_of_the_folder_is_not_read(music, tmp_path):
    (tmp_path / "secret.txt").write_text("the key")
    music("rain.wav", 1.0).with_suffix(".txt").symlink_to(tmp_path / "secret.txt")
    assert found(music)[0]["rain.wav"].caption == "rain"


def test_names_in_any_script_have_safe_ids_and_keep_their_names(music):
    names = ["雨の夜.wav", "شب بارانی.wav", "🎹🌧.wav", "a\u202eb.wav", "Été.wav", "-rf.wav"]
    for name in names:
        music(name, 1.0)
    good, refused = found(music)
    assert set(good) == set(names) and refused == {}
    assert all(t.id.isascii() and not t.id.startswith(("-", ".")) for t in good.values())
    assert len({t.id for t in good.values()}) == len(names)


def test_one_name_in_two_folders_two_forms_or_two_cases_is_two_tracks(music):
    forms = [unicodedata.normalize(form, "é.wav") for form in ("NFC", "NFD")]
    for name in ("a/one.wav", "b/one.wav", "Case.wav", "case.wav", *forms):
        music(name, 1.0)
    good, _ = found(music)
    assert len(good) == 6 and len({t.id.casefold() for t in good.values()}) == 6


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_not_utf_8_is_refused_under_a_name_that_is(music):
    path = music("good.wav", 1.0)
    os.rename(path, os.fsencode(music.root) + b"/\xe9t\xe9.wav")
    good, refused = found(music)
    assert good == {}
    assert refused == {"\ufffdt\ufffd.wav": "name not UTF-8: rename the file"}


def test_a_wrong_suffix_is_accepted_and_text_is_no_sound(music):
    music("a.mp3", 1.0).rename(music.root / "a.wav")
    (music.root / "b.mp3").write_text("no sound at all\n" * 99)
    good, _ = found(music)
    assert good["a.wav"].load(22050, 1).shape[1] == pytest.approx(22050, abs=2500)
    with pytest.raises(InputError, match=r"^unreadable: "):
        good["b.mp3"].load(22050, 1)


@pytest.mark.parametrize("kind", [b"drms", b"enca"])
def test_protected_sound_is_refused_with_the_reason(music, kind):
    path = music("bought.m4a", 1.0).rename(music.root / "bought.m4p")
    content = path.read_bytes()
    assert content.count(b"mp4a") == 1
    path.write_bytes(content.replace(b"mp4a", kind))
    music("free.m4a", 1.0)
    good, refused = found(music)
    assert list(good) == ["free.m4a"] and refused["bought.m4p"].startswith("protected: ")


def test_empty_files_and_pipes_are_refused(music):
    music("good.wav", 1.0)
    (music.root / "empty.wav").touch()
    os.mkfifo(music.root / "pipe.wav")
    (music.root / "folder.wav").mkdir()
    _, refused = found(music)
    assert {k: v.split(":")[0] for k, v in refused.items()} == {
        "empty.wav": "empty file",
        "pipe.wav": "not a file",
    }


def test_the_name_of_a_lyricist_is_no_lyrics(music):
    import mutagen.flac

    file = mutagen.flac.FLAC(music("a.flac", 1.0))
    file["lyricist"] = "Ira Gershwin"
    file.save()
    assert found(music)[0]["a.flac"].has_lyrics is None


def test_lyrics_in_tags_are_evidence(music):
    import mutagen.flac

    for name, lyrics in {"sung": "Oh rain", "played": "[Instrumental]"}.items():
        file = mutagen.flac.FLAC(music(f"{name}.flac", 1.0))
        file["lyrics"] = lyrics
        file.save()
    music("unknown.flac", 1.0)
    good, _ = found(music)
    assert [good[f"{n}.flac"].has_lyrics for n in ("sung", "played", "unknown")] == [
        True,
        False,
        None,
    ]


def test_a_title_is_the_caption_where_no_tag_describes_the_sound(music):
    path = music("hr3-icyland.flac", 1.0)
    file = mutagen.File(path)
    file["genre"], file["title"] = "Game", ["Living Caves", "Icy Lands"]
    file.save()
    (track,) = found(music)[0].values()
    assert (track.caption, track.caption_origin, track.title) == ("Icy Lands", "title", "Icy Lands")


@pytest.mark.parametrize("text", ["   ,,, ", "-", "||| ."])
def test_a_caption_without_words_gives_way_to_the_next(music, text):
    path = music("a.flac", 1.0, text=text)
    file = mutagen.File(path)
    file["title"] = "Icy Lands"
    file.save()
    music("rain.wav", 1.0, text=text)
    good = found(music)[0]
    assert (good["a.flac"].caption, good["a.flac"].caption_origin) == ("Icy Lands", "title")
    assert (good["rain.wav"].caption, good["rain.wav"].caption_origin) == ("rain", "rule")


def test_a_numbered_file_is_named_by_its_folder(music):
    music("blupi/music000.wav", 1.0)
    assert found(music)[0]["blupi/music000.wav"].caption == "blupi"
