"""A plot of who wins the robust loss's maximum while a student trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, TOP = 640, 220, 44, 28
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")


def winner_plot(steps: Sequence[int], wins: Mapping[str, Sequence[float]]) -> str:
    """An SVG: for each line of the log, the share of its steps that each vector won, stacked."""
    inner = WIDTH - LEFT - 8
    bar = inner / len(steps)
    span = HEIGHT - TOP - 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for number, name in enumerate(wins):
        x = LEFT + 96 * number
        parts.append(f'<rect x="{x}" y="8" width="10" height="10" fill="{COLOURS[number]}"/>')
        parts.append(f'<text x="{x + 14}" y="17">{name}</text>')
    for position in range(len(steps)):
        below = 0.0
        for number, shares in enumerate(wins.values()):
            share = shares[position]
            if share > 0:
                top = TOP + span * (1 - below - share)
                parts.append(
                    f'<rect x="{LEFT + position * bar:.2f}" y="{top:.2f}" width="{bar:.2f}" '
                    f'height="{span * share:.2f}" fill="{COLOURS[number]}"/>'
                )
            below += share
    for share in (0, 0.5, 1):
        y = TOP + span * (1 - share)
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for share in (0, 0.5, 1):
        x, step = LEFT + inner * share, round(steps[-1] * share)
        anchor = "end" if share == 1 else "middle"
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{step:,}</text>')
    parts.append(f'<text x="{LEFT + inner / 4:.0f}" y="{HEIGHT - 8}">step</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
