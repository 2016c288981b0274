"""Splits by artist, album or track."""

from dataset_tools.sources import Track
from dataset_tools.splits import assign_splits


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
