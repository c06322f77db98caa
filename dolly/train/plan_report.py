"""`dolly plan`: prints the plan of a config's training."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from rich.console import Console
from rich.table import Table

from dolly.config import Config
from dolly.environment import memory_bytes
from dolly.state import State
from dolly.tables import Tables
from dolly.train.lookup import gold_rows, prompt_of
from dolly.train.memory import Memory
from dolly.train.plan import EFFICIENCY, GPUS, Method, Offer, Planner
from dolly.train.spec import TrainSpec

_PARTS = ("libraries", "weights", "gradients", "optimizer", "activations", "logits", "stepping", "evaluation", "saving")


def planner(config: Config) -> Planner:
    """The plan of a config's training; `dolly prepare` must have run.

    Raises:
        DataError: there are no gold rows, or they were encoded with another prompt or tokenizer.
    """
    from dolly.base_model import load_tokenizer, locate
    from dolly.train.model import shape

    base = locate(config.model.base, allow_network=config.allow_network)
    rows = gold_rows(config, Tables(State.of(config).tables), base=base)
    tokenizer = load_tokenizer(base)
    prompt_of(config).prepare_tokenizer(tokenizer)
    spec = TrainSpec.of(config, base=base, gold_version=rows.version, training_set=rows.sha256)

    def build(method: Method, checkpointing: bool) -> Any:
        changed = replace(spec, method=method, gradient_checkpointing=checkpointing)
        return shape(base, dtype=spec.dtype, words=len(tokenizer), **changed.shaping)

    return Planner(spec, rows.train, build)


def figures(plan: Planner) -> dict[str, Any]:
    """The plan as plain values; bytes, hours, USD."""
    here = plan.memory(plan.asked, on_gpu=False)
    return {
        "work": asdict(plan.work),
        "this_machine": asdict(here) | {"peak": here.peak, "has": memory_bytes()},
        "gpus": [
            {"gpu": gpu.name, "asked": _offer(plan.offer(gpu, plan.asked)), "cheapest": _offer(plan.cheapest(gpu))}
            for gpu in GPUS
        ],
    }


def show(plan: Planner, console: Console) -> None:
    """Prints the plan."""
    work, here = plan.work, plan.memory(plan.asked, on_gpu=False)
    console.print(
        f"{work.rows:,} rows, {work.steps:,} steps, {work.tokens:,} tokens ({work.trained_tokens:,} with loss) in "
        f"{work.blocks:,} blocks of {plan.spec.block_tokens:,}: {work.packing:.0%} full"
    )
    console.print(_parts("one process on this machine", here))
    verdict = "fits" if here.peak * plan.spec.processes < memory_bytes() else "does not fit"
    console.print(f"{plan.spec.processes} x {_gib(here.peak)} on this machine with {_gib(memory_bytes())}: {verdict}")
    console.print(_offers(plan))
    console.print(
        f"hours at {EFFICIENCY:.0%} of a GPU's peak, money at the price shown; both are forecasts, to be measured",
        style="dim",
    )


def _parts(title: str, memory: Memory) -> Table:
    table = Table(*_PARTS, "peak", title=title, title_justify="left")
    table.add_row(*(_gib(getattr(memory, part)) for part in _PARTS), _gib(memory.peak))
    return table


def _offers(plan: Planner) -> Table:
    table = Table("GPU", "as configured", "hours", "USD", "cheapest that fits", "GiB each", "hours", "USD")
    for gpu in GPUS:
        asked, best = plan.offer(gpu, plan.asked), plan.cheapest(gpu)
        verdict = _gib(asked.memory.peak) + (" fits" if asked.fits else " does not fit")
        figures = (f"{asked.hours:.2f}", f"{asked.cost:.2f}") if asked.fits else ("-", "-")
        cheapest = (
            (str(best.setting), _gib(best.memory.peak), f"{best.hours:.2f}", f"{best.cost:.2f}")
            if best
            else ("none on up to 8", "-", "-", "-")
        )
        table.add_row(f"{gpu.name} ({gpu.price:.2f}/h)", verdict, *figures, *cheapest)
    return table


def _offer(offer: Offer | None) -> dict[str, Any] | None:
    if offer is None:
        return None
    return {
        "setting": str(offer.setting),
        "peak": offer.memory.peak,
        "fits": offer.fits,
        "hours": round(offer.hours, 3),
        "usd": round(offer.cost, 2),
    }


def _gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"
