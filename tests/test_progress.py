import pytest

from sarwater.progress import step, track


def test_items_pass_through_and_nothing_is_drawn_where_nobody_looks(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert list(track((n * n for n in range(4)), "squares", 4)) == [0, 1, 4, 9]
    with step("reading", total=3, completed=1) as bar:
        bar.advance(2, note="half [of] it")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.usefixtures("terminal")
def test_a_terminal_sees_description_count_and_note_on_standard_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with step("mapping", total=7, completed=2) as bar:
        bar.advance(3, note="loss 0.25")
    out, err = capfd.readouterr()
    assert out == ""
    for text in ("mapping", "5/7", "loss 0.25"):
        assert text in err


@pytest.mark.usefixtures("terminal")
def test_a_loop_that_is_left_early_clears_up_and_errors_pass(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for item in track(range(10), "reading chips", 10):
        if item == 3:
            break
    with pytest.raises(KeyError), step("failing", total=2):
        raise KeyError("x")
    assert list(track([1], "again", 1)) == [1]
    assert "1/1" in capfd.readouterr().err
