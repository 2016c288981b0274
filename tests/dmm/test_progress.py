import pytest

from dmm.progress import progress_bar, told_to


def test_a_listener_hears_what_would_be_drawn(capsys):
    heard = []
    with told_to(lambda *told: heard.append(told)), progress_bar("fuse", 3) as advance:
        advance()
        advance(2, note="ignored")
    assert heard == [("fuse", 0, 3), ("fuse", 1, 3), ("fuse", 3, 3)]
    assert capsys.readouterr().err == ""


def test_a_listener_may_end_what_is_under_way_and_is_heard_of_no_more(capsys):
    def stop(name, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), told_to(stop), progress_bar("fuse", 3) as advance:
        advance()
        advance()
    with progress_bar("fuse", 2) as advance:
        advance(2)
    assert "fuse" in capsys.readouterr().err
