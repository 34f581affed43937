"""The plan as a picture: backlog and age over a burst, and what memory buys."""

from __future__ import annotations

from pathlib import Path

from darkroom.capacity.model import steps
from darkroom.capacity.report import Plan
from darkroom.errors import UserError

# Okabe and Ito's colours, which colour-blind people can tell apart.
_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#009E73"


def draw(plan: Plan, path: Path) -> None:
    """Write a PNG, or what the file's ending says; UserError where matplotlib is missing."""
    try:
        import matplotlib as mpl

        mpl.use("Agg")  # a file, no window
        from matplotlib import pyplot as plt
    except ModuleNotFoundError:
        raise UserError(
            "--plot needs the Python package 'matplotlib', which is not installed; install it with:"
            " python -m pip install --group plan"
        ) from None
    capacity, demand = plan.capacity, plan.capacity.demand
    figure, (queue, money) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")

    end = demand.burst_seconds + min(capacity.drained, 3 * demand.burst_seconds) or 600.0
    moments = list(steps(end * 1.05))
    waiting, worked = [], []
    for now in moments:
        arrived = demand.peak * min(now, demand.burst_seconds or now)
        arrived += demand.rate * max(0.0, now - (demand.burst_seconds or now))
        left = arrived - capacity.each * capacity.polling.done(capacity.start, now)
        is_over = bool(demand.burst_seconds) and now > demand.burst_seconds + capacity.drained
        waiting.append(0.0 if is_over or not capacity.backlog else max(0.0, left))
        worked.append(capacity.polling.at_once(capacity.start, now) if waiting[-1] else None)
    minutes = [moment / 60 for moment in moments]
    queue.plot(minutes, waiting, color=_BLUE)
    queue.fill_between(minutes, waiting, color=_BLUE, alpha=0.15)
    queue.axvspan(0, demand.burst_seconds / 60, color="#999999", alpha=0.15, linewidth=0)
    queue.set_xlabel("minutes from the burst's begin (grey: the burst)")
    queue.set_ylabel("messages waiting", color=_BLUE)
    queue.set_ylim(bottom=0)
    queue.set_title(f"Backlog; most {capacity.backlog:,.0f}, oldest {capacity.oldest:,.0f} s")
    scale = queue.twinx()
    scale.plot(minutes, worked, color=_ORANGE, linestyle="--")
    scale.set_ylabel("batches at once, while there is a backlog", color=_ORANGE)
    scale.set_ylim(0, max(capacity.polling.most * 1.1, 1))

    own = capacity.service.stack
    for architecture, colour, marker in (("arm64", _GREEN, "o"), ("x86_64", _ORANGE, "s")):
        chosen = [
            choice
            for choice in plan.choices
            if choice.architecture == architecture and choice.batch_size == own.batch_size
        ]
        money.plot(
            [choice.memory_megabytes for choice in chosen],
            [choice.per_million for choice in chosen],
            color=colour,
            marker=marker,
            label=architecture,
        )
    money.axvline(own.memory_megabytes, color="black", linewidth=0.8, linestyle=":")
    money.set_xlabel("MemorySize, MB (dotted: as planned)")
    money.set_ylabel(f"USD a million pictures, {plan.region}")
    money.set_ylim(bottom=0)
    money.grid(visible=True, color="#dddddd")
    money.set_title("Cost by memory and architecture")
    money.legend()
    figure.savefig(path, dpi=90, metadata={"Software": None} if path.suffix == ".png" else None)
    plt.close(figure)
