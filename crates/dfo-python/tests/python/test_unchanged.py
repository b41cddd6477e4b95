"""Scripts that were written for the original run unchanged.

The scripts here use the original's interface as its users do, and nothing else: each runs on the original
too. What is new comes from outside of them, from the environment: the control address.
"""

from __future__ import annotations

import dataclasses
import inspect
import socket
from typing import Any, Callable, Dict, List, Tuple

import pytest
from conftest import Endpoints, Optimizer
from scene import Script, plan_for, run, said, wait_until

import dfoptimizer
from dfoptimizer import runtime, types
from dfoptimizer.runtime import OptimizerContext, Window
from dfoptimizer.runtime.knob import knob_def_from_dict, knob_def_from_wire, knob_def_to_wire
from dfoptimizer.types import ActionPlan

NODE = socket.gethostname()


# -- the scripts --

#: A loader behind the decorator, called at both boundaries, as in a training with epochs and steps. What
#: the call gives back is what the next call passes.
WITH_THE_DECORATOR = """
import json, os
from dfoptimizer import knob, optimizer_context, tunable
from dfoptimizer.runtime import Window

context = optimizer_context(namespace="dlio", zmq_plans_endpoint=os.environ["PLANS"])

class DLIOBenchmark:
    @tunable(knobs={
        "prefetch_size": knob(
            default=2, range=(1, 16), type=int,
            responds_to={
                "dataloader_prefetch": {
                    "direction": "increase", "step": 2, "apply_when": "window_boundary",
                },
            },
        ),
        "read_threads": knob(
            default=1, type=int, range=(0, 8),
            responds_to={"reader_parallelism": {"direction": "increase", "step_mode": "evidence"}},
        ),
    })
    def make_loader(self, epoch, prefetch_size=2, read_threads=1, **options):
        assert options == {"shuffle": True}, options
        return prefetch_size, read_threads

benchmark = DLIOBenchmark()
window = Window(None)
prefetch, threads, epoch = 2, 4, 0

def call(**more):
    global prefetch, threads
    before = prefetch, threads
    prefetch, threads = benchmark.make_loader(
        epoch, prefetch_size=prefetch, read_threads=threads, shuffle=True, **more
    )
    if (prefetch, threads) != before:
        print(json.dumps([more.get("_apply_at", "epoch"), prefetch, threads]), flush=True)

while threads != 8:
    for step in range(4):
        window.start()
        call(_apply_at="window_boundary")
        window.stop()
    window.flush()
    call()
    epoch += 1
context.stop()
"""

#: The weather model: no decorator, definitions by hand, drained every few steps, each plan acknowledged.
OF_A_WEATHER_MODEL = """
import json, os
from dfoptimizer import knob, optimizer_context
from dfoptimizer.runtime import Window
from dfoptimizer.runtime.knob import knob_def_from_dict

OWNER = "stormer.make_loader"
context = optimizer_context(
    namespace="stormer",
    protocol="",
    group_file=os.environ.get("MOFKA_GROUP_FILE", ""),
    zmq_plans_endpoint=os.environ["PLANS"],
)
definitions = {
    "num_workers": knob_def_from_dict(
        "stormer.num_workers",
        knob(
            default=4, type=int, range=(0, 16),
            responds_to={
                "reader_parallelism": {
                    "direction": "increase", "step": 2, "apply_when": "window_boundary",
                },
            },
        ),
        target_function=OWNER,
    ),
    "prefetch_factor": knob_def_from_dict(
        "stormer.prefetch_factor",
        knob(default=2, values=[1, 2, 4, 8], responds_to={"dataloader_prefetch": {"step": 1}}),
        target_function=OWNER,
    ),
}
loader = {"num_workers": 4, "prefetch_factor": 2}
context.register_knobs(OWNER, definitions, current_values=dict(loader))
window = Window(None)
step = 0
while loader["prefetch_factor"] != 8:
    window.start()
    step += 1
    if step % 5 == 0:
        for plan in context.drain_actions_for(OWNER, at="window_boundary"):
            name = plan.knob_id.split(".", 1)[1]
            if name not in loader:
                context.ack_action(plan, None, None, status="rejected")
                continue
            old, loader[name] = loader[name], int(plan.new_value)
            context.ack_action(plan, old, loader[name])
            print(json.dumps([plan.plan_id, name, old, loader[name], plan.target_nodes]), flush=True)
    window.stop()
context.stop()
"""

#: Only takes plans; its knobs are known to the optimizer from elsewhere.
THAT_ONLY_TAKES_PLANS = """
import json, os
from dfoptimizer.runtime import OptimizerContext

context = OptimizerContext("dlio", zmq_plans_endpoint=os.environ["PLANS"], zmq_plans_bind=False)
context.start()
taken = []
while len(taken) < 3:
    for plan in context.drain_actions_for("DLIOBenchmark.make_loader", "window_boundary"):
        taken.append([plan.knob_id, plan.new_value, plan.apply_when, plan.window_index])
        context.ack_action(plan, plan.old_value, plan.new_value, "applied")
        print(json.dumps(taken[-1]), flush=True)
context.stop()
"""

#: Puts plans in by hand, as tests and direct injection do.
THAT_PUTS_PLANS_IN = """
from dfoptimizer import knob, optimizer_context, tunable
from dfoptimizer.types import ActionPlan

context = optimizer_context("app", "", "", "plans", "acks", "registry", "ipc:///nowhere/plans")

def plan(plan_id, new_value, apply_when="epoch_boundary", function="train"):
    return ActionPlan(
        plan_id, "app.batch", function, 8, new_value, apply_when, "by hand", "fetch_pressure", 0.9,
        "dataloader_prefetch", 3,
    )

@tunable(knobs={"batch": knob(8, int, (1, 64))})
def train(batch):
    return batch

assert train(batch=8) == 8
context.enqueue_action(plan("p1", 16))
context.enqueue_action(plan("p2", 32))
assert train(batch=8, _apply_at="window_boundary") == 8
assert train(batch=8) == 32
assert train(batch=8) == 8
context.enqueue_action(plan("p3", 100))
assert train(batch=8) == 64
context.enqueue_action(plan("p4", 16, "window_boundary", function="loop"))
context.enqueue_action(plan("p5", 24, "epoch_boundary", function="loop"))
assert context.drain_actions_for("loop", at="window_boundary") == []
[taken] = context.drain_actions_for("loop")
assert taken == plan("p5", 24, "epoch_boundary", function="loop"), taken
context.ack_action(taken, 8, 24)
assert context.drain_actions_for("loop") == []
context.stop()
"""

#: Without an endpoint nothing happens, and all the calls are there.
WITHOUT_AN_OPTIMIZER = """
from dfoptimizer import knob, optimizer_context, tunable
from dfoptimizer.runtime import OptimizerContext, Window
from dfoptimizer.runtime.knob import knob_def_from_dict, knob_def_from_wire, knob_def_to_wire

spec = knob(default=2, range=(1, 16), responds_to={"dataloader_prefetch": {"step": 2}})

@tunable(knobs={"batch": spec})
def train(batch, *rest, **more):
    return batch, rest, more

assert train(3) == (3, (), {})
assert train(3, 4, five=5, _apply_at="window_boundary") == (3, (4,), {"five": 5})
context = optimizer_context(group_file="/no/such/file")
assert context._noop
assert optimizer_context() is context
assert isinstance(context, OptimizerContext)
assert train(batch=3, _apply_at="epoch_boundary") == (3, (), {})
definition = knob_def_from_dict("app.batch", spec, "train")
assert knob_def_from_wire(knob_def_to_wire(definition)) == definition
assert definition.clamp(99) == 16
context.register_knobs("train", {"batch": definition})
context.register_knobs("train", {"batch": definition}, {"batch": 3})
assert context.drain_actions_for("train") == []
assert context.drain_actions_for("train", at="next_window") == []
train._tunable_register(context)
assert train._tunable_func_name == "train"
window = Window(None, max_every_n=4)
assert window.start() and window.stop()
context.start()
context.stop()
"""


# -- and what they do --


def test_a_script_with_the_decorator_runs_unchanged(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    control = {"DFOPTIMIZER_ZMQ_CONTROL": endpoints.control}
    with Script(WITH_THE_DECORATOR, endpoints, control) as script:
        registration = optimizer.next_registration()
        name = "DLIOBenchmark.make_loader"
        assert (registration["namespace"], registration["function_name"]) == ("dlio", name)
        assert registration["current_values"] == {"prefetch_size": 2, "read_threads": 4}
        definition = registration["knobs"]["prefetch_size"]
        assert (definition["id"], definition["target_function"]) == ("dlio.prefetch_size", name)
        assert (definition["type"], definition["range"]) == ("int", [1, 16])
        assert definition["responds_to"]["dataloader_prefetch"] == {
            **dataclasses.asdict(types.KnobResponse(step=2)),
            "apply_when": "window_boundary",
        }
        assert registration["node"] == NODE

        fields: Dict[str, Any] = {"target_function": name, "apply_when": "window_boundary"}
        elsewhere = optimizer.send_plan(
            "dlio.prefetch_size", 9, **fields, target_nodes=["elsewhere"]
        )
        first = optimizer.send_plan("dlio.prefetch_size", 4, **fields, target_nodes=[NODE])
        ack = optimizer.next_ack()
        assert (ack["plan_id"], *said(ack)) == (first, "applied", 2, 4)
        # The end of an epoch is the end of a window too.
        assert script.json() in (["window_boundary", 4, 4], ["epoch", 4, 4])

        unknown = optimizer.send_plan("dlio.colour", 4, **fields)
        assert optimizer.next_ack()["plan_id"] == unknown
        second = optimizer.send_plan("dlio.read_threads", 99, target_function=name)
        last = optimizer.next_ack()
        assert (last["plan_id"], *said(last)) == (second, "applied", 4, 8)
        assert script.json() == ["epoch", 4, 8]
        for answer in (ack, last):
            assert answer["window_index"] >= 1
            assert answer["target_nodes"] == [answer["node"]] == [NODE]
            assert answer["instance"] == registration["instance"]
        assert last["window_index"] >= ack["window_index"]
        assert script.succeeds() == []
        assert optimizer.wait_stop()["instance"] == registration["instance"]
    plans_answered = [r["plan_id"] for m, r in optimizer.records if m["type"] == "action_ack"]
    assert elsewhere not in plans_answered


def test_the_script_of_a_weather_model_runs_unchanged(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    control = {"DFOPTIMIZER_ZMQ_CONTROL": endpoints.control}
    with Script(OF_A_WEATHER_MODEL, endpoints, control) as script:
        registration = optimizer.next_registration()
        assert registration["function_name"] == "stormer.make_loader"
        assert registration["current_values"] == {"num_workers": 4, "prefetch_factor": 2}
        assert registration["knobs"]["prefetch_factor"]["values"] == [1, 2, 4, 8]
        assert registration["node"] == NODE
        fields = {"target_function": "stormer.make_loader", "apply_when": "window_boundary"}
        for knob_id, old, new in (
            ("stormer.num_workers", 4, 8),
            ("stormer.num_workers", 8, 0),
            ("stormer.prefetch_factor", 2, 8),
        ):
            plan = optimizer.send_plan(knob_id, new, **fields)
            ack = optimizer.next_ack()
            assert (ack["plan_id"], *said(ack)) == (plan, "applied", old, new)
            assert script.json() == [plan, knob_id.split(".")[1], old, new, []]
            assert ack["window_index"] >= 5
            assert (ack["window_index"]) % 5 == 0
            assert (ack["node"], ack["target_nodes"]) == (NODE, [NODE])
            assert ack["instance"] == registration["instance"]
        assert script.succeeds() == []


def test_a_script_that_only_takes_plans_runs_unchanged(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    with Script(THAT_ONLY_TAKES_PLANS, endpoints) as script:
        for value in (4, 8.5, "fast"):
            optimizer.send_plan(
                "dlio.prefetch_size",
                value,
                target_function="DLIOBenchmark.make_loader",
                apply_when="window_boundary",
                window_index=7,
            )
            assert script.json() == ["dlio.prefetch_size", value, "window_boundary", 7]
        assert script.succeeds() == []
    assert not optimizer.records


def test_a_plan_that_comes_before_the_first_drain_is_not_lost(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    with OptimizerContext("dlio", zmq_plans_endpoint=endpoints.plans) as context:
        function = "DLIOBenchmark.make_loader"
        for knob_id, value in (("dlio.a", 1), ("dlio.b", 2), ("dlio.a", 3)):
            optimizer.send_plan(knob_id, value, target_function=function)
        wait_until(context, lambda now: now["plans"]["received"] == 3)
        assert context.drain_actions_for("another.function") == []
        assert context.drain_actions_for(function, at="window_boundary") == []
        plans = context.drain_actions_for(function)
        assert sorted((plan.knob_id, plan.new_value) for plan in plans) == [
            ("dlio.a", 3),
            ("dlio.b", 2),
        ]
        assert all(isinstance(plan, ActionPlan) for plan in plans)
        for plan in plans:
            context.ack_action(plan, None, plan.new_value)
        assert context.drain_actions_for(function) == []


def test_a_script_that_puts_plans_in_by_hand_runs_unchanged() -> None:
    assert run(THAT_PUTS_PLANS_IN) == []


def test_a_script_without_an_optimizer_runs_unchanged() -> None:
    assert run(WITHOUT_AN_OPTIMIZER) == []


def test_plans_can_be_put_in_where_there_is_no_optimizer() -> None:
    context = dfoptimizer.optimizer_context()
    assert context._noop
    context.enqueue_action(plan_for("app.batch", 16, "loop"))
    [plan] = context.drain_actions_for("loop")
    assert plan.new_value == 16
    context.ack_action(plan, 8, 16)


# -- windows --


class Tracer:
    """Takes down its calls, as DFTracer's Python binding is called."""

    def __init__(self) -> None:
        self.calls: List[Any] = []
        self.time = 100

    def get_time(self) -> int:
        self.time += 1
        return self.time

    def enter_event(self) -> None:
        self.calls.append("enter")

    def log_event(self, **fields: Any) -> None:
        assert list(fields) == ["name", "cat", "start_time", "duration", "int_args"]
        assert isinstance(fields["start_time"], int)
        assert isinstance(fields["duration"], int)
        self.calls.append((fields["name"], fields["cat"], fields["int_args"]))

    def exit_event(self) -> None:
        self.calls.append("exit")

    def marks(self) -> List[Tuple[str, int]]:
        """What was marked, and with which window."""
        marks = [call for call in self.calls if isinstance(call, tuple)]
        return [(name, int_args["window_index"][1]) for name, _, int_args in marks]


def mark(name: str, **values: int) -> List[Any]:
    """The calls of a mark. The tracer takes an integer as the kind of tag and the value."""
    int_args = {name: (0, value) for name, value in values.items()}
    return ["enter", (name, "window", int_args), "exit"]


def test_the_marks_of_a_window_are_events_of_the_tracer_in_its_form() -> None:
    tracer = Tracer()
    window = Window(tracer)
    assert window.start() is True
    assert window.stop() is True
    window.increase_cadence()
    assert window.start() is False
    assert window.start() is True
    assert window.flush() is True
    assert tracer.calls == [
        *mark("window.start", window_index=1, every_n=1, counter=1),
        *mark("window.stop", window_index=1, every_n=1, counter=1),
        *mark("window.start", window_index=2, every_n=2, counter=3),
        *mark("window.stop", window_index=2, every_n=2, counter=3, flush=1),
    ]


def test_a_mark_says_when_and_the_end_of_a_window_how_long_it_was() -> None:
    times: List[Tuple[str, int, int]] = []

    class Clock(Tracer):
        def log_event(self, **fields: Any) -> None:
            times.append((fields["name"], fields["start_time"], fields["duration"]))

    clock = Clock()
    window = Window(clock)
    window.start()
    clock.time = 150
    window.stop()
    window.start()
    clock.time = 250
    window.flush()
    assert times == [
        ("window.start", 101, 0),
        ("window.stop", 101, 50),
        ("window.start", 152, 0),
        ("window.stop", 152, 99),
    ]


def test_windows_of_several_iterations_begin_with_the_first_and_end_with_the_last() -> None:
    tracer = Tracer()
    window = Window(tracer, max_every_n=4)
    window.update_cadence(3)
    marks = [(window.start(), window.stop()) for _ in range(7)]
    assert marks == [
        *((True, False), (False, False), (False, True)),
        *((True, False), (False, False), (False, True)),
        (True, False),
    ]
    assert (window.counter, window.window_index, window.every_n) == (7, 3, 3)
    assert window.flush()
    assert not window.flush()
    assert (window.counter, window.window_index, window.every_n) == (0, 3, 3)
    assert tracer.marks() == [
        *(("window.start", 1), ("window.stop", 1)),
        *(("window.start", 2), ("window.stop", 2)),
        *(("window.start", 3), ("window.stop", 3)),
    ]


def test_the_cadence_doubles_and_halves_within_its_bounds() -> None:
    window = Window(None, 6)
    seen = []
    for change in [window.increase_cadence] * 4 + [window.decrease_cadence] * 4:
        change()
        seen.append(window.every_n)
    for wanted in (5, 100, -1):
        window.update_cadence(wanted)
        seen.append(window.every_n)
    assert seen == [2, 4, 6, 6, 3, 1, 1, 1, 5, 6, 1]


def test_a_tracer_may_look_at_the_window_that_it_is_told_of() -> None:
    seen: List[Tuple[int, int, int]] = []

    class Curious(Tracer):
        def log_event(self, **fields: Any) -> None:
            seen.append((window.window_index, window.every_n, window.counter))

    window = Window(Curious())
    window.start()
    window.stop()
    assert seen == [(1, 1, 1), (1, 1, 1)]


def test_what_a_tracer_raises_reaches_the_script_and_the_window_goes_on() -> None:
    class Broken(Tracer):
        broken = True

        def log_event(self, **fields: Any) -> None:
            if self.broken:
                raise OSError("the disk is full")

    tracer = Broken()
    window = Window(tracer)
    with pytest.raises(OSError, match="the disk is full"):
        window.start()
    tracer.broken = False
    assert window.stop()
    assert window.start()
    assert window.window_index == 2


def test_a_window_can_be_a_base_class() -> None:
    class Epochs(Window):
        def __init__(self, tracer: Any, name: str) -> None:
            super().__init__(tracer, max_every_n=2)
            self.name = name

    window = Epochs(None, "epochs")
    window.update_cadence(9)
    assert (window.name, window.every_n) == ("epochs", 2)


# -- signatures --

Parameters = List[Tuple[str, Any]]
NONE = inspect.Parameter.empty

#: As the original has them, in their order: names, and defaults where there are any.
CONTEXT: Parameters = [
    ("namespace", "app"),
    ("protocol", ""),
    ("group_file", ""),
    ("topic_plans", "optimizer.plans"),
    ("topic_acks", "optimizer.acks"),
    ("topic_registry", "optimizer.registry"),
    ("zmq_plans_endpoint", ""),
]
SIGNATURES: List[Tuple[Callable[..., Any], Parameters]] = [
    (
        dfoptimizer.knob,
        [
            ("default", NONE),
            ("type", int),
            ("range", None),
            ("values", None),
            ("scope", "job"),
            ("responds_to", None),
        ],
    ),
    (dfoptimizer.tunable, [("knobs", NONE)]),
    (dfoptimizer.optimizer_context, CONTEXT),
    (OptimizerContext, [*CONTEXT, ("zmq_plans_bind", False)]),
    (OptimizerContext.start, [("self", NONE)]),
    (OptimizerContext.stop, [("self", NONE)]),
    (OptimizerContext.enqueue_action, [("self", NONE), ("plan", NONE)]),
    (
        OptimizerContext.drain_actions_for,
        [("self", NONE), ("func_name", NONE), ("at", "epoch_boundary")],
    ),
    (
        OptimizerContext.ack_action,
        [
            ("self", NONE),
            ("plan", NONE),
            ("old_value", NONE),
            ("new_value", NONE),
            ("status", "applied"),
        ],
    ),
    (
        OptimizerContext.register_knobs,
        [("self", NONE), ("func_name", NONE), ("knob_defs", NONE), ("current_values", None)],
    ),
    (Window.update_cadence, [("self", NONE), ("new_every_n", NONE)]),
    *((getattr(Window, name), [("self", NONE)]) for name in ("start", "stop", "flush")),
    *((getattr(Window, f"{way}_cadence"), [("self", NONE)]) for way in ("increase", "decrease")),
    (
        knob_def_from_dict,
        [("knob_id", NONE), ("spec", NONE), ("target_function", "")],
    ),
]


@pytest.mark.parametrize(
    ("function", "expected"), SIGNATURES, ids=lambda value: getattr(value, "__qualname__", "")
)
def test_a_signature_begins_as_the_originals(
    function: Callable[..., Any], expected: Parameters
) -> None:
    parameters = list(inspect.signature(function).parameters.values())
    begin = parameters[: len(expected)]
    assert [(p.name, p.default) for p in begin] == expected
    by_position = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY
    assert all(p.kind in by_position for p in begin)
    # What is ours can be left out.
    assert all(p.default is not NONE for p in parameters[len(expected) :])


def test_a_window_takes_the_tracer_and_the_maximum_in_this_order() -> None:
    parameters = list(inspect.signature(Window).parameters)
    assert parameters == ["tracer", "max_every_n"]
    assert Window(None, 3).max_every_n == 3


FIELDS: List[Tuple[type, List[str]]] = [
    (
        types.KnobResponse,
        [
            *("direction", "step", "step_mode", "set_to", "min_severity", "min_persistence"),
            *("cooldown_windows", "apply_when", "effectiveness_threshold"),
        ],
    ),
    (
        types.KnobDef,
        [
            *("id", "default", "type", "range", "values", "scope", "responds_to"),
            "target_function",
        ],
    ),
    (
        types.ActionPlan,
        [
            *("plan_id", "knob_id", "target_function", "old_value", "new_value", "apply_when"),
            *("rationale", "finding_type", "severity", "opportunity_tag", "window_index"),
            "target_nodes",
        ],
    ),
    (
        types.ActionAck,
        ["plan_id", "knob_id", "status", "old_value", "new_value", "reason"],
    ),
    (
        types.DiagnosisFindingMsg,
        [
            *("finding_type", "motif", "severity", "severity_score", "confidence", "prevalence"),
            *("persistence", "trend_direction", "contributing_facts", "recommendation_bundle"),
            *("opportunity_tags", "summary", "scope", "layer", "support_windows"),
            *("last_seen_window", "window_index", "publish_mode", "suppresses_tags"),
            "key_metrics",
        ],
    ),
    (types.KnobRegistration, ["namespace", "function_name", "knobs"]),
]


@pytest.mark.parametrize(
    ("record", "expected"), FIELDS, ids=lambda value: getattr(value, "__name__", "")
)
def test_the_fields_of_a_record_begin_as_the_originals(record: type, expected: List[str]) -> None:
    fields = dataclasses.fields(record)
    assert [field.name for field in fields][: len(expected)] == expected
    missing = dataclasses.MISSING
    ours = fields[len(expected) :]
    assert all(f.default is not missing or f.default_factory is not missing for f in ours)


def test_the_names_are_where_scripts_import_them_from() -> None:
    for name in ("optimizer_context", "tunable", "knob"):
        assert getattr(dfoptimizer, name) is getattr(runtime, name)
    assert {"OptimizerContext", "Window"} <= set(dir(runtime))
    assert set(runtime.__all__) <= set(dir(runtime))
    assert set(dfoptimizer.__all__) <= set(dir(dfoptimizer))


# -- knobs --


def test_a_knob_is_a_dict_with_the_originals_keys() -> None:
    assert dfoptimizer.knob(2, int, (1, 16), None, "node", {"tag": {"step": 1}}) == {
        "default": 2,
        "type": int,
        "range": (1, 16),
        "values": None,
        "scope": "node",
        "responds_to": {"tag": {"step": 1}},
    }
    assert dfoptimizer.knob(2)["responds_to"] == {}


def test_the_missing_fields_of_a_response_take_the_defaults_of_the_wire() -> None:
    spec = dfoptimizer.knob(2, responds_to={"tag": {}})
    wire = knob_def_to_wire(knob_def_from_dict("app.k", spec, "train"))
    assert wire["responds_to"] == {
        "tag": {
            "direction": "increase",
            "step": None,
            "step_mode": "add",
            "set_to": None,
            "min_severity": 0.5,
            "min_persistence": 2,
            "cooldown_windows": 3,
            "apply_when": "epoch_boundary",
            "effectiveness_threshold": 0.10,
        }
    }
    assert list(wire) == [
        *("id", "default", "type", "range", "values", "scope", "responds_to", "target_function")
    ]


@pytest.mark.parametrize(("kind", "default"), [(int, 2), (float, 0.5), (str, "a"), (bool, True)])
def test_a_definition_comes_back_from_the_wire_as_it_was(kind: type, default: Any) -> None:
    spec = dfoptimizer.knob(default, kind, responds_to={"tag": {"direction": "set"}})
    definition = knob_def_from_dict("app.k", spec, "train")
    assert knob_def_from_wire(knob_def_to_wire(definition)) == definition


def test_a_value_is_clamped_as_the_type_and_the_range_say() -> None:
    def definition(spec: Dict[str, Any]) -> types.KnobDef:
        return knob_def_from_dict("app.k", spec)

    within = definition(dfoptimizer.knob(2, int, (1, 16)))
    assert [within.clamp(value) for value in (0, 1, 7.0, 99)] == [1, 1, 7, 16]
    listed = definition(dfoptimizer.knob(1, values=[1, 2, 4]))
    assert listed.clamp(4) == 4
    for wrong in (3, None, "4", [4]):
        with pytest.raises(ValueError, match="app.k"):
            listed.clamp(wrong)
    free = definition(dfoptimizer.knob(0.5, float))
    assert free.clamp(3) == 3.0
