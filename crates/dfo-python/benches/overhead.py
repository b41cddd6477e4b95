"""What the package costs a script in which nothing changes.

Calls are counted in empty calls into the module, ``dfoptimizer._native.nothing()``, which every extension
of this kind pays. What the loop around them costs is taken off; all are measured in turn, so that they meet
the same machine, and of the rounds the quickest counts. Nothing here passes or fails.

``--short`` only shows that it works.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

from dfoptimizer import OptimizerContext, _native, knob, optimizer_context, tunable
from dfoptimizer.types import ActionPlan

SPEC = knob(default=2, range=(1, 16), responds_to={"reader_parallelism": {"step": 2}})

#: What is measured: the body of a loop, by name.
BODIES = {
    "the loop": "pass",
    "an empty call": "nothing()",
    "plain": "plain(k=2)",
    "plain, by position": "plain(2)",
    "plain, by default": "plain()",
    "tunable": "tuned(k=2)",
    "tunable, by position": "tuned(2)",
    "tunable, a value kept": "kept()",
    "drain_actions_for": "drain('train', at='window_boundary')",
    "poll": "poll('window_boundary')",
}


def plain(k: int = 2) -> int:
    """The function, without anything around it."""
    return k


@tunable(knobs={"k": SPEC})
def tuned(k: int = 2) -> int:
    """The same, with a knob."""
    return k


@tunable(knobs={"k": SPEC}, keep=True)
def kept(k: int = 2) -> int:
    """The same, with a value in force that a plan has brought."""
    return k


def main() -> None:
    """Prints what each costs."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--short", action="store_true")
    short = arguments.parse_args().short
    with tempfile.TemporaryDirectory(prefix="dfo") as folder:
        context = connected(Path(folder))
        calls(context, count=1_000 if short else 200_000, rounds=3 if short else 15)
        context.stop()
    imports(rounds=3 if short else 41)


def connected(folder: Path) -> OptimizerContext:
    """A context that is as in a job: with both addresses, and knobs registered."""
    context = optimizer_context(
        "bench",
        zmq_plans_endpoint=f"ipc://{folder}/plans",
        zmq_control_endpoint=f"ipc://{folder}/control",
    )
    tuned(k=2)
    kept()
    plan = ActionPlan("1", "bench.k", "kept", 2, 5, "epoch_boundary", "", "", 0.5, "", 1)
    context.enqueue_action(plan)
    if [kept(), kept()] != [5, 5]:
        raise RuntimeError("the plan did not come to be in force")
    return context


def calls(context: OptimizerContext, count: int, rounds: int) -> None:
    """What calls cost."""
    names: Dict[str, Any] = {
        "nothing": _native.nothing,
        "plain": plain,
        "tuned": tuned,
        "kept": kept,
        "drain": context.drain_actions_for,
        "poll": context.function("loop", {"k": SPEC}).poll,
    }
    loops = {name: loop(body, names) for name, body in BODIES.items()}
    seconds: Dict[str, List[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, run in loops.items():
            begun = time.perf_counter()
            run(count)
            seconds[name].append((time.perf_counter() - begun) / count)
    around = min(seconds.pop("the loop"))
    cost = {name: min(times) - around for name, times in seconds.items()}
    print(f"a call with nothing to do, the quickest of {rounds} rounds, all in turn\n")
    for name, time_of_one in cost.items():
        print(f"{name:<28} {time_of_one * 1e9:>6.0f} ns")
    print("\nin empty calls")
    for what, above, aim in (
        ("tunable", "plain", 25),
        ("tunable, by position", "plain, by position", 25),
        ("tunable, a value kept", "plain, by default", 25),
        ("drain_actions_for", "", 6),
        ("poll", "", 6),
    ):
        ratio = (cost[what] - cost.get(above, 0.0)) / cost["an empty call"]
        title = f"{what} - {above}" if above else what
        print(f"{title:<44} {ratio:>6.1f}   (aim: at most {aim})")


def loop(body: str, names: Dict[str, Any]) -> Callable[[int], None]:
    """A function that runs this so often, with its names as locals: looking them up is no part of it."""
    variables = ", ".join(f"{name}={name}" for name in names)
    scope = dict(names)
    exec(f"def run(count, {variables}):\n    for _ in range(count):\n        {body}", scope)
    run: Callable[[int], None] = scope["run"]
    return run


def imports(rounds: int) -> None:
    """What importing adds to Python's own start."""
    scripts = {"nothing": "pass", "dfoptimizer": "import dfoptimizer"}
    seconds: Dict[str, List[float]] = {name: [] for name in scripts}
    for _ in range(rounds):
        for name, script in scripts.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", script], check=True)
            seconds[name].append(time.perf_counter() - begun)
    start, with_import = (statistics.median(times) * 1e3 for times in seconds.values())
    print(f"\na start of Python, the median of {rounds} rounds, both in turn\n")
    print(f"python -c pass               {start:>6.1f} ms")
    print(f"python -c 'import dfoptimizer' {with_import:>4.1f} ms")
    print(f"the import adds {with_import - start:>19.1f} ms   (aim: at most 30 ms)")
    print(f"with it / without {with_import / start:>18.2f}")


if __name__ == "__main__":
    main()
