"""What a container runs: the job's command once, and what became of it written to the store. Pure.

A service of Akash is started again whenever it ends, also in another container, and nobody is told how. So the command
runs under a shell that first looks whether the attempt has begun before: then it runs nothing and says so. When the
command has ended it writes the exit code, and sleeps until the deployment is closed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

SHELL = "/bin/sh"
BEGAN, ENDED, AGAIN = "began", "ended", "again"
"""Names of the objects of an attempt, below its key."""
NEVER = b'{"v": 1, "by": "nobody"}'
"""The claim of who gave an attempt up: no container of it begins any more."""

SCRIPT = r"""
if command -v curl >/dev/null 2>&1; then
  look() { curl -s -o /dev/null -w '%{http_code}' --max-time 30 "$1"; }
  tell() { printf %s "$2" | curl -s -o /dev/null -w '%{http_code}' --max-time 30 -X PUT --data-binary @- "$1"; }
  claim() {
    printf %s "$2" |
      curl -s -o /dev/null -w '%{http_code}' --max-time 30 -X PUT -H 'If-None-Match: *' --data-binary @- "$1"
  }
  text() { curl -s --max-time 30 "$1"; }
elif command -v python3 >/dev/null 2>&1; then
  ask='
import sys, urllib.error, urllib.request
wanted = urllib.request.Request(sys.argv[1], sys.argv[2].encode() if len(sys.argv) > 2 and sys.argv[2] else None)
wanted.method = "PUT" if len(sys.argv) > 2 and sys.argv[2] else "GET"
if sys.argv[3:] == ["claim"]:
    wanted.add_header("If-None-Match", "*")
try:
    found = urllib.request.urlopen(wanted, timeout=30)
    print(found.read().decode() if sys.argv[3:] == ["text"] else found.status)
except urllib.error.HTTPError as error:
    print(error.code)
except Exception:
    print(0)
'
  look() { python3 -c "$ask" "$1"; }
  tell() { python3 -c "$ask" "$1" "$2"; }
  claim() { python3 -c "$ask" "$1" "$2" claim; }
  text() { python3 -c "$ask" "$1" "" text; }
else
  echo 'comity: this image has neither curl nor python3' >&2
  sleep 60
  exit 127
fi
always() {
  for pause in 1 2 4 8 16 32 60 60 60 60 60 60; do
    case $("$@") in 200) return 0;; 404) test "$1" = look && return 4;; 412) return 4;; esac
    sleep "$pause"
  done
  return 1
}
rest() { while :; do sleep 3600; done; }
always look "$COMITY_MARK_LOOK"
case $? in
  0) always tell "$COMITY_MARK_AGAIN" '{"v": 1}'; rest;;
  4) ;;
  *) exit 1;;
esac
# Of two containers at one moment the store lets one begin. Whose claim it was says its text: an answer may be lost.
read -r who </proc/sys/kernel/random/uuid || exit 1
own="{\"v\": 1, \"by\": \"$who\"}"
always claim "$COMITY_MARK_BEGAN" "$own"
case $? in
  0) ;;
  4) test "$(text "$COMITY_MARK_LOOK")" = "$own" || { always tell "$COMITY_MARK_AGAIN" '{"v": 1}'; rest; };;
  *) exit 1;;
esac
ended=$COMITY_MARK_ENDED limit=$COMITY_MARK_SECONDS begin=$(date +%s)
unset COMITY_MARK_LOOK COMITY_MARK_AGAIN COMITY_MARK_BEGAN COMITY_MARK_ENDED COMITY_MARK_SECONDS
(
  unset ended
  exec "$@"
) &
child=$!
( sleep "$limit"; kill -TERM "$child"; sleep 10; kill -KILL "$child" ) >/dev/null 2>&1 &
watch=$!
wait "$child"
code=$?
late=false
test $(($(date +%s) - begin)) -lt "$limit" || late=true
kill "$watch" 2>/dev/null
always tell "$ended" "{\"v\": 1, \"code\": $code, \"late\": $late}"
rest
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """What the end mark says. ``late``: it had run for as long as it may, and was ended."""

    code: int
    late: bool


def command(words: tuple[str, ...]) -> list[str]:
    """Return what the container is told to run; no word of the job is part of a shell line."""
    return [SHELL, "-c", SCRIPT, "comity", *words]


def environment(addresses: Mapping[str, str], seconds: int) -> dict[str, str]:
    """Return the variables of the wrapper, which the command does not see.

    :param addresses: ``look``, ``began``, ``again`` and ``ended``: where each is done.
    :param seconds: the longest run.
    """
    made = {f"COMITY_MARK_{name.upper()}": address for name, address in addresses.items()}
    return made | {"COMITY_MARK_SECONDS": str(seconds)}


def ended(raw: bytes) -> Ended | None:
    """Return what an end mark says; None where it cannot be read."""
    try:
        found = json.loads(raw)
        code, late = found["code"], found["late"]
        if found["v"] != 1 or type(code) is not int or not 0 <= code <= 255 or type(late) is not bool:
            return None
        return Ended(code, late)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
