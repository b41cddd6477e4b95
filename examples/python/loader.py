"""PyTorch, tuned: a DataLoader whose workers and read-ahead change in mid-epoch.

The script declares nothing: the loader has its knobs, `torch.num_workers` and `torch.prefetch_factor`.
"""

from __future__ import annotations

import warnings

import torch
import workload

from dfoptimizer import Window, optimizer_context
from dfoptimizer.torch import LiveDataLoader


class Samples:
    """A dataset, as PyTorch wants one. Its copies in the workers share the link to the storage."""

    def __init__(self, storage: workload.Storage) -> None:
        self._storage = storage

    def __len__(self) -> int:
        return len(self._storage)

    def __getitem__(self, number: int) -> torch.Tensor:
        return torch.frombuffer(bytearray(self._storage.read(number)), dtype=torch.uint8)


def main() -> None:
    options = workload.arguments(__doc__, files=64, epochs=5, window=4)
    # They wait for storage most of the time: more workers than CPUs make sense.
    warnings.filterwarnings("ignore", "This DataLoader will create")
    context = optimizer_context(
        "training",
        zmq_plans_endpoint=options.plans_address,
        zmq_control_endpoint=options.control_address,
    )
    window = Window()
    window.update_cadence(options.window)
    with workload.Workload(options) as work:
        loader = LiveDataLoader(
            Samples(work.storage),
            batch_size=4,
            shuffle=True,
            num_workers=1,
            max_workers=8,
            persistent_workers=True,
        )
        for _ in range(options.epochs):
            for batch in work.measured(loader, window):
                work.compute(batch.numpy())
        context.stop()
        work.tell_outcome(context.status())


if __name__ == "__main__":
    main()
