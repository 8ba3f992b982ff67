"""`accelbench report` as a command."""


def test_the_command_prints_the_pages_path_last(accelbench, rehearsal, tmp_path):
    """With the exit code 0, as a report tells and does not judge."""
    ended = accelbench("report", str(rehearsal), "--out", "page")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == "page/index.html"
    assert (tmp_path / "page/index.html").is_file()


def test_a_file_in_place_of_the_report_is_refused(accelbench_here, rehearsal, tmp_path):
    """One line, exit code 2."""
    (tmp_path / "taken").write_text("")
    ended = accelbench_here("report", str(rehearsal), "--out", "taken")
    assert ended.code == 2
    assert "cannot write there" in ended.complaint()
