from typing import Any


class Config:
    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def update(self, values: dict[str, Any], allow_val_change: bool = False) -> None:
        assert allow_val_change
        self.values |= values


class Run:
    def __init__(self, name: str) -> None:
        self.id = name
        self.config = Config()
        self.rows: list[dict[str, float]] = []
        self.is_finished = False

    def define_metric(self, name: str, **_: Any) -> None: ...

    def log(self, row: dict[str, float]) -> None:
        self.rows.append(row)

    def finish(self) -> None:
        import wandb

        self.is_finished = True
        wandb.run = None
