"""Strings that are to be sorted."""

import pytest

from accelbench.suites.workloads.data.sorting import Sorting, answer, of_test


def test_no_string_is_in_both_parts():
    """Whatever they are drawn from, a string of the one part is never one of the other."""
    task = Sorting(2, 3)
    train = {text for seed in range(3) for text in task.strings(2000, seed, test=False)}
    test = {text for seed in range(3) for text in task.strings(500, seed, test=True)}
    assert not train & test
    assert all(map(of_test, test))


def test_an_eighth_of_all_strings_is_for_the_test():
    """The part that a string is of is as good as drawn."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    pairs = [a + b for a in letters for b in letters if a != b]
    assert 0.1 < sum(map(of_test, pairs)) / len(pairs) < 0.15


def test_strings_have_different_letters_and_all_lengths():
    """No letter twice, from the shortest to the longest."""
    drawn = Sorting(4, 10).strings(500, 0, test=False)
    assert {len(text) for text in drawn} == set(range(4, 11))
    assert all(len(set(text)) == len(text) for text in drawn)


def test_the_first_strings_do_not_depend_on_how_many_are_drawn():
    """Neither do they change from call to call; another seed has others."""
    task = Sorting(4, 10)
    assert task.strings(50, 1, test=True)[:20] == task.strings(20, 1, test=True)
    assert task.strings(20, 1, test=True) != task.strings(20, 2, test=True)


def test_the_answer_has_the_same_letters_in_order():
    """That is the whole task."""
    assert answer("qvyd") == "dqvy"


@pytest.mark.parametrize("lengths", [(1, 4), (5, 4), (4, 27)])
def test_lengths_that_no_string_can_have_are_refused(lengths):
    """There are 26 different letters, and one alone is sorted."""
    with pytest.raises(ValueError, match="lengths lie between 2 and 26"):
        Sorting(*lengths)
