"""Tuned with a decorator: plans take the place of the arguments of a function.

The function makes the reader of an epoch. With `keep`, a plan's values hold for later epochs too.
"""

from __future__ import annotations

import workload
from readers import Readers

from dfoptimizer import Window, knob, optimizer_context, tunable


@tunable(
    knobs={
        # As many as hide reading behind computing, by the numbers of the finding.
        "threads": knob(
            default=1,
            range=(1, 16),
            responds_to={"reader_parallelism": {"step_mode": "evidence", "min_severity": 0.2}},
        ),
        "prefetch": knob(
            default=2,
            range=(1, 16),
            responds_to={"dataloader_prefetch": {"step": 2, "min_severity": 0.2}},
        ),
    },
    keep=True,
)
def make_reader(storage: workload.Storage, threads: int = 1, prefetch: int = 2) -> Readers:
    return Readers(storage.read, range(len(storage)), threads, prefetch)


def main() -> None:
    options = workload.arguments(__doc__)
    context = optimizer_context(
        "reader",
        zmq_plans_endpoint=options.plans_address,
        zmq_control_endpoint=options.control_address,
    )
    window = Window()
    window.update_cadence(options.window)
    with workload.Workload(options) as work:
        for _ in range(options.epochs):
            # Here the knobs are registered, the first time, and changes are taken.
            reader = make_reader(work.storage)
            for sample in work.measured(reader, window):
                work.compute([sample])
        context.stop()
        work.tell_outcome(context.status())


if __name__ == "__main__":
    main()
