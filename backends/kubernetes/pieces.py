"""Reads the next piece of one pod's log from the API server; where it stands is :mod:`backends.kubernetes.logs`'s."""

from __future__ import annotations

from backends.kubernetes import client, errors, logs, names, views

READ_MAX = 8 * 2**20


def piece(
    talk: client.Client, pods_path: str, pod: views.Pod | None, place: logs.Place, limit: int
) -> tuple[bytes, logs.Place]:
    """Return what one pod has written after a place, and the new place. Raises BackendError."""
    if pod is None or (pod.running_since is None and pod.exit_code is None):
        return b"", place
    # Times make each line longer; a log of short lines comes in more pieces.
    read = place.skip + min(limit * 2 + logs.STAMP_MAX * 64, READ_MAX)
    query: dict[str, str | int] = {"container": names.CONTAINER, "timestamps": "true", "limitBytes": read}
    if place.since:
        query["sinceTime"] = place.since
    try:
        raw = talk.text(f"{pods_path}/{pod.name}/log", read, **query)
    except errors.StatusError as error:
        if error.status in (400, 404):  # not begun yet, or removed meanwhile
            return b"", place
        raise errors.of_status(error, f"read the log of pod {pod.name}", talk.hint) from error
    data, moved = logs.take(raw, place, limit)
    over = pod.exit_code is not None and not data and len(raw) < read
    return data, logs.Place(moved.second, moved.skip, moved.inside, over)
