"""Splits by artist, album or track."""

import pytest

from dataset_tools.sources import Track
from dataset_tools.splits import assign_splits, place_groups


def track(n, artist=None, album=None):
    return Track(
        f"t{n}", "folder", f"{n}.wav", "", "rule", f"{n:064d}", len, artist=artist, album=album
    )


def test_no_artist_is_in_two_splits_whatever_the_case_of_the_name():
    tracks = [track(n, artist=("Ana" if n % 2 else "ANA") + str(n % 40)) for n in range(400)]
    splits, grouping = assign_splits(tracks)
    places = {(t.artist or "").casefold(): set() for t in tracks}
    for t in tracks:
        places[(t.artist or "").casefold()].add(splits[t.id])
    assert grouping == "artist" and all(len(place) == 1 for place in places.values())


def test_places_stay_when_tracks_are_added():
    before, _ = assign_splits([track(n) for n in range(60)])
    after, _ = assign_splits([track(n) for n in range(90)])
    assert after.items() >= before.items()


def test_fractions_hold_on_average_and_seeds_differ():
    tracks = [track(n) for n in range(4000)]
    first = list(assign_splits(tracks, val=0.1, test=0.2)[0].values())
    assert abs(first.count("val") - 400) < 80 and abs(first.count("test") - 800) < 110
    assert first != list(assign_splits(tracks, seed=1, val=0.1, test=0.2)[0].values())


def test_three_groups_always_give_train_and_test():
    for seed in range(60):
        splits, _ = assign_splits([track(n) for n in range(3)], seed=seed)
        assert {"train", "test"} <= set(splits.values())


def test_no_test_share_means_no_test():
    assert "test" not in assign_splits([track(n) for n in range(50)], test=0.0)[0].values()


def test_one_artist_is_split_by_album_and_one_album_by_track():
    albums = [track(n, "Ana", f"album {n % 5}") for n in range(20)]
    assert assign_splits(albums)[1] == "album"
    single = [track(n, "Ana", "only") for n in range(20)]
    splits, grouping = assign_splits(single)
    assert grouping == "track" and {"train", "test"} <= set(splits.values())


def test_two_tracks_are_both_for_training():
    assert assign_splits([track(1), track(2)])[0] == {"t1": "train", "t2": "train"}


GAMES = [("Savino", 4), ("Lewis", 9), ("Epplin", 10), ("Domina", 2), ("Zik", 3), ("Sectoid", 5)]
"""Artists and their numbers of tracks, as of the music of five games."""


@pytest.mark.parametrize("seed", range(20))
def test_few_artists_leave_fair_shares_of_tracks_and_clips(seed):
    tracks, clips = [], {}
    for artist, n in GAMES:
        for _ in range(n):
            tracks.append(track(len(tracks), artist))
            clips[tracks[-1].id] = 5 if artist == "Epplin" else 10
    splits, grouping = assign_splits(tracks, seed, val=0.15, test=0.15, clip_counts=clips)
    assert grouping == "artist"
    for split in ("val", "test"):
        own = [name for name, place in splits.items() if place == split]
        assert 0.05 < len(own) / len(tracks) < 0.33
        assert 0.05 < sum(clips[name] for name in own) / sum(clips.values()) < 0.33


def test_one_large_artist_does_not_go_to_the_test_split():
    weights = {"large": 0.8, "a": 0.1, "b": 0.05, "c": 0.05}
    for seed in range(30):
        places = place_groups(weights, seed, 0.1, 0.1)
        assert places["large"] == "train" and "test" in places.values()


def test_tracks_that_are_not_trained_on_do_not_fill_the_test_split():
    tracks = [track(n) for n in range(20)]
    clips = {t.id: 0 if n < 10 else 8 for n, t in enumerate(tracks)}
    for seed in range(20):
        splits, _ = assign_splits(tracks, seed, test=0.2, clip_counts=clips)
        assert any(splits[name] == "test" for name, n in clips.items() if n)
