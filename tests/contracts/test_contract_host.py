"""What crosses the border: host functions, their kinds, and copies both ways."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from careledger.contracts import (
    ContractFault,
    ContractRefused,
    Engine,
    FaultKind,
    HostFunction,
    HostSignature,
    HostTable,
    Kind,
    Location,
    Outcome,
    Value,
    check,
    run,
)

HEAD = 'ENTRY_POINTS = ["main"]\n'
ENGINES = list(Engine)


def table(
    call: Callable[..., Value], *parameters: Kind, result: tuple[Kind, ...] = (Kind.INT,), gas: int = 5
) -> HostTable:
    signature = HostSignature(
        name="ask",
        parameters=tuple((f"p{i}", (kind,)) for i, kind in enumerate(parameters)),
        result=result,
        gas=gas,
    )
    return HostTable([HostFunction(signature=signature, call=call)])


def outcome(source: str, host: HostTable, engine: Engine = Engine.CLOSURES) -> Outcome:
    contract = check(HEAD + source, host=host)
    return run(contract, "main", {}, gas_max=10_000, memory_bytes_max=100_000, host=host, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_host_function_is_called_with_its_arguments(engine: Engine) -> None:
    host = table(lambda one, other: [one, other], Kind.INT, Kind.STR, result=(Kind.LIST,))
    source = "def main():\n    return ask(p1='b', p0=1) + ask(2, 'c')\n"
    assert outcome(source, host, engine).result == [1, "b", 2, "c"]


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_shared_with_the_host(engine: Engine) -> None:
    kept: list[list[int]] = []

    def ask(values: list[int]) -> Value:
        values.append(99)
        kept.append(values)
        return values  # type: ignore[return-value] # the host may hand back what it was handed

    source = "def main():\n    l = [1]\n    m = ask(l)\n    m.append(5)\n    return [l, m]\n"
    assert outcome(source, table(ask, Kind.LIST, result=(Kind.LIST,)), engine).result == [[1], [1, 99, 5]]
    assert kept == [[1, 99]]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("argument", "answer", "kind"),
    [
        ("'a'", 1, FaultKind.WRONG_TYPE),
        ("True", 1, FaultKind.WRONG_TYPE),
        ("None", 1, FaultKind.WRONG_TYPE),
        ("1", "a", FaultKind.BAD_HOST_RESULT),
        ("1", None, FaultKind.BAD_HOST_RESULT),
        ("1", True, FaultKind.BAD_HOST_RESULT),
        ("1", 1.5, FaultKind.BAD_HOST_RESULT),
        ("1", 2**127, FaultKind.BAD_HOST_RESULT),
    ],
)
def test_kinds_are_held_to(argument: str, answer: Value, kind: FaultKind, engine: Engine) -> None:
    with pytest.raises(ContractFault) as caught:
        outcome(f"def main():\n    return ask({argument})\n", table(lambda _: answer, Kind.INT), engine)
    assert (caught.value.kind, caught.value.location) == (kind, (3, 12))


def test_its_gas_is_taken() -> None:
    source = "def main():\n    return ask()\n"
    cheap = outcome(source, table(lambda: 1, gas=5)).gas_used
    dear = outcome(source, table(lambda: 1, gas=105)).gas_used
    assert dear - cheap == 100


def test_the_result_is_paid_for() -> None:
    source = "def main():\n    return len(ask())\n"
    small = outcome(source, table(lambda: [1], result=(Kind.LIST,)))
    large = outcome(source, table(lambda: [1] * 101, result=(Kind.LIST,)))
    assert large.gas_used - small.gas_used == 100
    assert large.memory_bytes_used > small.memory_bytes_used


@pytest.mark.parametrize("engine", ENGINES)
def test_a_defect_of_the_host_is_not_a_fault_of_the_contract(engine: Engine) -> None:
    def ask() -> Value:
        raise LookupError("the host's own trouble")

    with pytest.raises(LookupError, match="own trouble"):
        outcome("def main():\n    return ask()\n", table(ask), engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fault_of_another_contract_does_not_pass_for_one_of_this(engine: Engine) -> None:
    def ask() -> Value:
        raise ContractFault(FaultKind.OUT_OF_GAS, Location(1, 1))

    with pytest.raises(RuntimeError, match="let a contract's fault through"):
        outcome("def main():\n    return ask()\n", table(ask), engine)


def test_a_contract_is_run_with_the_host_it_was_checked_with() -> None:
    host = table(lambda: 1)
    contract = check(HEAD + "def main():\n    return ask()\n", host=host)
    for other in (HostTable(), table(lambda: 1, gas=6), table(lambda _: 1, Kind.INT)):
        with pytest.raises(ContractFault) as caught:
            run(contract, "main", {}, gas_max=1_000, memory_bytes_max=10_000, host=other)
        assert caught.value.kind is FaultKind.HOST_MISMATCH


def test_names_of_the_host_are_taken() -> None:
    with pytest.raises(ContractRefused, match="function of the host"):
        check(HEAD + "def main():\n    ask = 1\n", host=table(lambda: 1))
    with pytest.raises(ContractRefused, match="1 arguments|missing"):
        check(HEAD + "def main():\n    return ask()\n", host=table(lambda _: 1, Kind.INT))


def test_a_host_may_not_take_the_language_s_names() -> None:
    signature = HostSignature(name="len", parameters=(), result=(Kind.INT,), gas=1)
    with pytest.raises(ValueError, match="taken"):
        HostTable([HostFunction(signature=signature, call=lambda: 1)])
    with pytest.raises(ValueError, match="gives no gas"):
        table(lambda: 1, gas=-1)
    other = HostFunction(signature=HostSignature(name="ask", parameters=(), result=(), gas=1), call=lambda: 1)
    with pytest.raises(ValueError, match="taken"):
        HostTable([other, other])
