"""The script of an attempt: fixed text, in which two literals hold everything that differs, as base64. Pure.

Nothing that a user wrote is ever part of a shell line: names, command, variables and files are decoded into arrays and
files, and handed on as arguments. What it writes into its folder is the contract with :mod:`backends.slurm.folders`.
"""

from __future__ import annotations

import base64
import io
import math
import posixpath
import re
import tarfile
from collections.abc import Callable, Mapping, Sequence

from backends.slurm import containers, errors, settings
from orchestrator.domain import errors as port_errors
from orchestrator.domain import jobs
from orchestrator.ports import backends

ENTRIES_MAX = 20_000
_WIDTH = 76
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]")
_ARGUMENT_BYTES_MAX = 120 * 1024
"""Linux takes 128 KiB in one argument or variable."""
_ARGUMENTS_BYTES_MAX = 1024 * 1024
"""Of all together; Linux takes 2 MiB, and Slurm has variables of its own."""

TEMPLATE = """\
#!/bin/bash
# An attempt of Comity. All that differs between attempts is data: decoded, never read as shell.
mapfile -d '' -t words < <(base64 -d <<'COMITY_WORDS'
@WORDS@
COMITY_WORDS
)
base=${words[0]} key=${words[1]} limit=${words[2]} grace=${words[3]} most=${words[4]} nodes=${words[5]} cpus=${words[6]}
outs=${words[7]} pairs=${words[8]} boxes=${words[9]}
outputs=("${words[@]:10:outs}") variables=("${words[@]:10+outs:pairs}") box=("${words[@]:10+outs+pairs:boxes}")
command=("${words[@]:10+outs+pairs+boxes}")
variables+=("MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))")
home=$base/$key rank=''
umask 007
finish() {
    printf '%s %s\\n' "$1" "$2" > "$home/.end" && sync -- "$home/.end" && mv -- "$home/.end" "$home/end"
    # To srun whoever was told to end did well: else it would kill the others before their grace is over.
    [ -z "$rank" ] || [[ $1 != @(told|late) ]] || exit 0
    exit "$2"
}
if [ "$1" = rank ]; then
    # One node of several: srun has started all of them, and what they share is in the attempt's folder.
    rank=$SLURM_PROCID
    read -r addresses < "$home/addresses" || exit 76
    variables+=("COMITY_NODE_RANK=$rank" "COMITY_NODE_ADDRS=$addresses" "MASTER_ADDR=${addresses%%,*}")
    home=$home/$rank
    mkdir -- "$home" || exit 75
else
    [ -e "$home.stopped" ] && exit 0
    # One of all that Slurm may ever start under this key: making the folder is the claim.
    mkdir -- "$home" || exit 75
    printf '%s %s %s %s\\n' "$SLURM_JOB_ID" "$limit" "$grace" "$nodes" > "$home/.job" || exit 76
    mv -- "$home/.job" "$home/job" || exit 76
    mkdir -- "$home/out" || finish folder 76
fi
[ -e "$base/$key.stopped" ] && finish stopped 143
gather() {
    # What was declared and lies in a working folder is left beside what was put where outputs belong.
    lacking=''
    for path in "${outputs[@]}"; do
        for work in "$@"; do
            [ -e "$home/out/$path" ] && continue 2
            if [ -e "$work/$path" ] && [ ! -L "$work/$path" ]; then
                mkdir -p -- "$home/out/./${path%"${path##*/}"}" && mv -- "$work/$path" "$home/out/$path" && continue 2
            fi
        done
        lacking=1
        printf '%s\\n' "$path" >> "$home/lacking"
    done
}
if [ "$nodes" != 1 ] && [ -z "$rank" ]; then
    told='' asked='' addresses='' works=()
    trap 'told=1' TERM
    [ "$SLURM_JOB_NUM_NODES" = "$nodes" ] || finish gang 71
    for node in $(scontrol show hostnames); do
        [[ " $(scontrol --oneliner show node "$node") " =~ ' NodeAddr='([A-Za-z0-9.:_-]+)' ' ]] || finish gang 71
        addresses+=${addresses:+,}${BASH_REMATCH[1]}
    done
    printf '%s\\n' "$addresses" > "$home/addresses" && cp -- "$0" "$home/script" || finish folder 76
    exec {ends}< <(
        srun --nodes="$nodes" --ntasks="$nodes" --ntasks-per-node=1 --cpus-per-task="$cpus" --mpi=none --input=none \\
            --output=none --error=none --kill-on-bad-exit=1 --chdir=/ /bin/bash "$home/script" rank 2> "$home/srun"
        echo "$?"
    )
    until read -r code <&"$ends"; do
        [ -n "$told" ] || break
        asked=1 told=''
    done
    first='' end='' begun='' ended=0
    for ((rank = 0; rank < nodes; rank++)); do
        works+=("$home/$rank/work")
        [ -e "$home/$rank/pid" ] && begun=1
        read -r word code < "$home/$rank/end" || continue
        ended=$((ended + 1))
        # What one says that ended by itself counts more than what that made of the others; of those, the first.
        case $word in
            late) value=4 ;;
            exited) [ "$code" = 0 ] && continue; value=3 ;;
            told) value=1 ;;
            *) value=2 ;;
        esac
        if [ -z "$end" ] || [ "$value" -gt "${end%% *}" ] ||
            { [ "$value" = "${end%% *}" ] && [ "$home/$rank/end" -ot "$first" ]; }; then
            end="$value $word $code" first=$home/$rank/end
        fi
    done
    gather "${works[@]}"
    read -r value word code <<< "$end"
    [ "${value:-0}" -gt 1 ] && finish "$word" "$code"
    [ -n "$told$asked$value" ] && finish told 143
    [ -z "$begun" ] && finish gang 71
    [ "$ended" = "$nodes" ] || finish lost 71
    [ -n "$lacking" ] && finish lacking 0
    finish exited 0
fi
mkdir -- "$home/work" && cd -- "$home/work" || finish folder 76
base64 -d <<'COMITY_TREE' | tar -xzf - || finish unpack 76
@TREE@
COMITY_TREE
[ "${PIPESTATUS[*]}" = '0 0' ] || finish unpack 76
if [ "$boxes" != 0 ]; then
    # The runtime itself gets none of the job's variables; inside, they have the names that they have here.
    given=("${variables[@]}") variables=("PATH=$PATH")
    for name in CUDA_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES; do
        [ -n "${!name}" ] && given+=("$name=${!name}")
    done
    for pair in "${given[@]}"; do
        variables+=("APPTAINERENV_$pair")
    done
    binds=(--bind "$home/work" --bind "$base/$key/out" --pwd "$home/work")
    command=("${box[@]:0:boxes-1}" "${binds[@]}" "${box[boxes-1]}" "${command[@]}")
fi
# Slurm's TERM reaches every process here: the job must see it, what serves the job must outlive it.
exec {log}> >(trap '' TERM; stdbuf -o0 head -c "$most" > "$home/log"; exec cat > /dev/null)
writer=$!
# What nobody ever writes into: to read from it is to sleep, without a process that could be left behind.
mkfifo -- "$home/.never" || finish folder 76
(: < "$home/.never") &
exec 8> "$home/.never" 7< "$home/.never"
rm -- "$home/.never"
told='' child='' clocks=()
end_soon() {
    told=1
    [ -n "$child" ] || return
    [ -r "$base/$key.stopped" ] && read -r given < "$base/$key.stopped" && [[ $given =~ ^[0-9]{1,9}$ ]] && grace=$given
    kill -TERM -- "-$child"
    {
        read -r -t "$grace" -u 7
        kill -KILL -- "-$child"
    } &
    clocks+=("$!")
}
trap end_soon TERM
exec {ends}< <(
    trap : TERM
    setsid env -- "${variables[@]}" /bin/sh -c 'echo "$$" >&3; exec "$@" 3>&-' comity "${command[@]}" \\
        < /dev/null 3>&1 >&"$log" 2>&1 {log}>&- 7<&- 8>&-
    echo "$?"
)
exec {log}>&-
until read -r child <&"$ends"; do
    [ -n "$told" ] || finish begin 71
    told=''
done
if [ "$limit" != 0 ]; then
    {
        read -r -t "$limit" -u 7
        : > "$home/late"
        kill -TERM -- "-$child"
        read -r -t "$grace" -u 7
        kill -KILL -- "-$child"
    } &
    clocks+=("$!")
fi
[ -e "$base/$key.stopped" ] && end_soon
if [ -n "$rank" ]; then
    : > "$home/pid"
    {
        until [ -e "$base/$key.stopped" ]; do read -r -t 1 -u 7; done
        kill -TERM "$$"
    } &
    clocks+=("$!")
fi
asked=$told told=''
until read -r code <&"$ends"; do
    [ -n "$told" ] || {
        code=137
        break
    }
    asked=1 told=''
done
[ -n "$told" ] && asked=1
kill -KILL -- "-$child" "${clocks[@]}"
wait "$writer"
[ -n "$rank" ] || gather "$home/work"
if [ -e "$home/late" ]; then
    finish late "$code"
elif [ -n "$asked" ]; then
    finish told "$code"
elif [ -n "$lacking" ] && [ "$code" = 0 ]; then
    finish lacking 0
fi
finish exited "$code"
"""


def render(
    placement: backends.SealedPlacement,
    folder: str,
    variables: Mapping[str, str],
    *,
    log_bytes_max: int,
    bytes_max: int,
    container: settings.Container | None = None,
) -> str:
    """Return the script. Raises PermanentError for what no process or script can hold.

    :param folder: in which the attempt makes its own.
    """
    box = containers.words(placement.spec, container)
    words = _words(placement, folder, variables, log_bytes_max, box)
    packed = tree(placement.spec.files, placement.workdir)
    made = TEMPLATE.replace("@WORDS@", _lines(b"".join(word + b"\0" for word in words)))
    made = made.replace("@TREE@", _lines(packed))
    if len(made) > bytes_max:
        text = f"the script with files and working folder has {len(made):,} bytes; this site takes {bytes_max:,}"
        raise errors.refused("files-too-large", f"{text} (scriptBytesMax): keep what is larger where its nodes see it")
    return made


def environment(placement: backends.SealedPlacement, wanted: settings.SlurmSettings) -> dict[str, str]:
    """Return the variables of the command. Weakest first."""
    accelerators = placement.spec.resources.accelerators
    own = {
        "COMITY_JOB_ID": str(placement.job),
        "COMITY_ATTEMPT": str(placement.number),
        "COMITY_NODES": str(placement.spec.nodes),
        "COMITY_GPUS_PER_NODE": str(accelerators.count if accelerators else 0),
        "COMITY_OUTPUT_DIR": f"{wanted.folder}/{placement.key}/out",
        **{f"COMITY_DATA_{_NOT_A_NAME.sub('_', name).upper()}": where for name, where in placement.data.items()},
    }
    if placement.spec.nodes == 1:  # of several, the script knows when Slurm has given them
        own |= {"COMITY_NODE_RANK": "0", "COMITY_NODE_ADDRS": "127.0.0.1", "MASTER_ADDR": "127.0.0.1"}
    if placement.spec.image is not None:  # where programs are is the image's to know
        return {**wanted.env, **dict(placement.spec.env), **own, **placement.environment}
    return {"PATH": wanted.path, **wanted.env, **dict(placement.spec.env), **own, **placement.environment}


def _words(
    placement: backends.SealedPlacement,
    folder: str,
    variables: Mapping[str, str],
    log_bytes_max: int,
    box: Sequence[str],
) -> Sequence[bytes]:
    command = placement.spec.command
    if not command and not box:
        raise errors.refused("invalid", "a job on Slurm needs a command or an image")
    if bad := sorted(name for name in variables if not _NAME.fullmatch(name)):
        raise errors.refused("invalid", f"{bad[0]!r} is no name of a variable")
    limit, outputs = placement.time_limit, [output(one.path) for one in placement.spec.outputs]
    resources, spec = placement.spec.resources, placement.spec
    own = [
        folder,
        str(placement.key),
        str(max(1, math.ceil(limit.total_seconds()))) if limit is not None else "0",
        str(max(0, math.ceil(placement.stop_grace.total_seconds()))),
        str(log_bytes_max),
        str(spec.nodes),
        str(cpus(resources)),
        str(len(outputs)),
        str(len(variables)),
        str(len(box)),
        *outputs,
    ]
    try:
        words = [*own, *(f"{name}={text}" for name, text in variables.items()), *box, *command]
        made = [word.encode() for word in words]
    except UnicodeEncodeError as error:
        raise errors.refused("invalid", "the command or a variable holds text that is not Unicode") from error
    if any(b"\0" in word for word in made):
        text = "the command or a variable holds a NUL character, which no process can be given"
        raise errors.refused("invalid", text)
    if max(map(len, made)) > _ARGUMENT_BYTES_MAX or sum(map(len, made)) > _ARGUMENTS_BYTES_MAX:
        raise errors.refused("invalid", f"command and variables are longer than {_ARGUMENT_BYTES_MAX} bytes each")
    return made


def cpus(resources: jobs.Resources) -> int:
    """Return the whole CPUs that a node of an attempt gets."""
    return max(1, math.ceil(resources.cpu_milli / 1000))


def output(path: str) -> str:
    """Return a declared output as a plain relative path. Raises PermanentError for one that leads out."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or not parts or ".." in parts:
        raise errors.refused("invalid", f"output {path[:200]!r} is not a path inside the working folder")
    return "/".join(parts)


def tree(files: Sequence[tuple[str, bytes]], archive: Callable[[], bytes] | None) -> bytes:
    """Return the working folder as one compressed tar archive. Raises PermanentError ``slurm.workdir-refused``."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=6, format=tarfile.GNU_FORMAT) as out:
        try:
            if archive is not None:
                _copy(archive(), out)
            for path, data in files:
                info = tarfile.TarInfo(_inside(path))
                info.size, info.mode = len(data), 0o660
                out.addfile(info, io.BytesIO(data))
        except (tarfile.TarError, EOFError, ValueError, KeyError, IndexError, UnicodeError) as error:
            raise _refused("it is not a plain tar archive, or is damaged") from error
    return made.getvalue()


def _copy(content: bytes, out: tarfile.TarFile) -> None:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for number, member in enumerate(tar):
            if number >= ENTRIES_MAX:
                raise _refused(f"it holds more than {ENTRIES_MAX} entries")
            if member.isdir() and member.name.strip("/") in ("", "."):
                continue
            info = tarfile.TarInfo(_inside(member.name))
            info.type, info.mode = member.type, 0o770 if member.isdir() or member.mode & 0o100 else 0o660
            if member.issym():
                _check_link(info.name, member.linkname)
                info.linkname = member.linkname
                out.addfile(info)
            elif member.isdir():
                out.addfile(info)
            elif member.isreg() and not member.issparse():
                info.type, info.size = tarfile.REGTYPE, member.size
                out.addfile(info, tar.extractfile(member))
            else:
                raise _refused(f"{member.name[:200]!r} is neither a plain file, a folder nor a symbolic link")


def _inside(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or not parts or ".." in parts or "\0" in path or len(path) > 1024:
        raise _refused(f"{path[:200]!r} is not the path of something inside the working folder")
    return "/".join(parts)


def _check_link(name: str, target: str) -> None:
    where = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if target.startswith("/") or "\0" in target or where == ".." or where.startswith("../"):
        raise _refused(f"the link {name!r} leads outside")


def _refused(why: str) -> port_errors.PermanentError:
    return errors.refused("workdir-refused", f"the working folder is refused: {why}")


def _lines(data: bytes) -> str:
    text = base64.b64encode(data).decode()
    return "\n".join(text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH))
