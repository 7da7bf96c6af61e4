"""Lists of words of one kind each."""

from hblib import worlds


def test_lists_are_long_enough_and_without_repetition():
    lists = worlds.word_lists()
    assert len(lists) == 38
    for name, words in lists.items():
        assert 12 <= len(words) == len(set(words)) <= 18, name
        assert all(word.isalpha() for word in words), name


def test_the_lists_cannot_be_changed_from_outside():
    worlds.word_lists()["time"].clear()
    assert worlds.word_lists()["time"][0] == "second"
