"""The package as a whole: what is in it, what importing it does, and what its front page says."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import re
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, Dict, Set

import pytest

import dfoptimizer
from dfoptimizer import _native

HERE = Path(dfoptimizer.__file__).parent
README = Path(__file__).parents[2] / "README.md"

#: What scripts that were written for the original import, by module.
NAMES = {
    "dfoptimizer": ["optimizer_context", "tunable", "knob"],
    "dfoptimizer.runtime": [
        "optimizer_context",
        "tunable",
        "knob",
        "OptimizerContext",
        "Window",
    ],
    "dfoptimizer.runtime.knob": [
        "knob",
        "knob_def_from_dict",
        "knob_def_to_wire",
        "knob_def_from_wire",
    ],
    "dfoptimizer.types": [
        "KnobResponse",
        "KnobDef",
        "ActionPlan",
        "ActionAck",
        "DiagnosisFindingMsg",
        "KnobRegistration",
    ],
}

CONTEXT = {
    "namespace": "app",
    "protocol": "",
    "group_file": "",
    "topic_plans": "optimizer.plans",
    "topic_acks": "optimizer.acks",
    "topic_registry": "optimizer.registry",
    "zmq_plans_endpoint": "",
}

#: The arguments that the original's users pass, in order, with what they are if left out.
DEFAULTS: Dict[str, Dict[str, Any]] = {
    "optimizer_context": CONTEXT,
    "OptimizerContext": {**CONTEXT, "zmq_plans_bind": False},
    "knob": {
        "default": inspect.Parameter.empty,
        "type": int,
        "range": None,
        "values": None,
        "scope": "job",
        "responds_to": None,
    },
    "Window": {"tracer": None, "max_every_n": None},
}


@pytest.mark.parametrize("module", NAMES)
def test_every_name_of_the_original_is_there(module: str) -> None:
    there = importlib.import_module(module)
    assert [name for name in NAMES[module] if not hasattr(there, name)] == []


@pytest.mark.parametrize("name", DEFAULTS)
def test_arguments_stand_in_the_originals_order_with_its_defaults(name: str) -> None:
    parameters = list(inspect.signature(getattr(dfoptimizer, name)).parameters.values())
    expected = DEFAULTS[name]
    assert {p.name: p.default for p in parameters[: len(expected)]} == expected
    assert [p.name for p in parameters[: len(expected)]] == list(expected)
    # What is new can be passed by name alone.
    new = parameters[len(expected) :]
    assert {p.kind for p in new} <= {inspect.Parameter.KEYWORD_ONLY}


def test_everything_public_is_documented() -> None:
    public = [getattr(dfoptimizer, name) for name in dfoptimizer.__all__ if name[0] != "_"]
    members = [
        member
        for item in public
        if inspect.isclass(item)
        for name, member in vars(item).items()
        if name[0] != "_" and (callable(member) or isinstance(member, property))
    ]
    assert [item for item in public + members if not inspect.getdoc(item)] == []


def test_it_is_typed() -> None:
    assert [name for name in ("py.typed", "_native.pyi") if not (HERE / name).is_file()] == []


def test_the_module_is_of_the_stable_abi() -> None:
    assert str(_native.__file__).endswith("_native.abi3.so")


def test_the_version_is_that_of_the_module() -> None:
    assert dfoptimizer.__version__ == _native.__version__
    try:
        installed = importlib.metadata.version("dfoptimizer")
    except importlib.metadata.PackageNotFoundError:
        return  # Not installed: run from the sources.
    assert dfoptimizer.__version__ == installed


def said(script: str) -> Any:
    """What a process prints that does nothing else, as JSON."""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert ran.stderr == ""
    return json.loads(ran.stdout)


def test_an_import_needs_nothing_but_the_standard_library() -> None:
    before = "import sys; before = set(sys.modules); import dfoptimizer, json; "
    names = "{name.split('.')[0] for name in set(sys.modules) - before}"
    brought: Set[str] = set(said(f"{before}print(json.dumps(sorted({names})))"))
    library = Path(sysconfig.get_path("stdlib"))
    others = [
        name
        for name in brought - set(sys.builtin_module_names) - {"dfoptimizer"}
        if library not in Path(str(importlib.import_module(name).__file__)).parents
    ]
    assert others == []


def test_an_import_starts_no_thread_and_takes_no_signal() -> None:
    threads = "len(os.listdir('/proc/self/task'))"
    # Of Python's own there is one, for Ctrl-C.
    taken = "[s for s in range(1, 32) if callable(signal.getsignal(s))]"
    script = f"import dfoptimizer, json, os, signal; print(json.dumps([{threads}, {taken}]))"
    assert said(script) == [1, [int(signal.SIGINT)]]


def test_the_example_of_the_front_page_runs() -> None:
    [example] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: Dict[str, Any] = {"__name__": "example"}
    exec(compile(example, str(README), "exec"), names)
    assert names["read_files"](threads=3) is None
