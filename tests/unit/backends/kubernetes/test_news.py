"""What changed since a cursor."""

from backends.kubernetes import news


def test_only_what_changed_since_is_named():
    """A key is named once however often it changed, from any cursor before its last change, and not after it."""
    found = news.News()
    start = found.since(None)
    assert start.keys is None
    found.add("a")
    middle = found.since(start.cursor)
    found.add("b")
    found.add("a")
    assert middle.keys == {"a"}
    assert found.since(start.cursor).keys == {"a", "b"}
    end = found.since(middle.cursor)
    assert end.keys == {"a", "b"}
    assert found.since(end.cursor).keys == frozenset()


def test_a_cursor_that_is_not_its_own_or_too_old_tells_of_everything():
    """Another object's cursor, one that is none, one of the future, and one before what is remembered name no keys."""
    found, other = news.News(keys_max=2), news.News()
    start = found.since(None).cursor
    other.add("x")
    mark = start.partition(":")[0]
    for cursor in (other.since(None).cursor, "", ":", f"{mark}:x", f"{mark}:99", f"{mark}:-1", "x" * 600):
        assert found.since(cursor).keys is None
    found.add("a")
    found.add("b")
    assert found.since(start).keys == {"a", "b"}
    found.add("c")
    assert found.since(start).keys is None
    assert found.since(f"{mark}:1").keys == {"b", "c"}
