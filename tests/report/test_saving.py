from pathlib import Path

import pytest
from matplotlib.figure import Figure

from sarwater.report.saving import save_figure


@pytest.mark.parametrize("name", ["a_$x_{", "\u6c34", "$\\nosuch$"])
def test_any_name_can_be_drawn(name: str, tmp_path: Path) -> None:
    for path in (tmp_path / "one.png", tmp_path / "two.png"):
        figure = Figure(figsize=(4, 4), layout="constrained")
        axes = figure.subplots()
        axes.set_title(name)
        axes.set_yscale("log")
        axes.plot([1, 2], [1, 1000], label=name)
        axes.set_xticks([1, 2], [name, name])
        axes.legend()
        save_figure(figure, path, dpi=50)
        ticks = [label.get_text() for label in axes.get_yticklabels()]
        assert {"1", "10", "1,000"} <= set(ticks)
        assert "mathdefault" not in "".join(ticks)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
