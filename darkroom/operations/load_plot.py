"""Draws a load run: for each source the queue, the batches and the latency."""

from collections.abc import Sequence
from pathlib import Path

from darkroom.operations.load_report import SourceLoad

# Okabe and Ito's palette, which color-blind people can distinguish.
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#999999"


def draw(sources: Sequence[SourceLoad], path: Path) -> None:
    """Write the picture; the suffix of `path` gives its format."""
    import matplotlib as mpl

    mpl.use("Agg")  # a file, no window
    from matplotlib import pyplot as plt

    figure, rows = plt.subplots(
        len(sources), 3, figsize=(13, 3.6 * len(sources)), layout="constrained", squeeze=False
    )
    for measured, (queue, batches, latency) in zip(sources, rows, strict=True):
        seconds = range(1, len(measured.seconds) + 1)
        queue.set_title(f"Source {measured.source}: messages waiting")
        queue.bar(seconds, [one.arrived for one in measured.seconds], color=_GREY, label="arrivals")
        queue.plot(
            seconds, [one.waiting for one in measured.seconds], color=_BLUE, label="measured"
        )
        simulated = [one.waiting for one in measured.simulated]
        queue.plot(range(1, len(simulated) + 1), simulated, "--", color=_ORANGE, label="simulated")
        queue.legend()
        batches.set_title(f"Batches at once; MaximumConcurrency {measured.concurrency}")
        batches.step(seconds, [one.running for one in measured.seconds], color=_BLUE)
        running = [one.running for one in measured.simulated]
        batches.step(range(1, len(running) + 1), running, "--", color=_ORANGE)
        batches.axhline(measured.concurrency, color="black", linewidth=0.8, linestyle=":")
        latency.set_title("Seconds: oldest message; latency (p95, dots)")
        latency.plot(seconds, [one.oldest for one in measured.seconds], color=_BLUE)
        latency.plot(
            range(1, len(measured.simulated) + 1),
            [one.oldest for one in measured.simulated],
            "--",
            color=_ORANGE,
        )
        points = [
            (n, one.latency)
            for n, one in zip(seconds, measured.seconds, strict=True)
            if one.latency
        ]
        latency.plot([n for n, _ in points], [value for _, value in points], ".", color=_GREY)
        for axes in (queue, batches, latency):
            axes.set_ylim(bottom=0)
            axes.set_xlabel("seconds")
            axes.grid(visible=True, color="#eeeeee")
    figure.savefig(path, dpi=90, metadata={"Software": None} if path.suffix == ".png" else None)
    plt.close(figure)
