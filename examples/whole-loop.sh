# shellcheck shell=bash
# The whole loop on one machine: a program, a stand-in for the diagnoser, `dfo serve zmq`. For the run.sh
# of an example, which sources this and then says:
#
#   program           the command of the program, an array; it takes --measurements, --plans-address,
#                     --control-address, --json, and tells its outcome as tuned-reader does
#   short             what makes it a small run, an array
#   build [PACKAGE …] builds what is needed, and these packages
#   loop              does what `mode` says, as read by read_arguments

mode=one
more=()

# Reads what stands behind the script's name: a mode, and after `--` what goes to the program.
read_arguments() {
    case "${1:-}" in
        --short) mode=short; shift ;;
        --compare) mode=compare; shift ;;
        --help | -h) usage; exit ;;
    esac
    if [[ "${1:-}" == -- ]]; then
        shift
    elif (($#)); then
        echo "run.sh: unknown argument: $1" >&2
        usage >&2
        exit 2
    fi
    more=("$@")
}

# The comment at the top of the script.
usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
}

# Everything that was started ends with the script, however it ends.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=$(mktemp -d)
# The program's files go there too: one that is killed leaves them behind.
export TMPDIR=$scratch
running=()
clean_up() {
    for pid in "${running[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in "${running[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() {
    echo "run.sh: FAILED: $1" >&2
    if [[ -s "${log:-}" ]]; then
        echo "the optimizer said:" >&2
        cat "$log" >&2
    fi
    exit 1
}

build() {
    local packages=(--package tuned-reader) package
    for package; do
        packages+=(--package "$package")
    done
    (cd "$root" && cargo build --quiet --release --package dfo-cli --features dfo-cli/zmq "${packages[@]}")
    bin=$(cd "$root" && cargo metadata --format-version 1 --no-deps |
        sed -E 's/.*"target_directory":"([^"]*)".*/\1/')/release
}

# Waits for a condition, up to 20 s.
within_reason() {
    local tries=400
    until "$@"; do
        ((tries-- > 0)) || return 1
        sleep 0.05
    done
}
is_listening() {
    kill -0 "$1" 2>/dev/null || fail "a program ended before its time"
    shift
    local socket
    for socket; do
        [[ -S "$socket" ]] || return 1
    done
}
has_ended() {
    ! kill -0 "$1" 2>/dev/null
}

# Starts a program, by its name for messages, and remembers it in `last`.
start() {
    "$@" &
    last=$!
    running+=("$last")
}
forget_all() {
    running=()
}

# The program alone, as it would run without an optimizer.
control() {
    start "${program[@]}" "$@" "${more[@]}"
    wait "$last" || fail "the program ended with an error"
    forget_all
}

# The whole loop: tuned [options of dfo serve] -- [options of the program].
tuned() {
    local for_service=() here service diagnoser
    while [[ "$1" != -- ]]; do
        for_service+=("$1")
        shift
    done
    shift
    # Sockets with a name of their own need no free port.
    here=$(mktemp -d "$scratch/XXXX")
    log=$here/optimizer.log

    mkfifo "$here/measurements"
    start "$bin/stand-in-diagnoser" --address "ipc://$here/findings" \
        --measurements "$here/measurements" >"$here/diagnoser.log"
    diagnoser=$last
    start "$bin/dfo" serve zmq --address "ipc://$here/findings" \
        --plans-address "ipc://$here/plans" --control-address "ipc://$here/control" \
        "${for_service[@]}" 2>"$log"
    service=$last
    within_reason is_listening "$service" "$here/plans" "$here/control" ||
        fail "the optimizer does not listen"
    within_reason is_listening "$diagnoser" "$here/findings" ||
        fail "the stand-in for the diagnoser does not listen"

    start "${program[@]}" --measurements "$here/measurements" \
        --plans-address "ipc://$here/plans" --control-address "ipc://$here/control" \
        "$@" "${more[@]}"
    wait "$last" || fail "the program ended with an error"
    wait "$diagnoser" || fail "the stand-in for the diagnoser ended with an error"
    # The end of the findings ends the service.
    within_reason has_ended "$service" || fail "the optimizer does not end"
    wait "$service" || fail "the optimizer ended with an error"
    forget_all
}

# A number in the program's outcome in JSON.
number() {
    sed -E "s/.*\"$1\":([0-9.]+).*/\1/"
}
median() {
    sort -n | sed -n 3p
}
ratio() {
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'
}

conditions() {
    local told
    told=$(cat)
    printf 'each read waits %s ms, all share %s MiB/s (0: no limit); computes %s ms; %s samples\n' \
        "$(number latency_ms <<<"$told")" "$(number bandwidth_mib <<<"$told")" \
        "$(number compute_ms <<<"$told")" "$(number samples <<<"$told")"
    echo "samples/s      control    tuned  dry run"
}

compare() {
    local run kind
    for run in 1 2 3 4 5; do
        control --json >"$scratch/outcome"
        ((run > 1)) || conditions <"$scratch/outcome"
        number samples_per_s <"$scratch/outcome" >>"$scratch/control"
        tuned -- --json >"$scratch/outcome"
        number samples_per_s <"$scratch/outcome" >>"$scratch/tuned"
        tuned --dry-run -- --json >"$scratch/outcome"
        number samples_per_s <"$scratch/outcome" >>"$scratch/dry"
        printf 'run %d       %8.1f %8.1f %8.1f\n' "$run" \
            "$(tail -n 1 "$scratch/control")" "$(tail -n 1 "$scratch/tuned")" \
            "$(tail -n 1 "$scratch/dry")"
    done
    for kind in control tuned dry; do
        median <"$scratch/$kind" >"$scratch/median-$kind"
    done
    local control tuned dry
    control=$(<"$scratch/median-control")
    tuned=$(<"$scratch/median-tuned")
    dry=$(<"$scratch/median-dry")
    printf 'median      %8.1f %8.1f %8.1f\n' "$control" "$tuned" "$dry"
    echo "tuned / control: $(ratio "$tuned" "$control") (to be: at least 1.5)"
    echo "control / dry run: $(ratio "$control" "$dry") (to be: at most 1.05)"
    awk -v c="$control" -v t="$tuned" -v d="$dry" 'BEGIN { exit !(t >= 1.5 * c && c <= 1.05 * d) }' ||
        fail "the example does not gain what it should"
}

loop() {
    case $mode in
        one)
            tuned --
            echo
            echo "the optimizer said:"
            cat "$log"
            ;;
        short)
            tuned -- --json "${short[@]}" >"$scratch/outcome"
            cat "$scratch/outcome"
            (($(number applied <"$scratch/outcome") > 0)) || fail "the optimizer changed nothing"
            ;;
        compare)
            compare
            ;;
    esac
}
