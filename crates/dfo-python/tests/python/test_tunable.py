"""`@tunable`: which argument a plan takes the place of, what is acknowledged, and what is never raised."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
import sys
import threading
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, Optional, Tuple

import pytest
from conftest import DEADLINE, Endpoints
from scene import Scene, connected, plan_for, received, said, wait_received

from dfoptimizer import knob, optimizer_context, tunable

scene = connected

BATCH = {"batch": knob(default=8, range=(1, 64))}


def tell_plan(scene: Scene, function: Any, value: Any, knob_id: str = "app.batch") -> str:
    """Sends a plan for a knob of a tuned function, and waits until it is here."""
    return scene.plan(knob_id, value, function._tunable_func_name)


def registered(scene: Scene) -> Dict[str, Any]:
    """The values in force, as the next registration tells them."""
    values: Dict[str, Any] = scene.registration()["current_values"]
    return values


# -- which argument --


def positional(batch: int, rest: int = 0) -> Tuple[int, int]:
    return batch, rest


def second(rest: int, batch: int = 8) -> Tuple[int, int]:
    return batch, rest


def by_name_only(rest: int = 0, *, batch: int = 8) -> Tuple[int, int]:
    return batch, rest


def among_all(*args: int, **kwargs: int) -> Tuple[int, int]:
    return kwargs.get("batch", 8), kwargs.get("rest", 0)


def before_the_rest(batch: int = 8, *args: int, **kwargs: int) -> Tuple[int, int]:
    return batch, args[0] if args else kwargs.get("rest", 0)


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (positional, (8,), {}),
        (positional, (8, 0), {}),
        (positional, (), {"batch": 8}),
        (positional, (8,), {"rest": 0}),
        (second, (0,), {}),
        (second, (0, 8), {}),
        (second, (0,), {"batch": 8}),
        (second, (), {"rest": 0, "batch": 8}),
        (by_name_only, (), {}),
        (by_name_only, (0,), {}),
        (by_name_only, (0,), {"batch": 8}),
        (among_all, (), {}),
        (among_all, (1, 2), {"batch": 8}),
        (among_all, (), {"rest": 0}),
        (before_the_rest, (), {}),
        (before_the_rest, (8, 0), {}),
        (before_the_rest, (8,), {"rest": 0}),
    ],
)
def test_a_plan_takes_the_place_of_the_argument_however_it_is_passed(
    scene: Scene, function: Callable[..., Any], args: Tuple[int, ...], kwargs: Dict[str, int]
) -> None:
    tuned = tunable(knobs=BATCH)(function)
    assert tuned(*args, **kwargs) == (8, 0)
    assert registered(scene) == {"batch": 8}
    tell_plan(scene, tuned, 32)
    assert tuned(*args, **kwargs) == (32, 0)
    assert said(scene.ack()) == ("applied", 8, 32)
    assert tuned(*args, **kwargs) == (8, 0)
    scene.no_more_acks()


def test_several_arguments_are_changed_in_one_call(scene: Scene) -> None:
    @tunable(knobs={"a": knob(1), "b": knob(0.5, type=float), "c": knob("x", type=str)})
    def train(a: int, b: float = 0.5, *, c: str = "x", d: bool = True) -> Tuple[Any, ...]:
        return a, b, c, d

    assert train(1) == (1, 0.5, "x", True)
    plans = {
        tell_plan(scene, train, value, f"app.{name}"): (old, value)
        for name, old, value in (("a", 1, 2), ("b", 0.5, 0.75), ("c", "x", "y"))
    }
    assert train(1) == (2, 0.75, "y", True)
    for plan, ack in scene.acks(3).items():
        assert said(ack) == ("applied", *plans[plan])


def test_a_value_has_the_type_of_its_knob(scene: Scene) -> None:
    @tunable(knobs={"a": knob(1), "b": knob(0.5, type=float), "c": knob(True, type=bool)})
    def train(a: Any = 1, b: Any = 0.5, c: Any = True) -> List[Any]:
        return [a, b, c]

    train()
    for name, value in (("a", 4.0), ("b", 2), ("c", "false")):
        tell_plan(scene, train, value, f"app.{name}")
    values = train()
    assert values == [4, 2.0, False]
    assert [type(value) for value in values] == [int, float, bool]


def test_a_value_that_is_not_listed_is_rejected(scene: Scene) -> None:
    @tunable(knobs={"a": knob(1, values=[1, 2, 4])})
    def train(a: int = 1) -> int:
        return a

    train()
    tell_plan(scene, train, 3, "app.a")
    assert train() == 1
    ack = scene.ack()
    assert said(ack) == ("rejected", 1, 1)
    assert ack["reason"] == "new_value: 3 is none of the values 1, 2, 4"


# -- what it is put on --


class Loader:
    def __init__(self) -> None:
        self.name = "loader"

    @tunable(knobs=BATCH)
    def method(self, batch: int = 8) -> Tuple[str, int]:
        return self.name, batch

    @staticmethod
    @tunable(knobs=BATCH)
    def static(batch: int = 8) -> int:
        return batch

    @tunable(knobs=BATCH)
    @staticmethod
    def static_below(batch: int = 8) -> int:
        return batch

    @classmethod
    @tunable(knobs=BATCH)
    def of_class(cls, batch: int = 8) -> Tuple[str, int]:
        return cls.__name__, batch

    @tunable(knobs=BATCH)
    @classmethod
    def of_class_below(cls, batch: int = 8) -> Tuple[str, int]:
        return cls.__name__, batch


@pytest.mark.parametrize(
    ("call", "name", "expected"),
    [
        (Loader().method, "method", ("loader", 32)),
        (Loader.static, "static", 32),
        (Loader().static_below, "static_below", 32),
        (Loader.of_class, "of_class", ("Loader", 32)),
        (Loader().of_class_below, "of_class_below", ("Loader", 32)),
    ],
)
def test_methods_of_all_kinds_are_tuned(
    scene: Scene, call: Callable[..., Any], name: str, expected: Any
) -> None:
    call()
    assert scene.registration()["function_name"] == f"Loader.{name}"
    for arguments in ((), (8,)):
        scene.plan("app.batch", 32, f"Loader.{name}")
        assert call(*arguments) == expected
        assert said(scene.ack())[0] == "applied"


def test_two_objects_share_the_knob_of_their_method(scene: Scene) -> None:
    first, second = Loader(), Loader()
    first.method(8)
    scene.plan("app.batch", 32, "Loader.method")
    assert second.method(8) == ("loader", 32)
    assert first.method(8) == ("loader", 8)


def test_an_async_function_stays_one_and_is_acknowledged_when_it_is_done(scene: Scene) -> None:
    may_end = asyncio.Event

    @tunable(knobs=BATCH)
    async def load(event: Optional[asyncio.Event] = None, batch: int = 8) -> int:
        if event is not None:
            await event.wait()
        return batch

    assert inspect.iscoroutinefunction(load)

    async def script() -> None:
        assert await load() == 8
        tell_plan(scene, load, 32)
        event = may_end()
        task = asyncio.ensure_future(load(event))
        while scene.context.status()["plans_waiting"]:
            await asyncio.sleep(0)
        assert scene.context.status()["plans"]["applied"] == 0
        event.set()
        assert await task == 32

    asyncio.run(script())
    assert said(scene.ack()) == ("applied", 8, 32)


def test_an_async_function_that_is_cancelled_is_acknowledged(scene: Scene) -> None:
    @tunable(knobs=BATCH)
    async def load(batch: int = 8) -> None:
        await asyncio.Event().wait()

    async def script() -> None:
        first = asyncio.ensure_future(load())
        await asyncio.sleep(0)
        tell_plan(scene, load, 32)
        second = asyncio.ensure_future(load())
        await asyncio.sleep(0)
        for task in (first, second):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(script())
    assert said(scene.ack()) == ("applied", 8, 32)


def test_a_coroutine_that_is_never_awaited_takes_no_plan(scene: Scene) -> None:
    @tunable(knobs=BATCH)
    async def load(batch: int = 8) -> int:
        return batch

    assert asyncio.run(load()) == 8
    plan = tell_plan(scene, load, 32)
    load().close()
    assert asyncio.run(load()) == 32
    assert scene.ack()["plan_id"] == plan
    scene.no_more_acks()


def test_a_generator_is_given_the_value_as_it_begins(scene: Scene) -> None:
    @tunable(knobs=BATCH)
    def batches(count: int, batch: int = 8) -> Iterator[int]:
        for _ in range(count):
            yield batch

    assert list(batches(2)) == [8, 8]
    tell_plan(scene, batches, 32)
    running = batches(2)
    assert said(scene.ack()) == ("applied", 8, 32)
    assert list(running) == [32, 32]


def test_an_async_generator_is_given_the_value_as_it_begins(scene: Scene) -> None:
    @tunable(knobs=BATCH)
    async def batches(batch: int = 8) -> AsyncIterator[int]:
        yield batch

    async def all_of_it() -> List[int]:
        return [batch async for batch in batches()]

    assert asyncio.run(all_of_it()) == [8]
    tell_plan(scene, batches, 32)
    assert asyncio.run(all_of_it()) == [32]
    assert said(scene.ack()) == ("applied", 8, 32)


def test_a_class_can_be_tuned_as_it_is_made(scene: Scene) -> None:
    class Sampler:
        def __init__(self, batch: int = 8) -> None:
            self.batch = batch

    tuned = tunable(knobs=BATCH)(Sampler)
    assert tuned().batch == 8
    tell_plan(scene, tuned, 32)
    assert tuned().batch == 32


def test_the_function_keeps_its_face() -> None:
    @tunable(knobs=BATCH)
    def train(batch: int = 8) -> int:
        """Trains."""
        return batch

    assert (train.__name__, train.__doc__) == ("train", "Trains.")
    assert str(inspect.signature(train)) == "(batch: 'int' = 8) -> 'int'"
    assert train.__wrapped__(9) == 9  # type: ignore[attr-defined]


def test_a_function_that_calls_itself_takes_a_plan_once(scene: Scene) -> None:
    @tunable(knobs=BATCH)
    def descend(depth: int, batch: int = 8) -> List[int]:
        return [batch, *(descend(depth - 1) if depth else [])]

    assert descend(2) == [8, 8, 8]
    tell_plan(scene, descend, 32)
    assert descend(2) == [32, 8, 8]
    assert said(scene.ack())[0::2] == ("applied", 32)
    scene.no_more_acks()


def test_two_decorators_on_one_function_each_take_their_own_plans(scene: Scene) -> None:
    @tunable(knobs={"a": knob(1)})
    @tunable(knobs={"b": knob(1)})
    def train(a: int = 1, b: int = 1) -> Tuple[int, int]:
        return a, b

    assert train() == (1, 1)
    tell_plan(scene, train, 5, "app.a")
    tell_plan(scene, train, 6, "app.b")
    seen = [train(), train()]
    assert max(a for a, _ in seen) == 5
    assert max(b for _, b in seen) == 6
    assert {said(ack)[0] for ack in scene.acks(2).values()} == {"applied"}


def test_two_functions_of_one_name_with_other_knobs_do_not_raise(scene: Scene) -> None:
    def made(name: str) -> Any:
        def train(**values: int) -> int:
            return values.get(name, 1)

        return tunable(knobs={name: knob(1)})(train)

    first, second = made("a"), made("b")
    assert (first(), second()) == (1, 1)
    plan = tell_plan(scene, first, 5, "app.a")
    values = second(), first()
    ack = scene.ack()
    assert ack["plan_id"] == plan
    # Which of the two is meant nobody can tell. What is said is true.
    assert (ack["status"], values) in [("applied", (1, 5)), ("rejected", (1, 1))]


def test_a_plan_for_a_knob_that_the_decorator_does_not_know_is_rejected(scene: Scene) -> None:
    @tunable(knobs=BATCH)
    def train(batch: int = 8) -> int:
        return batch

    # Whoever drains before the first call takes plans for any knob.
    name = train._tunable_func_name  # type: ignore[attr-defined]
    assert scene.context.drain_actions_for(name) == []
    plan = tell_plan(scene, train, 5, "app.colour")
    assert train() == 8
    ack = scene.ack()
    assert (ack["plan_id"], ack["status"]) == (plan, "rejected")
    tell_plan(scene, train, 32)
    assert train() == 32


# -- exceptions --


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, Interrupted])
def test_an_exception_passes_and_the_value_was_applied(
    scene: Scene, error: Callable[..., BaseException]
) -> None:
    @tunable(knobs=BATCH)
    def train(batch: int = 8) -> None:
        if batch == 32:
            raise error("as the test wants it")

    train()
    tell_plan(scene, train, 32)
    with pytest.raises(BaseException, match="as the test wants it") as raised:
        train()
    assert raised.type is error
    assert said(scene.ack()) == ("applied", 8, 32)


def test_arguments_that_do_not_fit_are_the_functions_to_refuse(scene: Scene) -> None:
    @tunable(knobs=BATCH)
    def train(data: str, batch: int = 8) -> None:
        pass

    train("x")
    for args, kwargs in (
        ((), {}),
        (("x", 1, 2), {}),
        (("x",), {"no": 1}),
        (("x", 8), {"batch": 8}),
    ):
        with pytest.raises(TypeError):
            train(*args, **kwargs)  # type: ignore[arg-type]


# -- boundaries --


@pytest.mark.parametrize("at", ["tomorrow", "", None, 3, ["window_boundary"]])
def test_an_unknown_boundary_takes_nothing_and_is_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture, at: Any
) -> None:
    @tunable(knobs=BATCH)
    def train(batch: int = 8) -> int:
        return batch

    tuned: Any = train
    train()
    tell_plan(scene, train, 32)
    for _ in range(3):
        assert tuned(_apply_at=at) == 8
    assert len([r for r in caplog.records if "unknown boundary" in r.message]) == 1
    assert train() == 32


def test_a_window_boundary_leaves_what_waits_for_the_epoch(scene: Scene) -> None:
    @tunable(knobs=BATCH)
    def train(batch: int = 8) -> int:
        return batch

    tuned: Any = train
    train()
    tell_plan(scene, train, 32)
    for _ in range(3):
        assert tuned(_apply_at="window_boundary") == 8
    assert tuned(_apply_at="epoch_boundary") == 32
    assert said(scene.ack()) == ("applied", 8, 32)


def test_the_boundary_never_reaches_the_function() -> None:
    @tunable(knobs=BATCH)
    def train(batch: int = 8, **more: Any) -> Dict[str, Any]:
        return more

    tuned: Any = train
    assert tuned(_apply_at="window_boundary") == {}
    optimizer_context()
    assert tuned(_apply_at="window_boundary") == {}


# -- the values that are told --


def test_a_value_that_the_script_changes_itself_is_told(scene: Scene) -> None:
    @tunable(knobs=BATCH)
    def train(batch: int = 8) -> int:
        return batch

    assert train(16) == 16
    assert registered(scene) == {"batch": 16}
    for passed in (24, 24, 12):
        assert train(passed) == passed
        tell_plan(scene, train, passed + 1)
        assert train(batch=passed) == passed + 1
        assert said(scene.ack()) == ("applied", passed, passed + 1)


def test_a_rejection_tells_the_value_that_was_passed_last(scene: Scene) -> None:
    @tunable(knobs=BATCH)
    def train(batch: int = 8) -> int:
        return batch

    train(16)
    train(20)
    tell_plan(scene, train, "many")
    assert said(scene.ack()) == ("rejected", 20, 20)
    # Out of the range, and in force all the same.
    train(100)
    tell_plan(scene, train, "many")
    assert said(scene.ack()) == ("rejected", 100, 100)


def test_a_heartbeat_tells_the_value_in_force(scene: Scene) -> None:
    scene.context.stop()
    scene = Scene(scene.optimizer, heartbeat=0.05)

    @tunable(knobs=BATCH)
    def train(batch: int = 8) -> int:
        return batch

    train(16)
    assert registered(scene) == {"batch": 16}
    train(24)
    while registered(scene) != {"batch": 24}:
        pass
    tell_plan(scene, train, 32)
    assert train(24) == 32
    scene.ack()
    while registered(scene) != {"batch": 32}:
        pass
    train(24)
    while registered(scene) != {"batch": 24}:
        pass


UNUSABLE: List[Any] = [
    None,
    "abc",
    [1],
    {"a": 1},
    object(),
    math.nan,
    math.inf,
    10**40,
    "\udcff",
    b"bytes",
    lambda: 1,
]


class Spiteful:
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]


class Tensor:
    """Not a number, as a tensor of several elements is none."""

    def item(self) -> Any:
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")

    def __index__(self) -> int:
        raise RuntimeError("only integer tensors of a single element")

    def __float__(self) -> float:
        raise RuntimeError("only one element tensors")

    def __eq__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "value", [*UNUSABLE, Spiteful(), Tensor()], ids=lambda value: type(value).__name__
)
def test_an_argument_that_is_no_value_of_the_knob_is_passed_as_it_is(
    scene: Scene, value: Any
) -> None:
    tuned: Any = tunable(knobs={**BATCH, "other": knob(1)})(both)
    # At the first call, later, and again. It costs its own value and no more.
    assert tuned(value)[0] is value
    values = registered(scene)
    assert values["batch"] == 8 or value == 10**40
    assert values["other"] == 1
    assert tuned(8) == (8, 1)
    assert tuned(value, 2)[0] is value
    assert tuned(batch=value)[0] is value
    tell_plan(scene, tuned, 32)
    assert tuned(value) == (32, 1)
    ack = scene.ack()
    assert (ack["status"], ack["new_value"]) == ("applied", 32)


def both(batch: Any = 8, other: Any = 1) -> Tuple[Any, Any]:
    return batch, other


def test_numbers_of_other_libraries_are_numbers(scene: Scene) -> None:
    class Number:
        def __init__(self, number: int) -> None:
            self.number = number

        def __index__(self) -> int:
            return self.number

        def item(self) -> int:
            return self.number

    @tunable(knobs=BATCH)
    def train(batch: Any = 8) -> Any:
        return batch

    train(Number(16))
    assert registered(scene) == {"batch": 16}
    train(Number(24))
    tell_plan(scene, train, 32)
    assert train(Number(24)) == 32
    assert said(scene.ack()) == ("applied", 24, 32)


def test_scalars_of_numpy_are_numbers(scene: Scene) -> None:
    numpy = pytest.importorskip("numpy")

    @tunable(knobs={"batch": knob(8), "rate": knob(0.5, type=float), "on": knob(True, type=bool)})
    def train(batch: Any = 8, rate: Any = 0.5, on: Any = True) -> Tuple[Any, ...]:
        return batch, rate, on

    train(numpy.int32(16), numpy.float32(0.25), numpy.bool_(False))
    assert registered(scene) == {"batch": 16, "rate": 0.25, "on": False}
    train(numpy.int64(24), numpy.float32(0.75), numpy.bool_(True))
    for name, old, new in (("batch", 24, 32), ("rate", 0.75, 0.125), ("on", True, False)):
        tell_plan(scene, train, new, f"app.{name}")
        values = train(numpy.int64(24), numpy.float32(0.75), numpy.bool_(True))
        assert new in values
        assert said(scene.ack()) == ("applied", old, new)


@pytest.mark.parametrize("shape", [2, (2, 2)])
def test_an_array_of_numpy_is_passed_as_it_is(scene: Scene, shape: Any) -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(shape)
    tuned: Any = tunable(knobs={**BATCH, "other": knob(1)})(both)
    assert tuned(array, 5)[0] is array
    assert registered(scene) == {"batch": 8, "other": 5}
    assert tuned(array)[0] is array
    assert tuned(array + 1)[0].shape == array.shape
    tell_plan(scene, tuned, 32)
    assert tuned(array)[0] == 32


# -- definitions that make no sense --


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        5,
        None,
        {"default": None},
        knob(1, type=list),
        knob("a"),
        knob(1, range=(16, 1)),
        knob(1, range=()),
        knob(1, range=5),  # type: ignore[arg-type]
        knob(1, values=[]),
        knob(1, values=["a"]),
        knob(1, responds_to={"tag": {"apply_when": "tomorrow"}}),
        knob(1, responds_to={"tag": 5}),  # type: ignore[dict-item]
        knob(1, scope="universe"),
    ],
    ids=str,
)
def test_a_definition_that_makes_no_sense_is_logged_and_costs_that_knob_only(
    scene: Scene, caplog: pytest.LogCaptureFixture, wrong: Any
) -> None:
    tuned: Any = tunable(knobs={"other": wrong, **BATCH})(both)
    assert tuned() == (8, 1)
    registration = scene.registration()
    assert list(registration["knobs"]) == ["batch"]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert any("other" in record.getMessage() for record in errors), caplog.text
    tell_plan(scene, tuned, 32)
    assert tuned() == (32, 1)
    tell_plan(scene, tuned, 2, "app.other")
    assert tuned() == (8, 1)
    assert [scene.ack()["status"] for _ in range(2)] == ["applied", "rejected"]


def test_a_knob_without_a_parameter_is_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    @tunable(knobs={"bach": knob(8), **BATCH})
    def train(batch: int = 8) -> int:
        return batch

    assert "no parameter `bach`" in caplog.text
    train()
    assert list(scene.registration()["knobs"]) == ["batch"]


def test_a_function_without_a_usable_knob_is_called_as_it_is(scene: Scene) -> None:
    tuned: Any = tunable(knobs={"batch": knob("a")})(both)
    for _ in range(3):
        assert tuned(3) == (3, 1)
    tell_plan(scene, tuned, 32)
    assert tuned(3) == (3, 1)
    assert scene.ack()["status"] == "rejected"


# -- keep --


def test_a_kept_value_stays_for_calls_that_pass_the_same(scene: Scene) -> None:
    @tunable(knobs=BATCH, keep=True)
    def train(batch: int = 8) -> int:
        return batch

    assert train() == 8
    registered(scene)
    tell_plan(scene, train, 32)
    assert [train() for _ in range(3)] == [32, 32, 32]
    assert said(scene.ack()) == ("applied", 8, 32)
    assert [train(8), train(batch=8)] == [32, 32]
    tell_plan(scene, train, 48)
    assert [train(), train(8)] == [48, 48]
    assert said(scene.ack()) == ("applied", 32, 48)


def test_another_argument_wins_over_a_kept_value_and_is_told(scene: Scene) -> None:
    @tunable(knobs=BATCH, keep=True)
    def train(batch: int = 8) -> int:
        return batch

    train()
    tell_plan(scene, train, 32)
    assert train() == 32
    scene.ack()
    assert train(16) == 16
    tell_plan(scene, train, "many")
    assert said(scene.ack()) == ("rejected", 16, 16)
    # What was kept is gone, also for calls that pass what they passed before.
    assert train() == 8
    tell_plan(scene, train, "many")
    assert said(scene.ack()) == ("rejected", 8, 8)


def test_kept_values_of_several_parameters_are_apart(scene: Scene) -> None:
    tuned: Any = tunable(knobs={**BATCH, "other": knob(1)}, keep=True)(both)
    tuned()
    tell_plan(scene, tuned, 32)
    assert tuned() == (32, 1)
    tell_plan(scene, tuned, 5, "app.other")
    assert tuned() == (32, 5)
    assert tuned(other=1) == (32, 5)
    assert tuned(9) == (9, 5)
    assert tuned(9, 7) == (9, 7)
    assert tuned(9) == (9, 1)


def test_a_kept_value_ends_with_its_context(scene: Scene) -> None:
    @tunable(knobs=BATCH, keep=True)
    def train(batch: int = 8) -> int:
        return batch

    train()
    tell_plan(scene, train, 32)
    assert train() == 32
    scene.context.stop()
    assert train() == 8


def test_a_kept_value_is_kept_for_an_async_function(scene: Scene) -> None:
    @tunable(knobs=BATCH, keep=True)
    async def load(batch: int = 8) -> int:
        return batch

    assert asyncio.run(load()) == 8
    tell_plan(scene, load, 32)
    assert [asyncio.run(load()) for _ in range(3)] == [32, 32, 32]


# -- contexts --


def test_without_a_context_the_function_is_called_as_it_is() -> None:
    tuned: Any = tunable(knobs=BATCH)(both)
    marker = object()
    assert tuned(marker, other=marker) == (marker, marker)


def test_a_context_that_comes_later_is_found(scene: Scene) -> None:
    scene.context.stop()
    tuned: Any = tunable(knobs=BATCH)(both)
    assert tuned(9) == (9, 1)
    for _ in range(2):
        scene = Scene(scene.optimizer)
        assert tuned(9) == (9, 1)
        assert registered(scene) == {"batch": 9}
        tell_plan(scene, tuned, 32)
        assert tuned(9) == (32, 1)
        assert said(scene.ack()) == ("applied", 9, 32)
        scene.context.stop()
        assert tuned(9) == (9, 1)


def test_the_knobs_can_be_registered_before_the_first_call(scene: Scene) -> None:
    tuned: Any = tunable(knobs={**BATCH, "other": knob(1)})(both)
    tuned._tunable_register(scene.context, {"batch": 12})
    assert registered(scene) == {"batch": 12, "other": 1}
    assert set(tuned._tunable_knobs) == {"batch", "other"}
    tell_plan(scene, tuned, 32)
    assert tuned(8) == (32, 1)


# -- threads --


def test_of_many_threads_one_takes_a_plan(scene: Scene) -> None:
    threads, rounds = 8, 20
    begin, end = threading.Barrier(threads + 1), threading.Barrier(threads + 1)
    seen: List[int] = []

    @tunable(knobs={"batch": knob(0, range=(0, 1000))})
    def train(batch: int = 0) -> None:
        if batch:
            seen.append(batch)

    def work() -> None:
        for _ in range(rounds):
            begin.wait(DEADLINE)
            for _ in range(50):
                train()
            end.wait(DEADLINE)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    train()
    plans = []
    for value in range(1, rounds + 1):
        plans.append(tell_plan(scene, train, value))
        begin.wait(DEADLINE)
        end.wait(DEADLINE)
    for worker in workers:
        worker.join(DEADLINE)
    assert seen == list(range(1, rounds + 1))
    assert list(scene.acks(rounds)) == plans
    scene.no_more_acks()


def test_each_thread_gets_back_its_own_arguments(endpoints: Endpoints) -> None:
    context = optimizer_context("app", zmq_plans_endpoint=endpoints.plans)
    wrong: List[Any] = []
    stop = threading.Event()
    last = 2000

    @tunable(knobs={"batch": knob(0, range=(0, last))}, keep=True)
    def train(batch: int, token: int) -> Tuple[int, int]:
        return batch, token

    name = train._tunable_func_name  # type: ignore[attr-defined]
    train(0, 0)

    def work(own: int) -> None:
        try:
            while not stop.is_set():
                batch, token = train(0, own)
                if token != own or batch not in range(last + 1):
                    wrong.append((own, batch, token))
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(1, 5)]
    with switching_often():
        for worker in workers:
            worker.start()
        for value in range(1, last + 1):
            context.enqueue_action(plan_for("app.batch", value, name))
            if value % 3 == 0:
                # Another argument: nothing is kept any more.
                train(1, 0)
        stop.set()
        for worker in workers:
            worker.join(DEADLINE)
    assert wrong == []


@contextlib.contextmanager
def switching_often() -> Iterator[None]:
    """Threads take turns as often as they can: what is not safe shows then."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def test_plans_that_come_while_the_function_runs_wait_for_the_next_call(scene: Scene) -> None:
    @tunable(knobs=BATCH)
    def train(batch: int = 8, during: Optional[Callable[[], object]] = None) -> int:
        if during is not None:
            during()
        return batch

    train()
    assert train(during=lambda: tell_plan(scene, train, 32)) == 8
    before = received(scene.context)
    assert train(during=lambda: tell_plan(scene, train, 40)) == 32
    wait_received(scene.context, before + 1)
    assert train() == 40
    assert [said(scene.ack()) for _ in range(2)] == [("applied", 8, 32), ("applied", 8, 40)]


def test_threads_may_decorate_functions_of_one_name_and_call_them(endpoints: Endpoints) -> None:
    context = optimizer_context("app", zmq_plans_endpoint=endpoints.plans)
    alive: List[Callable[[], int]] = []
    wrong: List[BaseException] = []

    def made() -> Callable[[], int]:
        @tunable(knobs={"batch": knob(0, range=(0, 10_000))})
        def train(batch: int = 0) -> int:
            return batch

        alive.append(train)
        return train

    name = made()._tunable_func_name  # type: ignore[attr-defined]
    begin = threading.Barrier(4)

    def work() -> None:
        begin.wait(DEADLINE)
        try:
            for number in range(1, 150):
                function = made()
                function()
                context.enqueue_action(plan_for("app.batch", number, name))
                function()
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    with switching_often():
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(DEADLINE)
    assert wrong == []
