import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from sarwater.errors import ModelError
from sarwater.training.checkpoint import Progress, load_checkpoint, save_checkpoint

STATE: dict[str, Any] = {
    "weights": {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3, dtype=torch.uint8)},
    "epoch": 4,
    "names": ["x", "y"],
    "best": None,
    "pairs": [(torch.ones(2), torch.zeros(2))],
    "score": 0.25,
}


class Touch:
    """A pickle that makes a file when it is opened carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_state_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "last.ckpt"
    save_checkpoint(path, STATE)
    found = load_checkpoint(path)
    assert found.keys() - {"format"} == STATE.keys()
    for name, tensor in STATE["weights"].items():
        assert torch.equal(found["weights"][name], tensor)
        assert found["weights"][name].dtype == tensor.dtype
    for one, other in zip(found["pairs"][0], STATE["pairs"][0], strict=True):
        assert torch.equal(one, other)
    for name in ("epoch", "names", "best", "score"):
        assert found[name] == STATE[name]


def test_a_new_checkpoint_replaces_the_former_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, {"epoch": 1})
    save_checkpoint(path, {"epoch": 2})
    assert load_checkpoint(path)["epoch"] == 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_former_one(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, {"epoch": 1})
    with pytest.raises((AttributeError, pickle.PicklingError)):
        save_checkpoint(path, {"epoch": lambda: None})
    assert load_checkpoint(path)["epoch"] == 1
    assert list(tmp_path.iterdir()) == [path]


def judged(*scores: float, always: bool = False) -> Progress:
    """Progress after epochs with these scores."""
    progress = Progress()
    for score in scores:
        network = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(network.weight, score)
        progress.judge(score, {"f1": score}, network, {}, always=always)
        progress.start_next_epoch()
    return progress


@pytest.mark.parametrize(
    ("scores", "stale", "best"),
    [
        ((0.5,), 0, 1),
        ((0.5, 0.4), 1, 1),
        ((0.5, 0.5, 0.5), 2, 1),  # as good is not better
        ((0.5, 0.4, 0.6), 0, 3),
        ((0.5, 0.4, 0.6, 0.1, 0.2, 0.3), 3, 3),
    ],
)
def test_epochs_without_a_better_score_are_counted(
    scores: tuple[float, ...], stale: int, best: int
) -> None:
    progress = judged(*scores)
    assert [limit for limit in range(1, 6) if progress.is_stale(limit)] == list(range(1, stale + 1))
    assert not progress.is_stale(None)
    assert progress.best is not None
    assert progress.best["epoch"] == best
    assert progress.best["weights"]["weight"].item() == pytest.approx(scores[best - 1])


def test_where_the_last_epoch_is_kept_none_is_stale() -> None:
    progress = judged(0.5, 0.4, 0.3, always=True)
    assert not progress.is_stale(1)
    assert progress.best is not None
    assert progress.best["epoch"] == 3


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing to resume"):
        load_checkpoint(tmp_path / "none.ckpt")


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_damaged_one(kept: float, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, STATE)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(ModelError, match="cannot be read"):
        load_checkpoint(path)


def test_what_the_file_system_refuses_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    path = tmp_path / "last.pt"
    save_checkpoint(path, STATE)
    monkeypatch.setattr(torch, "load", fail)
    raised: BaseException = PermissionError(13, "Permission denied", str(path))
    with pytest.raises(ModelError, match=r"^cannot read .*last\.pt: Permission denied; see to its"):
        load_checkpoint(path)
    raised = OSError(5, "Input/output error")
    with pytest.raises(ModelError, match=r"^cannot read .*last\.pt: Input/output error; see to"):
        load_checkpoint(path)
    raised = MemoryError()
    with pytest.raises(MemoryError):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [torch.ones(3), {"weights": {}}, {"format": 99}, [1, 2]])
def test_files_of_torch_that_are_no_checkpoint(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(content, path)
    with pytest.raises(ModelError, match="no checkpoint of this version"):
        load_checkpoint(path)


@pytest.mark.parametrize("by_torch", [True, False])
def test_code_in_a_checkpoint_is_never_run(by_torch: bool, tmp_path: Path) -> None:
    path, made = tmp_path / "last.ckpt", tmp_path / "made"
    content = {"format": 1, "epoch": Touch(made)}
    if by_torch:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(ModelError, match="cannot be read"):
        load_checkpoint(path)
    assert not made.exists()
    if not by_torch:
        pickle.loads(path.read_bytes())
        assert made.exists()  # it would have been run


def test_a_checkpoint_lies_on_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sync = tmp_path / "last.pt", os.fsync
    synced: list[tuple[int, bool]] = []

    def noted(number: int) -> None:
        synced.append((os.fstat(number).st_size, path.exists()))
        sync(number)

    monkeypatch.setattr(os, "fsync", noted)
    save_checkpoint(path, STATE)
    assert synced == [(path.stat().st_size, False)]


@pytest.mark.parametrize("fault", [torch.OutOfMemoryError, torch.AcceleratorError])
def test_a_fault_of_the_device_is_no_full_disk(
    fault: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise fault("CUDA error")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(fault, match="CUDA error"):
        save_checkpoint(tmp_path / "last.pt", {})
    assert list(tmp_path.iterdir()) == []
