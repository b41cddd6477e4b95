"""LiveDataLoader: every sample once and in order, whatever changes and whenever it does.

The measure is a plain ``DataLoader`` with the same arguments. Needs PyTorch; without it the tests
are skipped, and fail where ``DFO_NO_SKIP`` is set.
"""

from __future__ import annotations

import errno
import gc
import itertools
import json
import logging
import multiprocessing
import multiprocessing.context
import os
import random
import subprocess
import sys
import warnings
import weakref
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import pytest

from dfoptimizer import KnobsRefused, OptimizerContext, optimizer_context
from dfoptimizer.runtime.knob import knob_def_to_wire
from dfoptimizer.types import ActionPlan

try:
    import torch
except ImportError as error:
    if os.environ.get("DFO_NO_SKIP"):
        raise
    pytest.skip(f"needs PyTorch ({error})", allow_module_level=True)

from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
)
from torch.utils.data.distributed import DistributedSampler

from dfoptimizer.torch import LiveDataLoader

if TYPE_CHECKING:
    from conftest import Optimizer

#: Seconds after which what should have happened will not.
DEADLINE = 60.0

pytestmark = pytest.mark.filterwarnings(
    # More workers than this machine has CPUs, and memory pinned without an accelerator.
    "ignore:This DataLoader will create:UserWarning",
    "ignore:'pin_memory' argument is set:UserWarning",
)


class Samples(torch.utils.data.Dataset):
    """So many samples, each its own number."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return index


class Readers(Samples):
    """Each sample with the process that read it."""

    def __getitem__(self, index: int) -> Any:
        return index, os.getpid()


class Augmented(Samples):
    """Each sample with a random number, as augmentations draw them."""

    def __getitem__(self, index: int) -> Any:
        return index, int(torch.randint(2**62, ()).item())


class Spoiled(Samples):
    """Some samples cannot be read."""

    def __init__(self, count: int, spoiled: Sequence[int], error: type = ValueError) -> None:
        super().__init__(count)
        self.spoiled = frozenset(spoiled)
        self.error = error

    def __getitem__(self, index: int) -> Any:
        if index in self.spoiled:
            raise self.error(f"sample {index} is spoiled")
        return index


class Stream(IterableDataset):
    """Its workers share the numbers."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        info = torch.utils.data.get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, self.count, step))


class Counted:
    """A sampler that tells how many indices it has given."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.given = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        for index in range(self.count):
            self.given += 1
            yield index


class Eager:
    """A sampler that draws its order the moment it is asked for an iterator."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.count).tolist())


class Forks(multiprocessing.context.ForkContext):
    """Counts the processes that it starts, and fails once where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.started = 0
        self._processes_left: Optional[int] = None
        self._puts_left: Optional[int] = None
        forks = self

        class Process(multiprocessing.context.ForkProcess):
            def start(self) -> None:
                forks._start()
                super().start()

        self.Process = Process  # type: ignore[misc]

    def fail_after(self, processes: Optional[int] = None, puts: Optional[int] = None) -> None:
        """After so many more processes, or so many indices sent to those that come from now on."""
        self._processes_left, self._puts_left = processes, puts

    def Queue(self, maxsize: int = 0) -> Any:
        queue = super().Queue(maxsize)
        if self._puts_left is not None:
            put = queue.put

            def put_or_fail(index: Any) -> None:
                if self._puts_left == 0:
                    self._puts_left = None
                    raise RuntimeError("can't start new thread")
                if self._puts_left is not None:
                    self._puts_left -= 1
                put(index)

            queue.put = put_or_fail  # type: ignore[method-assign, assignment]
        return queue

    def _start(self) -> None:
        if self._processes_left == 0:
            self._processes_left = None
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        if self._processes_left is not None:
            self._processes_left -= 1
        self.started += 1


class Change:
    """Stands in for a change that the optimizer wants."""

    def __init__(self, parameter: str, new_value: int) -> None:
        self.parameter = parameter
        self.new_value = new_value
        self.answers: List[str] = []
        self.processes = -1

    def applied(self) -> None:
        self.answers.append("applied")
        self.processes = len(multiprocessing.active_children())

    def rejected(self, reason: str) -> None:
        self.answers.append(f"rejected: {reason}")


class Wishes:
    """Stands in for a context and its function: hands out changes, and records what it is told."""

    def __init__(self) -> None:
        self.polls: List[str] = []
        self.due: List[Change] = []
        self.registered: List[Tuple[str, Dict[str, Any]]] = []
        self.knobs: Dict[str, Any] = {}
        self.values: Dict[str, int] = {}

    @property
    def context(self) -> Any:
        return self

    def function(self, name: str, knobs: Dict[str, Any], values: Dict[str, int]) -> Wishes:
        self.registered.append((name, dict(values)))
        self.knobs = knobs
        self.values = dict(values)
        return self

    def wish(self, **parameters: int) -> List[Change]:
        changes = [Change(parameter, value) for parameter, value in parameters.items()]
        self.due.extend(changes)
        return changes

    def poll(self, at: str) -> List[Change]:
        self.polls.append(at)
        due, self.due = self.due, []
        for change in due:
            self.values[change.parameter] = change.new_value
        return due

    def value(self, parameter: str) -> int:
        return self.values[parameter]

    def set_value(self, parameter: str, value: int) -> None:
        self.values[parameter] = value


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    """Every test ends without a child process."""
    yield
    gc.collect()
    left = multiprocessing.active_children()
    for child in left:
        child.join(DEADLINE)
    alive = [child for child in left if child.is_alive()]
    for child in alive:
        child.kill()
    assert alive == []


def numbers(batch: Any) -> Any:
    return batch.tolist() if isinstance(batch, torch.Tensor) else batch


def epochs_of(
    loader: Any, epochs: int, before_batch: Callable[[int, int], None] = lambda epoch, batch: None
) -> List[List[Any]]:
    """All batches of each epoch; ``before_batch`` is called with its number and the batch's."""
    got: List[List[Any]] = []
    for epoch in range(epochs):
        got.append([])
        batches = iter(loader)
        for batch in itertools.count():
            before_batch(epoch, batch)
            try:
                got[-1].append(numbers(next(batches)))
            except StopIteration:
                break
    return got


def plan(
    parameter: str, new_value: int, at: str = "window_boundary", name: str = "torch"
) -> ActionPlan:
    return ActionPlan(
        plan_id=f"{parameter}-{new_value}",
        knob_id=f"{name}.{parameter}",
        target_function=f"{name}.LiveDataLoader",
        old_value=None,
        new_value=new_value,
        apply_when=at,
        rationale="",
        finding_type="fetch_pressure",
        severity=0.9,
        opportunity_tag="reader_parallelism",
        window_index=1,
    )


# -- every sample once, in order --


class Scene(NamedTuple):
    """Arguments of a loader, made anew for each loader, and what happens to it."""

    arguments: Callable[[], Dict[str, Any]]
    breaks_at: Dict[int, int]

    def read(self, loader: Any, change: Callable[[], None]) -> List[List[Any]]:
        got: List[List[Any]] = []
        for epoch in range(3):
            got.append([])
            for number, batch in enumerate(loader):
                got[-1].append(numbers(batch))
                if number == self.breaks_at.get(epoch):
                    break
                change()
        return got


def scene(seed: int) -> Scene:
    """Any arguments that torch takes."""
    rng = random.Random(seed)
    count = rng.randint(20, 70)
    workers = rng.choice([0, 1, 2, 3])
    options: Dict[str, Any] = {"num_workers": workers}
    if workers:
        options["prefetch_factor"] = rng.choice([1, 2, 5])
        options["persistent_workers"] = rng.random() < 0.5
    batching = rng.choice(["automatic", "none", "batch_sampler"])
    order = rng.choice(
        ["plain", "shuffle", "generator", "subset", "replacement", "eager", "distributed"]
    )
    batch_size, drop_last = rng.randint(1, 6), rng.random() < 0.5
    # A generator of the script's own is drawn from as far as a loader reads ahead: after a break
    # even plain loaders with different workers go on differently.
    can_break = order in ("plain", "distributed") and rng.random() < 0.5
    breaks_at = {rng.randrange(3): rng.randrange(5)} if can_break else {}

    def arguments() -> Dict[str, Any]:
        dataset = Samples(count)
        generator = torch.Generator()
        generator.manual_seed(seed)
        samplers: Dict[str, Callable[[], Any]] = {
            "plain": lambda: SequentialSampler(dataset),
            "shuffle": lambda: RandomSampler(dataset),
            "generator": lambda: RandomSampler(dataset, generator=generator),
            "subset": lambda: SubsetRandomSampler(range(0, count, 2)),
            "replacement": lambda: RandomSampler(dataset, True, 2 * count, generator),
            "eager": lambda: Eager(count),
            "distributed": lambda: DistributedSampler(dataset, num_replicas=2, rank=1, seed=seed),
        }
        sampler = samplers[order]()
        chosen: Dict[str, Any] = {"dataset": dataset, "generator": generator, **options}
        if batching == "batch_sampler":
            return {**chosen, "batch_sampler": BatchSampler(sampler, batch_size, drop_last)}
        if batching == "none":
            return {**chosen, "batch_size": None, "sampler": sampler}
        chosen.update(batch_size=batch_size, drop_last=drop_last)
        if order == "generator":
            return {**chosen, "shuffle": True}
        return {**chosen, "sampler": sampler}

    return Scene(arguments, breaks_at)


@pytest.mark.parametrize("seed", range(30))
def test_every_sample_comes_once_and_in_order_whatever_changes(seed: int) -> None:
    it = scene(seed)
    torch.manual_seed(seed)
    arguments = it.arguments()
    wanted = it.read(DataLoader(**arguments), lambda: None)
    states = torch.get_rng_state(), arguments["generator"].get_state()

    rng = random.Random(seed)
    often = rng.choice([0.05, 0.3, 1.0])
    torch.manual_seed(seed)
    arguments = it.arguments()
    loader = LiveDataLoader(**arguments)

    def change() -> None:
        if rng.random() < often:
            if rng.random() < 0.5:
                loader.num_workers = rng.choice([0, 1, 2, 3])
            else:
                loader.prefetch_factor = rng.choice([1, 2, 5])

    assert it.read(loader, change) == wanted
    if not it.breaks_at:
        # Nor were more or fewer random numbers drawn.
        for before, after in zip(
            states, (torch.get_rng_state(), arguments["generator"].get_state())
        ):
            assert torch.equal(before, after)


@pytest.mark.parametrize("before, after", [(1, 2), (2, 1), (2, 0), (0, 2), (1, 1)])
def test_a_change_before_any_batch_of_an_epoch(before: int, after: int) -> None:
    torch.manual_seed(7)
    wanted = epochs_of(DataLoader(Samples(23), batch_size=3, shuffle=True, num_workers=before), 2)
    for position in range(9):
        torch.manual_seed(7)
        loader = LiveDataLoader(Samples(23), batch_size=3, shuffle=True, num_workers=before)

        def change(epoch: int, batch: int) -> None:
            if (epoch, batch) == (0, position):
                loader.num_workers = after
                loader.prefetch_factor = 3

        assert epochs_of(loader, 2, change) == wanted
        assert (loader.num_workers, loader.prefetch_factor) == (after, 3)


@pytest.mark.parametrize("made_with, changed_to", [(0, 2), (2, 0), (1, 2)])
@pytest.mark.parametrize("persistent", [False, True])
def test_a_change_between_epochs_draws_no_other_order(
    made_with: int, changed_to: int, persistent: bool
) -> None:
    options: Dict[str, Any] = {"batch_size": None, "num_workers": made_with}
    if made_with:
        options["persistent_workers"] = persistent
    torch.manual_seed(4)
    wanted = epochs_of(DataLoader(Samples(20), sampler=Eager(20), **options), 4)
    torch.manual_seed(4)
    loader = LiveDataLoader(Samples(20), sampler=Eager(20), **options)

    def change(epoch: int, batch: int) -> None:
        if batch == 20:
            loader.num_workers = (changed_to, made_with, changed_to)[epoch % 3]

    assert epochs_of(loader, 4, change) == wanted


@pytest.mark.parametrize("persistent", [False, True])
def test_ranks_of_a_distributed_sampler_share_each_epoch(persistent: bool) -> None:
    def ranks(make: Callable[..., Any]) -> List[Tuple[Any, Any]]:
        made = []
        for rank in range(2):
            sampler: Any = DistributedSampler(Samples(46), num_replicas=2, rank=rank, seed=3)
            options = {"num_workers": 2, "persistent_workers": persistent}
            made.append((make(Samples(46), batch_size=4, sampler=sampler, **options), sampler))
        return made

    plain, live = ranks(DataLoader), ranks(LiveDataLoader)
    orders = []
    for epoch in range(3):
        for _, sampler in plain + live:
            sampler.set_epoch(epoch)
        wanted = [epochs_of(loader, 1) for loader, _ in plain]
        got = []
        for loader, _ in live:

            def change(_: int, batch: int, loader: Any = loader) -> None:
                loader.num_workers = 1 + batch % 3

            got.append(epochs_of(loader, 1, change))
        assert got == wanted
        samples = [sample for [batches] in got for batch in batches for sample in batch]
        assert sorted(samples) == list(range(46))
        orders.append(samples)
    assert orders[0] != orders[1] != orders[2]


def test_quick_changes_never_pile_up() -> None:
    sampler = Counted(200)
    loader = LiveDataLoader(Samples(200), batch_size=None, sampler=sampler, num_workers=2)
    most_workers, most_prefetch = 3, 4
    most_processes = most_ahead = 0
    for number, sample in enumerate(loader):
        assert sample == number
        loader.num_workers = 1 + number % most_workers
        loader.prefetch_factor = 1 + number % most_prefetch
        most_processes = max(most_processes, len(multiprocessing.active_children()))
        most_ahead = max(most_ahead, sampler.given - number)
    assert number == 199
    assert most_processes <= 2 * most_workers
    assert most_ahead <= 2 * most_workers * most_prefetch + 1


def test_a_change_at_the_end_of_an_epoch_starts_no_workers_for_nothing() -> None:
    forks = Forks()
    loader = LiveDataLoader(Samples(6), num_workers=2, multiprocessing_context=forks)
    batches = iter(loader)
    for _ in range(4):
        next(batches)
    # All six are under way by now.
    loader.num_workers = 3
    assert len(list(batches)) == 2
    assert forks.started == 2
    assert len(list(loader)) == 6
    assert forks.started == 2 + 3


def test_two_iterations_at_once_are_independent() -> None:
    loader = LiveDataLoader(Samples(12), batch_size=2, num_workers=1)
    pairs = []
    for number, (one, other) in enumerate(zip(loader, loader)):
        loader.num_workers = number % 3
        pairs.append((numbers(one), numbers(other)))
    assert pairs == [([i, i + 1], [i, i + 1]) for i in range(0, 12, 2)]


def test_two_iterations_at_once_with_persistent_workers() -> None:
    loader = LiveDataLoader(Readers(40), batch_size=None, num_workers=2, persistent_workers=True)
    first = iter(loader)
    began = [next(first) for _ in range(5)]
    second = iter(loader)
    got = []
    for number, (one, other) in enumerate(itertools.zip_longest(first, second)):
        if number == 10:
            loader.num_workers = 3
        if one is not None:
            began.append(one)
        got.append(other)
    assert [index for index, _ in began] == list(range(40))
    assert [index for index, _ in got] == list(range(40))
    # The second took the workers over; the first goes on with others.
    workers = [{pid for _, pid in part} for part in (began[:5], began[5:14], got[:9])]
    assert workers[2] == workers[0]
    assert not workers[1] & workers[0]
    # In the next epoch they are the newest of the second.
    again = {pid for _, pid in loader}
    assert again == {pid for _, pid in got[-5:]} and len(again) == 3


def test_an_iteration_that_is_over_stays_over() -> None:
    for persistent in (False, True):
        loader = LiveDataLoader(Samples(5), num_workers=1, persistent_workers=persistent)
        batches = iter(loader)
        assert len(list(batches)) == 5
        assert list(batches) == []
        assert len(list(loader)) == 5
        assert list(batches) == []


def test_an_epoch_that_is_left_early_leaves_no_workers() -> None:
    loader = LiveDataLoader(Samples(100), num_workers=2)

    def some(count: int) -> Iterator[Any]:
        for number, batch in enumerate(loader):
            loader.num_workers = 1 + number % 3
            yield batch
            if number == count:
                return

    assert len(list(some(7))) == 8
    assert multiprocessing.active_children() == []
    generator = some(50)
    assert next(generator) is not None and next(generator) is not None
    generator.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []
    # In the middle of a change, with two settings alive.
    batches = iter(loader)
    next(batches)
    loader.num_workers = 1
    next(batches)
    del batches
    assert multiprocessing.active_children() == []


def test_a_loader_that_is_dropped_is_gone_at_once() -> None:
    gc.disable()
    try:
        loader = LiveDataLoader(
            Samples(9), num_workers=1, persistent_workers=True, context=Wishes().context
        )
        for _ in loader:
            loader.num_workers = 2
        assert len(multiprocessing.active_children()) > 0
        gone = weakref.ref(loader)
        del loader
        assert gone() is None, "something in it refers to itself"
        assert multiprocessing.active_children() == []
    finally:
        gc.enable()


# -- workers --


def test_persistent_workers_stay_while_nothing_changes() -> None:
    loader = LiveDataLoader(Readers(30), batch_size=None, num_workers=2, persistent_workers=True)

    def workers(change_to: Optional[int] = None, leave_at: int = 99) -> List[int]:
        pids = []
        for number, (index, pid) in enumerate(loader):
            assert index == number
            pids.append(pid)
            if number == 3 and change_to is not None:
                loader.num_workers = change_to
            if number == leave_at:
                break
        return pids

    first = set(workers())
    assert len(first) == 2
    assert set(workers(leave_at=4)) == first
    assert set(workers()) == first

    changed = workers(change_to=3)
    assert set(changed[:4]) <= first and not set(changed[-2:]) & first
    second = set(workers())
    assert len(second) == 3 and not second & first
    assert set(workers()) == second
    assert len(multiprocessing.active_children()) == 3

    # Between epochs too.
    loader.prefetch_factor = 4
    third = set(workers())
    assert not third & second and len(third) == 3
    assert set(workers()) == third

    assert os.getpid() in workers(change_to=0)
    assert multiprocessing.active_children() == []
    fourth = workers(change_to=2)
    assert fourth[0] == os.getpid() and os.getpid() not in fourth[-2:]
    assert set(workers()) == set(fourth[-2:])


def test_workers_draw_the_random_numbers_of_a_plain_loader_and_none_twice() -> None:
    def drawn(make: Callable[..., Any], changes: bool = False) -> List[int]:
        torch.manual_seed(11)
        loader = make(Augmented(40), batch_size=None, num_workers=2)
        got = []
        for _ in range(2):
            for number, (_, drawn) in enumerate(loader):
                got.append(drawn)
                if changes and number in (5, 20):
                    loader.num_workers = 3 if loader.num_workers == 2 else 2
        return got

    plain = drawn(DataLoader)
    assert drawn(LiveDataLoader) == plain
    changed = drawn(LiveDataLoader, changes=True)
    assert changed != plain
    assert len(set(changed)) == len(changed)


def test_what_is_meant_for_workers_waits_for_them() -> None:
    calls = multiprocessing.Value("i", 0)

    def count_start(_: int) -> None:
        with calls.get_lock():
            calls.value += 1

    forks = Forks()
    loader = LiveDataLoader(
        Samples(30),
        prefetch_factor=4,
        persistent_workers=True,
        timeout=DEADLINE,
        multiprocessing_context=forks,
        worker_init_fn=count_start,
        collate_fn=list,
    )
    assert (loader.num_workers, loader.prefetch_factor) == (0, 4)

    def change(epoch: int, batch: int) -> None:
        if epoch == 0:
            loader.num_workers = 0 if batch < 5 else 2

    assert epochs_of(loader, 2, change) == 2 * [[[i] for i in range(30)]]
    assert (forks.started, calls.value) == (2, 2)


def test_started_anew_instead_of_forked() -> None:
    torch.manual_seed(1)
    wanted = epochs_of(DataLoader(Samples(12), batch_size=2, shuffle=True), 1)
    torch.manual_seed(1)
    loader = LiveDataLoader(
        Samples(12), batch_size=2, shuffle=True, num_workers=1, multiprocessing_context="spawn"
    )

    def change(_: int, batch: int) -> None:
        if batch == 2:
            loader.prefetch_factor = 3

    assert epochs_of(loader, 1, change) == wanted


def test_pinned_memory_is_passed_on() -> None:
    loader = LiveDataLoader(Samples(8), num_workers=1, pin_memory=True)

    def change(_: int, batch: int) -> None:
        loader.num_workers = batch % 2

    assert epochs_of(loader, 1, change) == [[[i] for i in range(8)]]


def test_without_an_order_every_sample_still_comes_once() -> None:
    if not hasattr(DataLoader(Samples(1)), "in_order"):
        with pytest.raises(TypeError, match="in_order"):
            LiveDataLoader(Samples(1), in_order=False)
        return
    loader = LiveDataLoader(Samples(60), batch_size=None, num_workers=2, in_order=False)
    got = []
    for number, sample in enumerate(loader):
        got.append(sample)
        loader.num_workers = 1 + number % 3
    assert sorted(got) == list(range(60))

    persistent = LiveDataLoader(
        Samples(60), batch_size=None, num_workers=2, in_order=False, persistent_workers=True
    )
    first = iter(persistent)
    next(first)
    assert sorted(persistent) == list(range(60))
    # Which of its samples came is not known: so it says so, rather than give some twice.
    with pytest.raises(RuntimeError, match="in_order=False"):
        next(first)


# -- what goes wrong --


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("error", [ValueError, StopIteration])
def test_a_sample_that_cannot_be_read_fails_where_it_does_in_a_plain_loader(
    workers: int, error: type
) -> None:
    def outcomes(loader: Any, change: Callable[[int], None]) -> List[Any]:
        batches, got = iter(loader), []
        for number in range(20):
            change(number)
            try:
                got.append(numbers(next(batches)))
            except Exception as raised:
                got.append(type(raised))
        return got

    dataset = Spoiled(18, (4, 5, 11), error)
    wanted = outcomes(DataLoader(dataset, num_workers=workers), lambda _: None)
    assert wanted.count(error) >= 3
    for position in range(3, 13):
        loader = LiveDataLoader(dataset, num_workers=workers)

        def change(number: int) -> None:
            if number == position:
                loader.num_workers = 2 if workers != 2 else 1

        assert outcomes(loader, change) == wanted


class Slow(Samples):
    """A sample that its worker reads only once it is told that the consumer gave up."""

    def __init__(self, count: int, given_up: Any) -> None:
        super().__init__(count)
        self.given_up = given_up

    def __getitem__(self, index: int) -> Any:
        if index == 3:
            self.given_up.wait(DEADLINE)
        return index


def test_a_batch_that_comes_too_late_is_not_lost() -> None:
    given_up = multiprocessing.Event()
    loader = LiveDataLoader(
        Slow(12, given_up), batch_size=None, num_workers=2, timeout=0.5, prefetch_factor=1
    )
    batches = iter(loader)

    def patiently() -> Any:
        while True:
            try:
                return next(batches)
            except RuntimeError as error:
                assert "timed out" in str(error)

    assert [patiently() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="timed out"):
        next(batches)
    given_up.set()
    loader.num_workers = 1
    assert [patiently() for _ in range(9)] == list(range(3, 12))
    assert list(batches) == []


def test_a_sampler_that_fails_is_not_taken_for_workers_that_do_not_start() -> None:
    def failing() -> Iterator[int]:
        yield from range(9)
        raise KeyError("no more")

    class Failing:
        def __iter__(self) -> Iterator[int]:
            return failing()

    wishes = Wishes()
    loader = LiveDataLoader(Samples(99), sampler=Failing(), num_workers=1, context=wishes.context)
    got = []
    with pytest.raises(KeyError):
        for batch in loader:
            got.append(numbers(batch))
            if len(got) == 4:
                wishes.wish(num_workers=3)
    assert got == [[i] for i in range(len(got))]
    with pytest.raises(KeyError):
        list(LiveDataLoader(Samples(99), sampler=Failing(), num_workers=8, prefetch_factor=2))


#: Half a loader cannot be ended well by torch, and says so.
half_built = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
persistent_or_not = pytest.mark.parametrize("persistent", [False, True])


@half_built
@pytest.mark.parametrize("failure", [{"processes": 0}, {"processes": 1}, {"puts": 0}, {"puts": 2}])
@persistent_or_not
def test_workers_that_do_not_start_reject_the_plan_and_cost_no_sample(
    failure: Dict[str, int], persistent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    forks, wishes = Forks(), Wishes()
    loader = LiveDataLoader(
        Readers(40),
        batch_size=None,
        num_workers=1,
        multiprocessing_context=forks,
        persistent_workers=persistent,
        context=wishes.context,
    )
    got, changes = [], []
    for index, pid in loader:
        got.append((index, pid))
        if index == 10:
            forks.fail_after(**failure)
            changes += wishes.wish(num_workers=3, prefetch_factor=4)
        if index == 11:
            assert (loader.num_workers, loader.prefetch_factor) == (1, 2)
        if index == 20:
            changes += wishes.wish(num_workers=2)
    assert [index for index, _ in got] == list(range(40))
    assert len({pid for _, pid in got[:21]}) == 1
    for change in changes[:2]:
        [answer] = change.answers
        reason = answer.replace("rejected: ", "", 1)
        assert reason.startswith("no loader can be started with num_workers 3, prefetch_factor 4 (")
        assert reason.endswith("; num_workers 1, prefetch_factor 2 stays in force")
        assert reason in caplog.text
    assert changes[2].answers == ["applied"]
    assert loader.num_workers == 2


@half_built
@pytest.mark.parametrize("failure", [{"processes": 2}, {"puts": 3}])
@persistent_or_not
def test_workers_that_do_not_start_when_an_epoch_begins(
    failure: Dict[str, int], persistent: bool
) -> None:
    forks, wishes = Forks(), Wishes()
    options: Dict[str, Any] = {
        "multiprocessing_context": forks,
        "num_workers": 2,
        "shuffle": True,
        "persistent_workers": persistent,
    }
    torch.manual_seed(5)
    wanted = epochs_of(DataLoader(Samples(15), **options), 3)
    torch.manual_seed(5)
    loader = LiveDataLoader(Samples(15), context=wishes.context, **options)
    got = epochs_of(loader, 1)
    [change] = wishes.wish(num_workers=4)
    forks.fail_after(**failure)
    got += epochs_of(loader, 2)
    [answer] = change.answers
    assert answer.startswith("rejected: no loader can be started with num_workers 4")
    assert loader.num_workers == 2
    assert got == wanted


@half_built
def test_what_the_script_itself_wants_fails_as_with_a_plain_loader_when_an_epoch_begins() -> None:
    forks, wishes = Forks(), Wishes()
    loader = LiveDataLoader(Samples(5), multiprocessing_context=forks, context=wishes.context)
    list(loader)
    loader.num_workers = 2
    forks.fail_after(processes=1)
    with pytest.raises(OSError):
        iter(loader)
    assert len(list(loader)) == 5


@half_built
def test_what_the_script_itself_wants_is_given_up_in_mid_epoch(
    caplog: pytest.LogCaptureFixture,
) -> None:
    forks = Forks()
    loader = LiveDataLoader(Samples(30), num_workers=1, multiprocessing_context=forks)

    def change(_: int, batch: int) -> None:
        if batch == 5:
            forks.fail_after(processes=0)
            loader.num_workers = 2
        if batch == 6:
            assert loader.num_workers == 1

    assert epochs_of(loader, 1, change) == [[[i] for i in range(30)]]
    assert caplog.text.count("no loader can be started") == 1


# -- iterable datasets --


@pytest.mark.parametrize("persistent", [False, True])
def test_a_stream_changes_between_epochs_only(persistent: bool) -> None:
    wishes = Wishes()
    loader = LiveDataLoader(
        Stream(24),
        batch_size=3,
        num_workers=2,
        persistent_workers=persistent,
        context=wishes.context,
    )
    plain = {
        workers: epochs_of(DataLoader(Stream(24), 3, num_workers=workers), 1)
        for workers in range(4)
    }
    changes: List[Change] = []

    def change(epoch: int, batch: int) -> None:
        if batch == 3:
            if epoch == 0:
                changes.extend(wishes.wish(num_workers=3, prefetch_factor=1))
            elif epoch == 1:
                assert changes[0].answers == changes[1].answers == ["applied"]
                loader.num_workers = 0
            elif epoch == 2:
                loader.num_workers = 1

    got = epochs_of(loader, 4, change)
    assert got == plain[2] + plain[3] + plain[0] + plain[1]
    assert wishes.polls == ["epoch_boundary"] * 4
    assert len(loader) == 8
    boundaries = {r.apply_when for knob in wishes.knobs.values() for r in knob.responds_to.values()}
    assert boundaries == {"epoch_boundary"}


def test_the_workers_of_a_stream_stay_while_nothing_changes() -> None:
    forks = Forks()
    loader = LiveDataLoader(
        Stream(10), num_workers=2, persistent_workers=True, multiprocessing_context=forks
    )
    for _ in range(3):
        assert len(list(loader)) == 10
    assert forks.started == 2


# -- as a DataLoader --


def test_it_is_a_dataloader_and_shows_what_one_shows() -> None:
    generator = torch.Generator()
    arguments: Dict[str, Any] = {
        "batch_size": 4,
        "shuffle": True,
        "num_workers": 2,
        "drop_last": True,
        "timeout": 3,
        "generator": generator,
        "prefetch_factor": 5,
        "persistent_workers": True,
    }
    plain, live = DataLoader(Samples(11), **arguments), LiveDataLoader(Samples(11), **arguments)
    assert isinstance(live, DataLoader)
    shown = set(vars(plain)) | {"num_workers", "prefetch_factor", "multiprocessing_context"}
    for name in sorted(name for name in shown if not name.startswith("_")):
        one, other = getattr(plain, name), getattr(live, name)
        assert type(one) is type(other), name
        if name not in ("dataset", "sampler", "batch_sampler"):
            assert one == other, name
    assert len(live) == len(plain) == 2
    iterators: List[Any] = [iter(live), iter(plain)]
    assert [len(iterator) for iterator in iterators] == [2, 2]
    del iterators
    with pytest.raises(ValueError, match="batch_size"):
        live.batch_size = 3
    live.collate_fn = list
    assert sum(len(batch) for batch in live) == 8


def test_arguments_that_make_no_sense_are_refused() -> None:
    wrongs: List[Dict[str, Any]] = [
        {"num_workers": -1},
        {"num_workers": 1, "timeout": -1},
        {"prefetch_factor": 0},
        {"shuffle": True, "sampler": SequentialSampler(Samples(3))},
        {"multiprocessing_context": "teleport"},
        {"poll_every": 0},
        {"min_workers": 3, "max_workers": 2},
        {"responds_to": {"workers": {}}},
    ]
    for wrong in wrongs:
        with pytest.raises((ValueError, AssertionError)):
            LiveDataLoader(Samples(3), **wrong)
    with pytest.raises(TypeError):
        LiveDataLoader(Samples(3), nonsense=1)
    loader = LiveDataLoader(Samples(3))
    for parameter, wrong_value in (("num_workers", -1), ("prefetch_factor", 0)):
        with pytest.raises(ValueError, match=parameter):
            setattr(loader, parameter, wrong_value)
    fraction: Any = 1.5
    with pytest.raises(TypeError):
        loader.num_workers = fraction
    assert len(list(loader)) == 3


def test_without_torch_it_says_what_to_install() -> None:
    script = "import sys; sys.modules['torch'] = None\nimport dfoptimizer\nimport dfoptimizer.torch"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.returncode != 0
    last = ran.stderr.strip().splitlines()[-1]
    assert (
        last.startswith("ImportError: dfoptimizer.torch needs PyTorch")
        and "pip install torch" in last
    )


def test_nothing_else_imports_torch() -> None:
    script = "import sys, dfoptimizer, dfoptimizer.runtime; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


# -- plans --


def test_two_knobs_at_one_boundary_are_one_change_applied_once_it_is_in_force() -> None:
    forks, wishes = Forks(), Wishes()
    loader = LiveDataLoader(
        Samples(40), num_workers=1, multiprocessing_context=forks, context=wishes.context
    )
    changes: List[Change] = []

    def change(_: int, batch: int) -> None:
        if batch == 10:
            changes.extend(wishes.wish(num_workers=3, prefetch_factor=4))

    assert epochs_of(loader, 1, change) == [[[i] for i in range(40)]]
    assert forks.started == 1 + 3
    for it in changes:
        assert it.answers == ["applied"]
        assert it.processes == 1 + 3, "the new workers had started, beside the one before"
    assert (loader.num_workers, loader.prefetch_factor) == (3, 4)


def test_plans_wait_while_a_change_is_under_way() -> None:
    wishes = Wishes()
    loader = LiveDataLoader(
        Samples(60), batch_size=None, num_workers=2, prefetch_factor=3, context=wishes.context
    )
    batches = iter(loader)
    got = [next(batches)]
    first = wishes.wish(num_workers=1)
    got.append(next(batches))
    assert first[0].answers == ["applied"]
    polls = len(wishes.polls)
    second = wishes.wish(num_workers=3)
    # Six batches of the two workers are under way, of which one has come.
    for _ in range(5):
        got.append(next(batches))
        assert len(wishes.polls) == polls and second[0].answers == []
    got.extend(next(batches) for _ in range(2))
    assert second[0].answers == ["applied"]
    assert got + list(batches) == list(range(60))


def test_boundaries_are_told_from_each_other_and_polled_as_often_as_wanted() -> None:
    wishes = Wishes()
    loader = LiveDataLoader(Samples(30), context=wishes.context, poll_every=10)
    list(loader)
    list(loader)
    assert wishes.polls == 2 * (["epoch_boundary"] + 3 * ["window_boundary"])


def test_a_prefetch_factor_without_workers_counts_once_there_are_some() -> None:
    forks, wishes = Forks(), Wishes()
    loader = LiveDataLoader(Samples(30), multiprocessing_context=forks, context=wishes.context)
    changes: List[Change] = []

    def change(_: int, batch: int) -> None:
        if batch == 3:
            changes.extend(wishes.wish(prefetch_factor=6))
        if batch == 6:
            assert forks.started == 0 and changes[0].answers == ["applied"]
            changes.extend(wishes.wish(num_workers=1))

    assert epochs_of(loader, 1, change) == [[[i] for i in range(30)]]
    assert (loader.num_workers, loader.prefetch_factor) == (1, 6)
    assert changes[1].answers == ["applied"]


def test_what_the_script_sets_is_told() -> None:
    wishes = Wishes()
    loader = LiveDataLoader(Samples(9), context=wishes.context)
    for _ in loader:
        loader.num_workers = 1
    assert wishes.values == {"num_workers": 1, "prefetch_factor": 2}
    loader.prefetch_factor = 7
    list(loader)
    assert wishes.values == {"num_workers": 1, "prefetch_factor": 7}


def test_its_knobs_are_those_of_the_optimizers_own_pack() -> None:
    wishes = Wishes()
    list(LiveDataLoader(Samples(1), context=wishes.context, max_workers=8))
    crates = Path(__file__).resolve().parents[3]
    recorded = json.loads((crates / "dfo-knobs-torch/tests/registration.json").read_text())
    assert wishes.registered == [(recorded["function_name"], recorded["current_values"])]
    wire = {parameter: knob_def_to_wire(knob) for parameter, knob in wishes.knobs.items()}
    assert wire == recorded["knobs"]


def test_limits_make_room_for_what_the_script_asks_for() -> None:
    def ranges(**arguments: Any) -> Tuple[Any, Any]:
        wishes = Wishes()
        iter(LiveDataLoader(Samples(1), context=wishes.context, **arguments))
        return wishes.knobs["num_workers"].range, wishes.knobs["prefetch_factor"].range

    cpus = len(os.sched_getaffinity(0))
    assert ranges() == ((0, cpus), (1, 16))
    assert ranges(min_workers=1, max_workers=5, max_prefetch=4) == ((0, 5), (1, 4))
    assert ranges(num_workers=2, min_workers=1, max_workers=5) == ((1, 5), (1, 16))
    assert ranges(num_workers=4, max_workers=2, prefetch_factor=20) == ((0, 4), (1, 20))


def test_other_responses_take_the_place_of_ours() -> None:
    wishes = Wishes()
    mine = {"num_workers": {"my_tag": {"direction": "increase", "step": 3}}}
    list(
        LiveDataLoader(
            Samples(1), context=wishes.context, responds_to=mine, boundary="epoch_boundary"
        )
    )
    workers, prefetch = (wishes.knobs[name] for name in ("num_workers", "prefetch_factor"))
    assert list(workers.responds_to) == ["my_tag"] and workers.responds_to["my_tag"].step == 3
    assert prefetch.responds_to["dataloader_prefetch"].apply_when == "epoch_boundary"


def test_of_two_loaders_with_one_name_the_first_is_tuned(caplog: pytest.LogCaptureFixture) -> None:
    wishes = Wishes()
    train, validation = (LiveDataLoader(Samples(4), context=wishes.context) for _ in range(2))
    other = LiveDataLoader(Samples(4), context=wishes.context, name="validation")
    for _ in range(2):
        for loader in (train, validation, other):
            list(loader)
    assert [name for name, _ in wishes.registered] == [
        "torch.LiveDataLoader",
        "validation.LiveDataLoader",
    ]
    assert caplog.text.count("another LiveDataLoader of this name") == 1
    # A loader that is made anew, each epoch say, takes over from the one that is gone.
    del train, loader
    train = LiveDataLoader(Samples(4), context=wishes.context)
    list(train)
    assert len(wishes.registered) == 3


# -- with a context --


def test_plans_are_applied_in_mid_epoch() -> None:
    with OptimizerContext() as context:
        loader = LiveDataLoader(Samples(40), num_workers=1, context=context, max_workers=8)

        def change(_: int, batch: int) -> None:
            if batch == 10:
                context.enqueue_action(plan("num_workers", 2))
                context.enqueue_action(plan("prefetch_factor", 5))
            if batch == 12:
                assert (loader.num_workers, loader.prefetch_factor) == (2, 5)
                context.enqueue_action(plan("num_workers", 3, "epoch_boundary"))

        assert epochs_of(loader, 1, change) == [[[i] for i in range(40)]]
        assert context.status()["plans"]["applied"] == 2
        assert loader.num_workers == 2
        assert epochs_of(loader, 1) == [[[i] for i in range(40)]]
        assert context.status()["plans"]["applied"] == 3
        assert loader.num_workers == 3


def test_the_context_of_the_process_is_found_when_it_is_there() -> None:
    loader = LiveDataLoader(Samples(5), max_workers=8)
    assert len(list(loader)) == 5
    for workers in (1, 2):
        # The second time another one, since the first is stopped.
        context = optimizer_context()
        context.enqueue_action(plan("num_workers", workers))
        assert len(list(loader)) == 5
        assert loader.num_workers == workers
        assert context.status()["plans"]["applied"] == 1
        context.stop()
        assert len(list(loader)) == 5


def test_responses_that_make_no_sense_are_told_when_it_begins() -> None:
    with OptimizerContext() as context:
        wrong = {"num_workers": {"tag": {"direction": "sideways"}}}
        loader = LiveDataLoader(Samples(5), context=context, responds_to=wrong)
        with pytest.raises(KnobsRefused, match="num_workers.responds_to.tag.direction"):
            iter(loader)


def test_the_loop_over_zeromq(optimizer: Optimizer) -> None:
    with OptimizerContext(
        zmq_plans_endpoint=optimizer.endpoints.plans,
        zmq_control_endpoint=optimizer.endpoints.control,
    ) as context:
        loader = LiveDataLoader(
            Samples(30), num_workers=1, context=context, max_workers=8, persistent_workers=True
        )
        ids: List[str] = []

        def change(epoch: int, batch: int) -> None:
            if (epoch, batch) == (1, 5):
                for parameter, value in (("num_workers", 2), ("prefetch_factor", 4)):
                    ids.append(
                        optimizer.send_plan(
                            f"torch.{parameter}",
                            value,
                            target_function="torch.LiveDataLoader",
                            apply_when="window_boundary",
                        )
                    )
                assert context.wait_for(lambda now: now["plans_waiting"] == 2, DEADLINE)

        assert epochs_of(loader, 2, change) == 2 * [[[i] for i in range(30)]]
        registration = optimizer.next_registration()
        assert registration["function_name"] == "torch.LiveDataLoader"
        assert registration["current_values"] == {"num_workers": 1, "prefetch_factor": 2}
        acks = {ack["plan_id"]: ack for ack in (optimizer.next_ack() for _ in ids)}
        for plan_id, old, new in zip(ids, (1, 2), (2, 4)):
            ack = acks[plan_id]
            assert (ack["status"], ack["old_value"], ack["new_value"]) == ("applied", old, new)
        assert loader.num_workers == 2


#: What a worker inherits.
inherited: Optional[OptimizerContext] = None


class Asking(Samples):
    """Uses the context that a worker has inherited."""

    def __getitem__(self, index: int) -> Any:
        assert inherited is not None
        drained = inherited.drain_actions_for("torch.LiveDataLoader", at="window_boundary")
        return index, inherited.status()["link"], len(drained)


def test_workers_may_fork_while_the_context_is_at_work(optimizer: Optimizer) -> None:
    global inherited
    inherited = OptimizerContext(
        zmq_plans_endpoint=optimizer.endpoints.plans,
        zmq_control_endpoint=optimizer.endpoints.control,
    )
    with inherited:
        loader = LiveDataLoader(
            Asking(60), batch_size=None, num_workers=2, context=inherited, max_workers=8
        )
        got = []
        for number, answer in enumerate(loader):
            got.append(answer)
            if number % 10 == 0:
                optimizer.send_plan(
                    "torch.num_workers",
                    1 + (number // 10) % 3,
                    target_function="torch.LiveDataLoader",
                    apply_when="window_boundary",
                )
        assert [index for index, _, _ in got] == list(range(60))
        assert {(link, drained) for _, link, drained in got} == {("forked", 0)}
        assert optimizer.next_ack()["status"] == "applied"
    inherited = None


def test_changes_are_logged_and_warn_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dfoptimizer")
    loader = LiveDataLoader(Samples(20), num_workers=1)

    def change(_: int, batch: int) -> None:
        loader.num_workers = 1 + batch // 10

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        epochs_of(loader, 1, change)
    [record] = [record for record in caplog.records if "num_workers 2" in record.getMessage()]
    assert record.levelno == logging.INFO
