"""An estimate as a picture: backlog during a burst, and cost by memory."""

from pathlib import Path

from darkroom.capacity.estimate import CapacityEstimate
from darkroom.capacity.model import steps

# Okabe and Ito's palette, which color-blind people can distinguish.
_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#009E73"


def draw(estimate: CapacityEstimate, path: Path) -> None:
    """Write the picture; the suffix of `path` gives its format."""
    import matplotlib as mpl

    mpl.use("Agg")  # a file, no window
    from matplotlib import pyplot as plt

    capacity, demand = estimate.capacity, estimate.capacity.demand
    figure, (queue, money) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")

    end = demand.burst_seconds + min(capacity.drained, 3 * demand.burst_seconds) or 600.0
    moments = list(steps(end * 1.05))
    waiting, concurrent = [], []
    for now in moments:
        arrived = demand.peak * min(now, demand.burst_seconds or now)
        arrived += demand.rate * max(0.0, now - (demand.burst_seconds or now))
        left = arrived - capacity.batch_rate * capacity.polling.batch_seconds(capacity.start, now)
        is_over = bool(demand.burst_seconds) and now > demand.burst_seconds + capacity.drained
        waiting.append(0.0 if is_over or not capacity.backlog else max(0.0, left))
        concurrent.append(
            capacity.polling.concurrency(capacity.start, now) if waiting[-1] else None
        )
    minutes = [moment / 60 for moment in moments]
    queue.plot(minutes, waiting, color=_BLUE)
    queue.fill_between(minutes, waiting, color=_BLUE, alpha=0.15)
    queue.axvspan(0, demand.burst_seconds / 60, color="#999999", alpha=0.15, linewidth=0)
    queue.set_xlabel("minutes since the start of the burst (gray: the burst)")
    queue.set_ylabel("messages waiting", color=_BLUE)
    queue.set_ylim(bottom=0)
    queue.set_title(
        f"Backlog: at most {capacity.backlog:,.0f}, oldest message {capacity.oldest:,.0f} s"
    )
    scale = queue.twinx()
    scale.plot(minutes, concurrent, color=_ORANGE, linestyle="--")
    scale.set_ylabel("concurrent batches, while there is a backlog", color=_ORANGE)
    scale.set_ylim(0, max(capacity.polling.maximum * 1.1, 1))

    own = capacity.service.stack
    for architecture, color, marker in (("arm64", _GREEN, "o"), ("x86_64", _ORANGE, "s")):
        chosen = [
            alternative
            for alternative in estimate.alternatives
            if alternative.architecture == architecture and alternative.batch_size == own.batch_size
        ]
        money.plot(
            [alternative.memory_megabytes for alternative in chosen],
            [alternative.usd_per_million for alternative in chosen],
            color=color,
            marker=marker,
            label=architecture,
        )
    money.axvline(own.memory_megabytes, color="black", linewidth=0.8, linestyle=":")
    money.set_xlabel("MemorySize, MB (dotted: current)")
    money.set_ylabel(f"USD per million pictures, {estimate.region}")
    money.set_ylim(bottom=0)
    money.grid(visible=True, color="#dddddd")
    money.set_title("Cost by memory and architecture")
    money.legend()
    figure.savefig(path, dpi=90, metadata={"Software": None} if path.suffix == ".png" else None)
    plt.close(figure)
