"""The connection to the optimizer.

What waits, receives and sends is a thread outside of Python, which never holds the interpreter's lock.
Nothing here raises because of what an optimizer sent or because none is there.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import threading
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

from .. import _native
from ..types import KnobDef
from .knob import knob_def_from_dict, knob_def_to_wire

if TYPE_CHECKING:
    from types import TracebackType

    from .._native import Change
    from ..types import ActionPlan, Value

logger = logging.getLogger("dfoptimizer")
logger.addHandler(logging.NullHandler())

BOUNDARIES = ("epoch_boundary", "window_boundary", "next_window")

#: How long ``stop`` tries to send what waits, and how long the end of the process does; seconds.
_STOP_SECONDS = 2.0
_EXIT_SECONDS = 0.5

#: The process's context, once :func:`optimizer_context` has made it.
_global_context: Optional[OptimizerContext] = None
_lock = threading.RLock()
#: Started and not stopped yet: they live on without a reference to them.
_alive: Set[OptimizerContext] = set()


class KnobsRefused(ValueError):
    """Knobs that make no sense; none of them was registered.

    ``problems`` has a line for each: the knob, the field, and what to write in its place.
    """

    def __init__(self, function: str, problems: List[str]) -> None:
        super().__init__(f"{function}: {'; '.join(problems)}")
        self.problems = problems


class OptimizerContext:
    """One script's connection to the optimizer: knobs go out, plans come in, answers go back.

    Most scripts take the process's own from :func:`optimizer_context`. One of your own is started with
    :meth:`start` and ended with :meth:`stop`, or by ``with``.

    With ``zmq_plans_endpoint`` (``tcp://HOST:PORT`` or ``ipc://PATH``, where ``dfo serve zmq`` sends plans)
    there is a way to the optimizer; without it nothing happens, and the script runs as if this were not
    there. ``zmq_control_endpoint`` (or ``DFOPTIMIZER_ZMQ_CONTROL``) is where registrations and answers go;
    without it none are sent. ``zmq_plans_pattern`` (or ``DFOPTIMIZER_ZMQ_PLANS_PATTERN``) is ``push``, where
    this process alone fetches plans, or ``pub``, where every process gets them. ``node`` is the name of this
    node as findings call it: without it the name of the host. ``heartbeat``: how often registrations are
    repeated, in seconds.

    All methods may be called from any thread. In a forked child all is quiet: no plans come, nothing is
    sent. A child that wants plans makes and starts a context of its own.
    """

    def __init__(
        self,
        namespace: str = "app",
        protocol: str = "",
        group_file: str = "",
        topic_plans: str = "optimizer.plans",
        topic_acks: str = "optimizer.acks",
        topic_registry: str = "optimizer.registry",
        zmq_plans_endpoint: str = "",
        zmq_plans_bind: bool = False,
        *,
        zmq_control_endpoint: str = "",
        zmq_plans_pattern: str = "",
        node: str = "",
        heartbeat: float = 10.0,
    ) -> None:
        variable = os.environ.get
        self.namespace = namespace or "app"
        self.protocol = protocol
        self.group_file = group_file
        self.topic_plans = topic_plans
        self.topic_acks = topic_acks
        self.topic_registry = topic_registry
        self.zmq_plans_endpoint = zmq_plans_endpoint
        self.zmq_plans_bind = zmq_plans_bind
        self.zmq_control_endpoint = zmq_control_endpoint or variable("DFOPTIMIZER_ZMQ_CONTROL", "")
        self.zmq_plans_pattern = zmq_plans_pattern or variable("DFOPTIMIZER_ZMQ_PLANS_PATTERN", "")
        self.heartbeat = heartbeat
        self._node = node or None
        #: Whether there is no way to the optimizer, and never will be.
        self._noop = not zmq_plans_endpoint
        self._is_started = False
        self._native = _native.Context(self.namespace, self._node, None, heartbeat)
        self._functions: Dict[str, _native.Function] = {}
        #: Registrations, by function, as they were last made.
        self._declared: Dict[str, Dict[str, Any]] = {}
        #: Plans put in by hand that nobody has taken yet: they come along when it is started.
        self._by_hand: Dict[str, ActionPlan] = {}
        #: Plans that were drained and not answered, by function and knob.
        self._in_hand: Dict[Tuple[str, str], Tuple[_native.Function, Change]] = {}
        self._told: Dict[str, Any] = {}
        self._warned: Set[str] = set()
        #: What :func:`optimizer_context` was called with.
        self._arguments: Dict[str, Any] = {}

    # -- life --

    def start(self) -> None:
        """Opens the way to the optimizer, which need not be there yet.

        Raises nothing: where the addresses make no sense, that is logged, and the script runs on without
        an optimizer.
        """
        with _lock:
            if self._is_started:
                return
            self._is_started = True
            if self._noop:
                self._say_why_there_is_nothing()
                return
            try:
                self._native = _native.Context(
                    self.namespace, self._node, self._options(), self.heartbeat
                )
            except ValueError as error:
                self._noop = True
                logger.error("not started, no plans will come: %s", error)
                return
            before, self._functions = self._functions, {}
            for name, registration in self._declared.items():
                self._register(name, _with_values(registration, before.get(name)), strict=False)
            for plan in list(self._by_hand.values()):
                self._stage(plan)
            _alive.add(self)
        logger.info(
            "started: plans from %s%s, answers to %s; node %s, instance %s",
            self.zmq_plans_endpoint,
            " (pub)" if self.zmq_plans_pattern == "pub" else "",
            self.zmq_control_endpoint or "nobody (no zmq_control_endpoint)",
            self.node,
            self.instance,
        )

    def stop(self) -> None:
        """Rejects what was not applied, sends what waits, and ends. Takes up to about 2 s where nobody is
        there to take it. After it the context can be started again, with the knobs that it has.
        """
        self._stop_within(_STOP_SECONDS)

    def _stop_within(self, seconds: float) -> None:
        global _global_context
        with _lock:
            if _global_context is self:
                _global_context = None
            _alive.discard(self)
            was_live = self._is_started and not self._noop
            self._is_started = False
            # What is let go without an answer is rejected.
            self._in_hand = {}
        if was_live:
            self._native.stop(seconds)
            self._report(self._native)
            # In a forked child nothing was.
            if self._native.status()["link"] == "stopped":
                logger.info("stopped")

    def __enter__(self) -> OptimizerContext:
        self.start()
        return self

    def __exit__(
        self,
        kind: Optional[type],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()

    def _options(self) -> List[Tuple[str, str]]:
        options = [("plans-address", self.zmq_plans_endpoint)]
        if self.zmq_plans_pattern:
            options.append(("plans", self.zmq_plans_pattern))
        if self.zmq_plans_bind:
            options.append(("plans-bind", "true"))
        if self.zmq_control_endpoint:
            options.append(("control-address", self.zmq_control_endpoint))
        return options

    def _say_why_there_is_nothing(self) -> None:
        if self.group_file and os.path.exists(self.group_file):
            logger.warning(
                "this package has no Mofka: the group file %s is not used, no plans will come; give "
                "zmq_plans_endpoint",
                self.group_file,
            )
        else:
            logger.info("no zmq_plans_endpoint: no plans will come")

    # -- plans as they are --

    def enqueue_action(self, plan: ActionPlan) -> None:
        """Puts in a plan as if the optimizer had sent it to this process alone."""
        if not self._is_started:
            self._by_hand[plan.plan_id] = plan
        self._stage(plan)

    def drain_actions_for(self, func_name: str, at: str = "epoch_boundary") -> List[ActionPlan]:
        """The plans that this function can take at this boundary, at most one for each knob.

        ``epoch_boundary`` takes everything; ``window_boundary`` and ``next_window``, which are the same, what
        need not wait for the end of the epoch. Answer each with :meth:`ack_action`: one that is not answered
        when the next for its knob is drained, or at the end, is rejected. Cheap enough for every step.
        """
        try:
            function = self._functions[func_name]
        except KeyError:
            function = self._listen(func_name)
        return [] if function.quiet() else self._drain(function, at)

    def _drain(self, function: _native.Function, at: str) -> List[ActionPlan]:
        self._report(self._native)
        plans = []
        for change in self._poll(function, at):
            plan = change.plan
            plans.append(plan)
            self._by_hand.pop(plan.plan_id, None)
            key = (function.name, change.knob_id)
            _, earlier = self._in_hand.pop(key, (None, None))
            self._in_hand[key] = (function, change)
            if earlier is not None:
                _answer(
                    earlier, "rejected", None, "the script gave no answer, and took a later plan"
                )
        return plans

    def ack_action(
        self,
        plan: ActionPlan,
        old_value: Any,
        new_value: Any,
        status: str = "applied",
        reason: str = "",
    ) -> None:
        """Answers a plan that was drained: ``applied`` with the value now in force, ``rejected`` with the
        reason, or ``deferred``, after which it comes back at the next boundary. An answer to a plan that is
        not in hand, as a second one, says nothing to the optimizer.
        """
        in_hand = list(self._in_hand.items())
        found = next((key for key, (_, c) in in_hand if c.plan_id == plan.plan_id), None)
        function, change = self._in_hand.pop(found, (None, None)) if found else (None, None)
        if function is None or change is None:
            logger.warning(
                "plan %s for %s is not in hand: its answer, %s, is passed over",
                plan.plan_id,
                plan.knob_id,
                status,
            )
            return
        if old_value is not None:
            _tell_value(function, change.parameter, old_value)
        if status not in ("applied", "rejected", "deferred"):
            reason = f"{status}: {reason}" if reason else str(status)
            status = "rejected"
        _answer(change, status, new_value, reason)

    def register_knobs(
        self,
        func_name: str,
        knob_defs: Mapping[str, KnobDef],
        current_values: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Registers the knobs of a function, with the values that they have now: by parameter, or by id.

        Raises nothing: what makes no sense is logged, and the rest is registered. The optimizer is told at
        once, again whenever it comes back, and at each heartbeat.
        """
        registration, problems = self._registration(func_name, knob_defs, current_values)
        for problem in problems:
            logger.error("%s: %s", func_name, problem)
        self._declared[func_name] = registration
        self._register(func_name, registration, strict=False)

    # -- functions, polled or with callbacks --

    def function(
        self,
        name: str,
        knobs: Mapping[str, Union[KnobDef, Mapping[str, Any]]],
        values: Optional[Mapping[str, Any]] = None,
    ) -> Function:
        """Registers the knobs of a function, or of a loop that is none, and gives the place where changes are
        taken. A knob is what :func:`~dfoptimizer.knob` gives; its id is ``<namespace>.<parameter>``.

        :class:`KnobsRefused` where one makes no sense; then none is registered.
        """
        registration, problems = self._registration(name, knobs, values)
        if not problems:
            problems = self._register(name, registration, strict=True)
        if problems:
            raise KnobsRefused(name, problems)
        self._declared[name] = registration
        return Function(self, name)

    # -- how it fares --

    @property
    def node(self) -> str:
        """The name of this node."""
        return self._native.node

    @property
    def instance(self) -> str:
        """The name of this very start of this process, as registrations and answers carry it."""
        return self._native.instance

    @property
    def window(self) -> Optional[int]:
        """The window that it was told; None is not known."""
        return self._native.window

    def set_window(self, window: int) -> None:
        """Tells the window that the script is in, counted as the findings count it. Answers carry it."""
        self._native.set_window(window)

    def status(self) -> Dict[str, Any]:
        """How it fares: ``link`` (``disabled``, ``opening``, ``open``, ``stopped``, ``forked``), ``plans``
        and ``sent`` (counts by what became of them), ``plans_waiting``, ``acks_waiting``, ``last_error`` and
        more.
        """
        return self._native.status()

    def wait_for(self, condition: Callable[[Dict[str, Any]], object], timeout: float) -> bool:
        """Waits until the condition holds for the :meth:`status`, so many seconds at most. Whether it does.
        Other threads run on meanwhile.
        """
        return self._native.wait_for(condition, timeout)

    # -- inside --

    def _registration(
        self,
        function: str,
        knobs: Mapping[str, Union[KnobDef, Mapping[str, Any]]],
        values: Optional[Mapping[str, Any]],
    ) -> Tuple[Dict[str, Any], List[str]]:
        """As on the wire; and what was no knob at all."""
        wire: Dict[str, Any] = {}
        problems: List[str] = []
        for parameter, knob in _map("knobs", knobs, problems).items():
            try:
                if not isinstance(knob, KnobDef):
                    knob = knob_def_from_dict(f"{self.namespace}.{parameter}", knob, function)
                wire[parameter] = _as_json(knob_def_to_wire(knob))
            except Exception as error:
                problems.append(f"knob `{parameter}`: not what knob() gives: {error!r}")
        now = {}
        for parameter, value in _map("current_values", values or {}, problems).items():
            try:
                now[parameter] = _as_json(value)
            except Exception:
                problems.append(
                    f"current_values.{parameter}: {_shown(value)} is no value of a knob"
                )
        registration = {
            "namespace": self.namespace,
            "function_name": function,
            "knobs": wire,
            "current_values": now,
        }
        return registration, problems

    def _register(self, name: str, registration: Dict[str, Any], strict: bool) -> List[str]:
        """What was wrong; if strict, then nothing is registered."""
        function, problems = self._native.register(name, json.dumps(registration), strict)
        if function is not None:
            self._functions[name] = function
            logger.info("registered for %s: %s", name, ", ".join(registration["knobs"]))
        if not strict:
            for problem in problems:
                logger.error("%s: %s", name, problem)
        self._report(self._native)
        return problems

    def _listen(self, name: str) -> _native.Function:
        function = self._functions[name] = self._native.listen(name)
        return function

    def _stage(self, plan: ActionPlan) -> None:
        fields = {}
        for name, value in vars(plan).items():
            try:
                fields[name] = _as_json(value)
            except Exception:
                # No value that JSON has: it is refused by name.
                fields[name] = [_shown(value)]
        self._native.stage(json.dumps(fields))
        self._report(self._native)

    def _poll(
        self, function: _native.Function, at: str, others: Sequence[str] = ()
    ) -> List[Change]:
        """The changes for this boundary, but for the parameters of `others`."""
        if at not in BOUNDARIES:
            unknown = _shown(at)
            if unknown not in self._warned:
                self._warned.add(unknown)
                logger.error("unknown boundary %s, one of: %s", unknown, ", ".join(BOUNDARIES))
            return []
        changes = function.poll(at, list(others))
        for change in changes:
            logger.info("plan %s: %s to %r", change.plan_id, change.knob_id, change.new_value)
        return changes

    def _report(self, native: _native.Context) -> None:
        """Logs what is news in the status. Never from the background: it is done by whoever calls."""
        if not native.has_news():
            return
        now, before = native.tell(), self._told
        self._told = now

        def is_new(field: str) -> bool:
            return now[field] is not None and now[field] != before.get(field)

        if is_new("last_error"):
            logger.warning("the way to the optimizer: %s", now["last_error"])
        if is_new("link") and now["link"] in ("opening", "open") and before:
            logger.info("the way to the optimizer: %s", now["link"])
        if is_new("last_undecodable"):
            logger.warning("a record that is no plan: %s", now["last_undecodable"])
        if is_new("last_refusal"):
            logger.warning("rejected: %s", now["last_refusal"])


class Function:
    """A function of a script, or a loop that is none, that owns knobs. Made by
    :meth:`OptimizerContext.function`.
    """

    def __init__(self, context: OptimizerContext, name: str) -> None:
        self._context = context
        self._name = name
        self._callbacks: Dict[str, Callable[[Any], object]] = {}

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    def poll(self, at: str = "epoch_boundary") -> List[Change]:
        """The changes to make at this boundary, oldest first, at most one for each knob. Answer each: one
        that is let go without an answer is rejected. Cheap enough for every step.
        """
        function = self._native()
        if function.quiet():
            return []
        self._context._report(self._context._native)
        return self._context._poll(function, at)

    def on_change(self, parameter: str, callback: Callable[[Any], object]) -> None:
        """Has :meth:`apply` call this with the new value of the knob. It gives None (or True, for a knob
        that is no bool) where that value is in force then, or the one that is. Where it raises, or gives
        False for a knob that is no bool, the plan is rejected.
        """
        if not callable(callback):
            raise TypeError(
                f"{parameter}: a callback is called with the new value, {callback!r} is not"
            )
        self._callbacks[parameter] = callback

    def apply(self, at: str = "epoch_boundary") -> int:
        """Makes the changes of this boundary with the callbacks, on this thread, and answers. How many were
        applied.
        """
        applied = 0
        for change in self.poll(at):
            callback = self._callbacks.get(change.parameter)
            if callback is None:
                _answer(change, "rejected", None, "no callback: see Function.on_change")
                continue
            try:
                in_force = callback(change.new_value)
            except Exception as error:
                logger.exception("%s: its callback failed", change.knob_id)
                _answer(change, "rejected", None, f"{type(error).__name__}: {error}")
                continue
            if isinstance(in_force, bool) and not isinstance(change.new_value, bool):
                # No value, but whether it went well.
                if not in_force:
                    _answer(change, "rejected", None, "its callback returned False")
                    continue
                in_force = None
            applied += _answer(change, "applied", in_force, "")
        return applied

    def value(self, parameter: str) -> Optional[Value]:
        """The value in force of a knob; None where there is no such knob."""
        return self._native().value(parameter)

    def set_value(self, parameter: str, value: Value) -> None:
        """Tells a value that the script changed on its own. The optimizer hears of it at the next heartbeat.

        ``KeyError`` where there is no such knob, ``ValueError`` or ``TypeError`` where it is not of its type.
        """
        self._native().set_value(parameter, value)

    def _native(self) -> _native.Function:
        function = self._context._functions.get(self._name)
        return self._context._listen(self._name) if function is None else function


def optimizer_context(
    namespace: str = "app",
    protocol: str = "",
    group_file: str = "",
    topic_plans: str = "optimizer.plans",
    topic_acks: str = "optimizer.acks",
    topic_registry: str = "optimizer.registry",
    zmq_plans_endpoint: str = "",
    *,
    zmq_control_endpoint: str = "",
    zmq_plans_pattern: str = "",
    node: str = "",
    heartbeat: float = 10.0,
) -> OptimizerContext:
    """The process's context: made and started at the first call, given again at later ones, until it is
    stopped. The arguments are those of :class:`OptimizerContext`.

    ``ValueError`` where there is one already that was made with other arguments. A call without arguments
    always gives the one that there is.
    """
    global _global_context
    arguments: Dict[str, Any] = {
        "namespace": namespace,
        "protocol": protocol,
        "group_file": group_file,
        "topic_plans": topic_plans,
        "topic_acks": topic_acks,
        "topic_registry": topic_registry,
        "zmq_plans_endpoint": zmq_plans_endpoint,
        "zmq_control_endpoint": zmq_control_endpoint,
        "zmq_plans_pattern": zmq_plans_pattern,
        "node": node,
        "heartbeat": heartbeat,
    }
    with _lock:
        if _global_context is not None:
            _check_same(_global_context, arguments)
            return _global_context
        context = OptimizerContext(**arguments)
        context._arguments = arguments
        context.start()
        _global_context = context
        return context


def current() -> Optional[OptimizerContext]:
    """The process's context, if there is one."""
    return _global_context


_DEFAULTS: Dict[str, Any] = {
    **{name: "" for name in ("protocol", "group_file", "node")},
    **{name: "" for name in ("zmq_plans_endpoint", "zmq_control_endpoint", "zmq_plans_pattern")},
    "namespace": "app",
    "topic_plans": "optimizer.plans",
    "topic_acks": "optimizer.acks",
    "topic_registry": "optimizer.registry",
    "heartbeat": 10.0,
}


def _check_same(context: OptimizerContext, arguments: Dict[str, Any]) -> None:
    """What is left out asks for nothing else."""
    there = context._arguments
    for name, wanted in arguments.items():
        if wanted not in (_DEFAULTS[name], there[name]):
            raise ValueError(
                f"there is a context already, with {name}={there[name]!r} and not {wanted!r}; "
                "stop() it first, or make an OptimizerContext of its own"
            )


def _map(what: str, given: Any, problems: List[str]) -> Dict[str, Any]:
    try:
        return dict(given)
    except (TypeError, ValueError):
        problems.append(f"{what}: a map by parameter, not {given!r}")
        return {}


def _with_values(
    registration: Dict[str, Any], function: Optional[_native.Function]
) -> Dict[str, Any]:
    """With the values that are in force by now."""
    if function is None:
        return registration
    now = {parameter: function.value(parameter) for parameter in registration["knobs"]}
    known = {parameter: value for parameter, value in now.items() if value is not None}
    return {**registration, "current_values": {**registration["current_values"], **known}}


def _tell_value(function: _native.Function, parameter: str, value: Any) -> None:
    try:
        function.set_value(parameter, value)
    except Exception as error:
        shown = _shown(value)
        logger.warning("%s: the value in force, %s, is not told: %s", parameter, shown, error)


def _answer(change: Change, status: str, value: Any, reason: str) -> bool:
    """Answers, whatever is wrong with the answer. Whether the plan counts as applied."""
    try:
        if status == "applied":
            change.applied(value)
        elif status == "deferred":
            change.deferred()
        else:
            change.rejected(reason or "the script rejected it")
    except RuntimeError as error:
        logger.warning("%s", error)
        return False
    except Exception as error:
        shown = _shown(value)
        logger.error("plan %s is rejected: what was applied, %s: %s", change.plan_id, shown, error)
        _reject_if_open(change, f"failed: what was applied: {error}")
        return False
    logger.info("plan %s: %s %s", change.plan_id, change.knob_id, status)
    return status == "applied"


def _reject_if_open(change: Change, reason: str) -> None:
    try:
        change.rejected(reason)
    except RuntimeError:
        pass  # A value of the wrong type was answered for already.


def _as_json(value: Any) -> Any:
    """The value as JSON can say it; an error of whatever kind where it cannot."""
    text = json.dumps(value, default=_number, ensure_ascii=False)
    # A text that is no text in UTF-8 fails here, and not on the other side.
    return json.loads(text.encode())


def _number(value: Any) -> Any:
    """A number of numpy, or of another library."""
    return value.item()


def _shown(value: Any) -> str:
    """For a message: whatever it is, and not all of it."""
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:100]}…"


def _stop_all() -> None:
    for context in list(_alive):
        context._stop_within(_EXIT_SECONDS)
    _native.end_waits()


def _after_fork() -> None:
    """Another thread of the parent may have held the lock, and is not there."""
    global _lock
    _lock = threading.RLock()
    _native.forget_waits()


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_after_fork)
