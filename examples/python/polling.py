"""Tuned by polling: for loops that are no functions, and changes in mid-epoch.

One pool of threads reads all epochs. Between two windows the script asks for changes, makes them, and
says of each what became of it.
"""

from __future__ import annotations

import workload
from readers import Readers

from dfoptimizer import Function, Window, knob, optimizer_context

# A finding of one window may be chance, of two it is not.
BETWEEN_WINDOWS = {"apply_when": "window_boundary", "min_severity": 0.2, "min_persistence": 2}
KNOBS = {
    # As many as hide reading behind computing, by the numbers of the finding.
    "threads": knob(
        default=1,
        range=(1, 16),
        responds_to={"reader_parallelism": {**BETWEEN_WINDOWS, "step_mode": "evidence"}},
    ),
    "prefetch": knob(
        default=2,
        range=(1, 16),
        responds_to={"dataloader_prefetch": {**BETWEEN_WINDOWS, "step": 2}},
    ),
}


def take_changes(reading: Function, readers: Readers) -> None:
    """Makes the changes that have come. Costs next to nothing if there are none."""
    for change in reading.poll("window_boundary"):
        # Of the knob's type and within its range: else it would not be here.
        wanted = change.new_value
        try:
            if change.parameter == "threads":
                readers.set_threads(wanted)
            else:
                readers.set_prefetch(wanted)
        except RuntimeError as error:
            change.rejected(f"no more threads to be had: {error}")
        else:
            change.applied()


def main() -> None:
    options = workload.arguments(__doc__)
    context = optimizer_context(
        "reader",
        zmq_plans_endpoint=options.plans_address,
        zmq_control_endpoint=options.control_address,
    )
    reading = context.function("read_samples", KNOBS, {"threads": 1, "prefetch": 2})
    # Tells the context which window is open: answers carry it.
    window = Window()
    window.update_cadence(options.window)
    with workload.Workload(options) as work:
        numbers = [*range(options.files)] * options.epochs
        readers = Readers(work.storage.read, numbers, threads=1, prefetch=2)
        for _ in numbers:
            window.start()
            with work.fetching():
                sample = next(readers)
            work.compute([sample])
            if window.stop():
                work.end_window(window.window_index)
                take_changes(reading, readers)
        if window.flush():
            work.end_window(window.window_index)
        context.stop()
        work.tell_outcome(context.status())


if __name__ == "__main__":
    main()
