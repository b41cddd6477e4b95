#!/usr/bin/env bash
# The whole loop on one machine: a script, a stand-in for the diagnoser, `dfo serve zmq`.
#
#   run.sh SCRIPT              one tuned run, with what the optimizer said
#   run.sh SCRIPT --short      a small one; fails if the optimizer changed nothing
#   run.sh SCRIPT --compare    five runs each of control, tuned and dry run, in turn; medians, ratios
#
# SCRIPT is decorator, polling, callbacks or loader, which needs PyTorch. What follows `--` goes to it:
# run.sh polling -- --compute-ms 2. DFO_PYTHON is the Python to use; without it, python3. If it has no
# package dfoptimizer, that of this folder is built and used, and nothing is installed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../whole-loop.sh
source "$here/../whole-loop.sh"
python=${DFO_PYTHON:-python3}
script=${1:-}
case $script in
    decorator | polling | callbacks)
        needs=sys
        short=(--epochs 75 --files 8 --file-kib 16 --read-latency-ms 10 --compute-ms 1)
        ;;
    loader)
        needs=torch
        short=(--epochs 8 --file-kib 16 --compute-ms 1)
        ;;
    --help | -h)
        usage
        exit
        ;;
    *)
        echo "run.sh: ${script:-SCRIPT} is to be decorator, polling, callbacks or loader" >&2
        usage >&2
        exit 2
        ;;
esac
shift
read_arguments "$@"

"$python" -c "import sys; sys.exit(sys.version_info < (3, 9))" ||
    fail "$python is not Python 3.9 or later; DFO_PYTHON can name another one"
"$python" -c "import $needs" ||
    fail "$python cannot import what $script needs; DFO_PYTHON can name another one"
if "$python" -c "import dfoptimizer" 2>/dev/null; then
    build
else
    # As an installed package looks: its Python files, and beside them what is compiled.
    build dfo-python
    package=$scratch/packages/dfoptimizer
    cp -R "$root/crates/dfo-python/python" "$scratch/packages"
    cp "$bin/libdfoptimizer_native.so" "$package/_native.abi3.so"
    export PYTHONPATH=$scratch/packages${PYTHONPATH:+:$PYTHONPATH}
fi
# Its own files are not to be left beside the sources.
export PYTHONDONTWRITEBYTECODE=1
program=("$python" "$here/$script.py")
loop
