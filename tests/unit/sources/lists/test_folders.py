"""The folder of lists: pinned under digests, the last good copy kept, nothing taken over half."""

import datetime as dt
import json
import pathlib

import pytest

from orchestrator.domain import listings
from orchestrator.sources.lists import base, catalogue, folders, snapshots

DATA = pathlib.Path(__file__).parent / "data"
NOW = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)


def take(state, list_="us-sdn", name="us-sdn.xml", change=None, **more):
    raw = (DATA / name).read_bytes()
    if change is not None:
        assert change[0] in raw
        raw = raw.replace(*change)
    return folders.take(state, list_, raw, name, **({"now": NOW, "by": "me"} | more))


def stored(state, snapshot):
    return state / "lists" / snapshot.list / f"{snapshot.digest.removeprefix('sha256:')}.json"


def spoil(path):
    path.write_bytes(path.read_bytes().replace(b"NORDKAP", b"NORDKIP"))


def newer(state, **more):
    return take(state, change=(b"11/20/2026", b"11/21/2026"), **more)


def test_what_is_taken_is_in_force(tmp_path):
    """Read, pinned, and read back as it was."""
    made = take(tmp_path)
    loaded = folders.load(tmp_path)
    assert loaded == listings.Loaded((made,))
    assert (made.as_of, made.fresh_to) == (dt.date(2026, 11, 20), dt.date(2026, 11, 27))
    assert loaded.configured


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.iterdir()))
def test_every_list_comes_back_as_it_was_read(tmp_path, name):
    """Each entry, field by field; the same file has the same digest."""
    as_of = dt.date(2026, 11, 22) if name == "us-csl.csv" else None
    made = take(tmp_path, name.partition(".")[0], name, as_of=as_of)
    parsed = catalogue.read(name.partition(".")[0], (DATA / name).read_bytes(), name)[1]
    assert made.entries == parsed.entries
    assert take(tmp_path, name.partition(".")[0], name, as_of=as_of).digest == made.digest


def test_no_folder_is_no_list(tmp_path):
    """Nothing is configured, and nothing is made by looking."""
    assert folders.load(tmp_path / "nowhere") == listings.Loaded()
    assert not (tmp_path / "nowhere").exists()


def test_files_are_for_their_owner_only(tmp_path):
    """Lists say whom we looked at, pins say what is in force."""
    made = take(tmp_path / "state")
    for path in (tmp_path / "state", tmp_path / "state" / "lists", stored(tmp_path / "state", made)):
        assert path.stat().st_mode & 0o077 == 0


def test_the_last_good_copy_in_memory_is_kept(tmp_path):
    """A snapshot that does not match its pin is named, and what was in force stays in force."""
    first = take(tmp_path)
    known = folders.load(tmp_path)
    second = newer(tmp_path)
    spoil(stored(tmp_path, second))
    loaded = folders.load(tmp_path, known)
    assert loaded.snapshots == (first,)
    (problem,) = loaded.problems
    assert (problem.list, problem.kept) == ("us-sdn", True)
    assert "its digest is" in problem.text
    assert "import the list again" in problem.text


def test_memory_counts_where_no_file_is_good(tmp_path):
    """Also the copy before is spoiled: what was in force is still known."""
    first = take(tmp_path)
    known = folders.load(tmp_path)
    for one in (first, newer(tmp_path)):
        spoil(stored(tmp_path, one))
    assert folders.load(tmp_path, known).snapshots == (first,)
    assert folders.load(tmp_path).missing == ("us-sdn",)


def test_after_a_restart_the_copy_before_is_taken(tmp_path):
    """Without memory the copy pinned before counts, with the age it has."""
    first = take(tmp_path)
    spoil(stored(tmp_path, newer(tmp_path)))
    loaded = folders.load(tmp_path)
    assert (loaded.snapshots, loaded.missing, loaded.problems[0].kept) == ((first,), (), True)


def test_a_list_without_any_good_copy_is_missing(tmp_path):
    """It is configured, and nobody knows what it says: whoever needs it is refused."""
    spoil(stored(tmp_path, take(tmp_path)))
    loaded = folders.load(tmp_path)
    assert (loaded.snapshots, loaded.missing, loaded.problems[0].kept) == ((), ("us-sdn",), False)
    assert loaded.configured


def test_a_snapshot_of_another_list_is_refused(tmp_path):
    """A pin leads to a copy of its own list only."""
    made, other = take(tmp_path), take(tmp_path, "un-sc", "un-sc.xml")
    stored(tmp_path, made).with_name(stored(tmp_path, other).name).write_bytes(stored(tmp_path, other).read_bytes())
    pins = json.loads((tmp_path / "lists" / "pins.json").read_bytes())
    pins["us-sdn"]["digest"] = other.digest
    (tmp_path / "lists" / "pins.json").write_text(json.dumps(pins))
    loaded = folders.load(tmp_path)
    assert loaded.missing == ("us-sdn",)
    assert "it is a snapshot of un-sc" in loaded.problems[0].text


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"us-sdn": {}}', '{"us-xyz": {"digest": "sha256:00", "previous": null, "by": "", "at": ""}}',
     '{"us-sdn": {"digest": "../../x", "previous": null, "by": "m", "at": "2026-11-22"}}', "\0", "[" * 100_000],
)  # fmt: skip
def test_pins_that_cannot_be_read_open_nothing(tmp_path, text):
    """Nobody knows which lists are in force: those in memory stay, and without any everything is refused."""
    first = take(tmp_path)
    known = folders.load(tmp_path)
    (tmp_path / "lists" / "pins.json").write_text(text)
    assert folders.load(tmp_path).missing == (folders.UNREADABLE,)
    kept = folders.load(tmp_path, known)
    assert (kept.snapshots, kept.missing, kept.problems[0].kept) == ((first,), (), True)


def test_an_older_or_much_shorter_copy_is_not_taken(tmp_path):
    """Unless somebody says so: a list that shrank is likelier cut off than shortened."""
    in_force = newer(tmp_path)
    with pytest.raises(folders.FolderError, match="of 2026-11-20, and the copy in force is of 2026-11-21"):
        take(tmp_path)
    raw = (DATA / "us-sdn.xml").read_bytes()
    short = raw[: raw.index(b"<sdnEntry>", raw.index(b"<sdnEntry>") + 1)] + b"</sdnList>"
    short = short.replace(b"<Record_Count>4<", b"<Record_Count>1<").replace(b"11/20/2026", b"11/22/2026")
    with pytest.raises(folders.FolderError, match="1 entries, and the copy in force has 4"):
        folders.take(tmp_path, "us-sdn", short, "f", now=NOW, by="me")
    assert folders.load(tmp_path).snapshots == (in_force,)
    assert take(tmp_path, anyway=True).as_of == dt.date(2026, 11, 20)


def test_a_spoiled_file_changes_nothing(tmp_path):
    """What is refused leaves what is in force."""
    made = take(tmp_path)
    with pytest.raises(base.ListError):
        take(tmp_path, change=(b"<Record_Count>4<", b"<Record_Count>9<"))
    assert folders.load(tmp_path).snapshots == (made,)


def test_days(tmp_path):
    """The file's own day counts; a later one may be stated, not an earlier one, and none of tomorrow."""
    assert take(tmp_path, as_of=dt.date(2026, 11, 22)).as_of == dt.date(2026, 11, 22)
    with pytest.raises(base.ListError, match="it was published on 2026-11-20, after 2026-11-19"):
        take(tmp_path, as_of=dt.date(2026, 11, 19))
    with pytest.raises(base.ListError, match="it is dated 2026-11-24, and today is 2026-11-22"):
        take(tmp_path, as_of=dt.date(2026, 11, 24))
    with pytest.raises(base.ListError, match="the file does not state its day; say with --as-of"):
        take(tmp_path, "us-csl", "us-csl.csv")
    with pytest.raises(folders.FolderError, match="an age limit of 91 days"):
        take(tmp_path, age_days_max=91)


def test_a_publisher_east_of_us_is_not_ahead(tmp_path):
    """A file dated tomorrow, as in Asia, counts from today."""
    assert take(tmp_path, change=(b"11/20/2026", b"11/23/2026")).as_of == dt.date(2026, 11, 22)


def test_only_the_copy_in_force_and_the_one_before_are_kept(tmp_path):
    """The folder does not grow."""
    for day in (b"11/18/2026", b"11/19/2026", b"11/20/2026", b"11/21/2026"):
        take(tmp_path, change=(b"11/20/2026", day))
    assert len(list((tmp_path / "lists" / "us-sdn").glob("*.json"))) == 2


def test_a_snapshot_of_another_version_is_refused(tmp_path):
    """What this version does not know it does not guess."""
    body = snapshots.encode(take(tmp_path))[1].replace(b"list-snapshot/v1", b"list-snapshot/v9")
    with pytest.raises(snapshots.SnapshotError, match="of version"):
        snapshots.decode(body, base.canonical.digest_of_bytes(body))


def test_the_digest_covers_every_field(tmp_path):
    """Another day, age limit or entry is another snapshot."""
    made = take(tmp_path)
    digests = {
        made.digest,
        take(tmp_path, age_days_max=8).digest,
        newer(tmp_path).digest,
        take(tmp_path, change=(b"AO NORDKAP", b"OAO NORDKAP"), anyway=True).digest,
        take(tmp_path, change=(b"Invented remark.", b"Another remark."), anyway=True).digest,
    }
    assert len(digests) == 5
