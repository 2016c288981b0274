"""MiniMIDI's composer: its pieces, their truth, captions and MIDI files."""

import io
import json
import re

import pretty_midi
import pytest

from dataset_tools.sources import SourceRequest, Track
from dataset_tools.sources.catalogue import source_tracks
from dataset_tools.sources.minimidi import (
    BASE_STYLES,
    HELD_OUT_STYLES,
    UNSEEN_PAIRS,
    Note,
    caption,
    compose,
    piece_facts,
    prompt,
    to_pretty_midi,
)
from dataset_tools.sources.minimidi.accompaniment import drum_notes
from dataset_tools.sources.minimidi.captions import SYNONYMS, tempo_word
from dataset_tools.sources.minimidi.drums import KITS
from dataset_tools.sources.minimidi.harmony import KEYS, SCALES
from dataset_tools.sources.minimidi.instruments import INSTRUMENTS
from dataset_tools.sources.minimidi.styles import STYLES, lead_accompaniment_pairs
from dmm.errors import InputError

MOODS = (
    "happy warm melancholic dark energetic playful dramatic mellow sparse busy".split()
)  # fmt: skip
PACES = ("slow", "medium tempo", "fast")
FACTS = {*STYLES, *INSTRUMENTS, *KITS, *KEYS, *MOODS, *PACES, "no drums", "major", "minor"}
WORDS = {word: fact for fact in FACTS for word in (fact, *SYNONYMS.get(fact, ()))}
LONGEST_FIRST = "|".join(map(re.escape, sorted(WORDS, key=len, reverse=True)))
KNOWN = re.compile(rf"(?<![\w-])({LONGEST_FIRST}|\d+ bpm)(?![\w#-])")


def said(text):
    """The facts that a text states, in their first words; fails if anything else is said."""
    rest = set(re.sub(r"[,\s]+", " ", KNOWN.sub(" ", text)).split())
    assert rest <= {"and", "with"}, f"{rest} in {text!r}"
    return {WORDS.get(word, word) for word in KNOWN.findall(text)}


def true(piece):
    drums = piece.drums or "no drums"
    return {
        piece.style, *piece.instruments, drums, *piece.moods, piece.key, piece.mode,
        tempo_word(piece.tempo_bpm), f"{piece.tempo_bpm} bpm",
    }  # fmt: skip


def test_a_seed_always_gives_the_same_piece():
    assert compose(7) == compose(7)
    assert compose(7, unseen=True) == compose(7, unseen=True)


def test_different_seeds_give_different_music():
    assert len({compose(seed, "pop").notes for seed in range(20)}) == 20


@pytest.mark.parametrize("style", STYLES)
def test_captions_and_prompts_say_nothing_untrue_and_name_the_lead(style):
    for seed in range(40):
        piece = compose(seed, style)
        assert 1 <= len(piece.instruments) <= 3
        assert piece.instruments[0] in said(caption(piece)) <= true(piece)
        asked = prompt(piece)
        assert piece.instruments[0] in said(asked.text) <= true(piece)
        assert asked.instruments == piece.instruments[: len(asked.instruments)]
        assert said(asked.text) & INSTRUMENTS.keys() == set(asked.instruments)


def test_about_half_of_the_captions_name_the_key():
    pieces = [compose(seed, "pop") for seed in range(200)]
    named = sum(piece.key in said(caption(piece)) for piece in pieces)
    assert 70 < named < 120


def test_captions_name_all_or_the_first_two_instruments():
    named = [
        (piece.instruments, said(caption(piece)) & INSTRUMENTS.keys())
        for piece in (compose(seed, "pop") for seed in range(60))
    ]
    assert all(names in (set(all_), set(all_[:2])) for all_, names in named)
    assert any(len(names) == 2 < len(all_) for all_, names in named)
    assert any(len(names) == 3 for _, names in named)


def test_no_word_has_two_meanings():
    words = [word for fact in FACTS for word in (fact, *SYNONYMS.get(fact, ()))]
    assert len(words) == len(set(words))
    assert SYNONYMS.keys() <= FACTS


@pytest.mark.parametrize("style", STYLES)
def test_pitched_notes_lie_in_the_scale_and_in_range(style):
    for seed in range(12):
        piece = compose(seed, style)
        tonic = KEYS.index(piece.key)
        allowed = {*SCALES[piece.mode], *((11,) if piece.mode == "minor" else ())}
        pitches = {note.pitch for note in piece.notes if note.instrument != piece.drums}
        assert all((pitch - tonic) % 12 in allowed for pitch in pitches)
        assert 28 <= min(pitches) <= max(pitches) <= 91


def test_the_raised_seventh_of_minor_sounds_over_the_dominant_alone():
    raised = 0
    for seed in range(80):
        piece = compose(seed, "pop", duration_s=12.0)
        bar_s = 60 / piece.tempo_bpm * piece.beats_per_bar
        bars = {}
        for note in piece.notes:
            if note.instrument != piece.drums:
                degree = (note.pitch - KEYS.index(piece.key)) % 12
                bars.setdefault(int((note.start_s + 0.02) / bar_s), set()).add(degree)
        over = [degrees for degrees in bars.values() if piece.mode == "minor" and 11 in degrees]
        assert all(7 in degrees for degrees in over)
        raised += len(over)
    assert raised > 20


def test_held_out_styles_are_never_chosen_by_a_seed():
    assert {compose(seed).style for seed in range(80)} == set(BASE_STYLES)
    assert {"bossa nova", "tango", "dub techno"} <= set(HELD_OUT_STYLES)


def test_held_out_leads_are_unknown_to_the_base_styles():
    base = {name for seed in range(80) for name in compose(seed).instruments}
    held_out = {
        compose(seed, style).instruments[0] for seed in range(9) for style in HELD_OUT_STYLES
    }
    assert not base & held_out


def test_test_pairs_play_together_only_with_unseen():
    def pairs(unseen):
        styles = [lead_accompaniment_pairs(style, unseen) for style in STYLES.values()]
        composed = [compose(seed, unseen=unseen).instruments[:2] for seed in range(60)]
        return {frozenset(pair) for pair in sum(styles, composed)}

    assert pairs(unseen=True) == UNSEEN_PAIRS
    assert not pairs(unseen=False) & UNSEEN_PAIRS


def test_mixed_players_give_base_styles_each_others_instruments_but_no_test_pairs():
    def players(style, **options):
        pieces = [compose(seed, style, **options) for seed in range(120)]
        return {name for piece in pieces for name in (*piece.instruments, piece.drums)}

    usual, mixed = players("dance"), players("dance", mixed_players=True)
    assert usual < mixed == set().union(*(players(style) for style in BASE_STYLES))
    assert players("music box", mixed_players=True) == {"music box", None}
    pairs = {frozenset(compose(s, mixed_players=True).instruments[:2]) for s in range(400)}
    assert len(pairs) > 60 and not pairs & UNSEEN_PAIRS


def test_a_share_of_the_seeds_has_mixed_players_and_the_others_stay():
    def ids(share):
        request = SourceRequest(count=60, mixed_players=share, styles=("pop",))
        return [track.id for track in source_tracks("minimidi", request)]

    same = [one == other for one, other in zip(ids(0.0), ids(0.4), strict=True)]
    assert 30 < sum(same) < 45


def test_a_style_without_test_pairs_is_refused():
    with pytest.raises(ValueError, match="no test pair of instruments in tango"):
        compose(1, "tango", unseen=True)
    with pytest.raises(InputError, match="no unseen pair of instruments in 'tango'; in: ballad"):
        list(source_tracks("minimidi", SourceRequest(styles=("tango",), unseen=True)))


def test_pieces_keep_their_licence_if_one_is_named_for_tracks_without():
    request = SourceRequest(count=1, licence="all rights reserved")
    assert [track.licence for track in source_tracks("minimidi", request)] == ["CC0-1.0"]


def test_the_source_passes_unseen_on_and_has_other_ids():
    def tracks(unseen):
        return list(source_tracks("minimidi", SourceRequest(count=12, unseen=unseen)))

    pairs = [frozenset(track.truth["instruments"][:2]) for track in tracks(True)]
    assert set(pairs) <= UNSEEN_PAIRS
    assert not {t.id for t in tracks(True)} & {t.id for t in tracks(False)}


def test_drums_fill_the_last_bar_of_every_phrase():
    for first, expected in ((0, {3, 7}), (2, {1, 5})):
        bars = [set() for _ in range(8)]
        for hit in drum_notes("backbeat", 8, 4, first):
            bars[int(hit.beat // 4)].add((hit.beat % 4, hit.pitch))
        usual = bars[0]
        assert {i for i, bar in enumerate(bars) if bar != usual} == expected


def test_the_truth_survives_json_and_holds_everything():
    piece = compose(11)
    known = json.loads(json.dumps(piece_facts(piece)))
    assert [Note(*row) for row in known["notes"]] == list(piece.notes)
    assert known["beat_times_s"][1] == pytest.approx(60 / piece.tempo_bpm)
    names = "seed style tempo_bpm beats_per_bar key mode density drums"
    assert all(known[name] == getattr(piece, name) for name in names.split())
    assert tuple(known["instruments"]) == piece.instruments
    assert tuple(known["moods"]) == piece.moods


def test_midi_keeps_programs_tempo_notes_and_times():
    piece = compose(5, "pop")
    file = io.BytesIO()
    to_pretty_midi(piece).write(file)
    midi = pretty_midi.PrettyMIDI(io.BytesIO(file.getvalue()))
    programs = [track.program for track in midi.instruments if not track.is_drum]
    assert programs == [INSTRUMENTS[name].program for name in piece.instruments]
    assert midi.get_tempo_changes()[1] == pytest.approx([piece.tempo_bpm], abs=1e-3)
    starts = sorted(note.start for track in midi.instruments for note in track.notes)
    assert starts == pytest.approx([note.start_s for note in piece.notes], abs=0.002)


def test_the_source_composes_for_the_required_instruments():
    request = SourceRequest(count=4, instruments=("flute", "piano"))
    for track in source_tracks("minimidi", request):
        assert isinstance(track, Track) and track.truth
        assert {"flute", "piano"} <= set(track.truth["instruments"])


def test_unknown_and_impossible_instruments_have_different_errors():
    with pytest.raises(InputError, match=r"no instrument .kazoo.; known: piano, .*lo-fi drums"):
        list(source_tracks("minimidi", SourceRequest(instruments=("kazoo",))))
    with pytest.raises(InputError, match="play accordion together in ballad"):
        list(source_tracks("minimidi", SourceRequest(instruments=("accordion",))))
