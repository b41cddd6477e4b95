#!/usr/bin/env bash
# The whole loop on one machine: the program, a stand-in for the diagnoser, `dfo serve zmq`.
#
#   run.sh              one tuned run, with what the optimizer said
#   run.sh --short      a small one; fails if the optimizer changed nothing
#   run.sh --compare    five runs each of control, tuned and dry run, in turn; medians and ratios
#
# What follows `--` goes to the program: run.sh -- --compute-ms 2 --samples 400
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../whole-loop.sh
source "$(dirname "${BASH_SOURCE[0]}")/../whole-loop.sh"
read_arguments "$@"
build
program=("$bin/tuned-reader")
# Small, but long enough that a change that comes late still comes in time.
short=(--samples 600 --files 8 --file-kib 16 --read-latency-ms 10 --compute-ms 1)
loop
