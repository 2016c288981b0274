import pytest

from dmm.progress import progress_bar, progress_to


def test_a_listener_receives_the_progress_instead_of_a_bar(capsys):
    reports = []
    with progress_to(lambda *report: reports.append(report)), progress_bar("fuse", 3) as advance:
        advance()
        advance(2, note="ignored")
    assert reports == [("fuse", 0, 3), ("fuse", 1, 3), ("fuse", 3, 3)]
    assert capsys.readouterr().err == ""


def test_a_listener_may_stop_the_work_and_is_then_removed(capsys):
    def stop(name, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), progress_to(stop), progress_bar("fuse", 3) as advance:
        advance()
        advance()
    with progress_bar("fuse", 2) as advance:
        advance(2)
    assert "fuse" in capsys.readouterr().err
