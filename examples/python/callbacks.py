"""Tuned with callbacks: as polling.py, but the package makes the changes and answers.

A callback runs on the thread that calls `apply`, when it calls it: so the script needs no locks for it.
"""

from __future__ import annotations

import workload
from polling import KNOBS
from readers import Readers

from dfoptimizer import Window, optimizer_context


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
        numbers = [*range(options.files)] * options.epochs
        readers = Readers(work.storage.read, numbers, threads=1, prefetch=2)
        reading = context.function("read_samples", KNOBS, {"threads": 1, "prefetch": 2})
        # One that raises rejects the plan, with the error as the reason.
        reading.on_change("threads", readers.set_threads)
        reading.on_change("prefetch", readers.set_prefetch)
        for sample in work.measured(readers, window):
            work.compute([sample])
            # After each sample: with nothing to do it costs next to nothing.
            reading.apply("window_boundary")
        context.stop()
        work.tell_outcome(context.status())


if __name__ == "__main__":
    main()
