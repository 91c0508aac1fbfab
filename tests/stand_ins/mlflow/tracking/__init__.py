"""The client; a server refuses what the real one refuses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from mlflow.entities import Metric, Param


@dataclass
class Run:
    info: Any
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    status: str = "RUNNING"


experiments: dict[str, str] = {}
runs: dict[str, Run] = {}


class MlflowClient:
    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri

    def get_experiment_by_name(self, name: str) -> Any:
        if name not in experiments:
            return None
        return SimpleNamespace(experiment_id=experiments[name], lifecycle_stage="active")

    def create_experiment(self, name: str, **_: object) -> str:
        experiments[name] = str(len(experiments))
        return experiments[name]

    def create_run(self, experiment_id: str, tags: dict[str, str]) -> Run:
        run_id = f"run{len(runs)}"
        runs[run_id] = Run(SimpleNamespace(run_id=run_id, experiment_id=experiment_id), dict(tags))
        return runs[run_id]

    def get_run(self, run_id: str) -> Run:
        return runs[run_id]

    def log_batch(
        self, run_id: str, metrics: Sequence[Metric] = (), params: Sequence[Param] = ()
    ) -> None:
        assert len(params) <= 100
        run = runs[run_id]
        for param in params:
            assert run.params.setdefault(param.key, param.value) == param.value, "changed param"
        run.metrics += metrics

    def set_terminated(self, run_id: str, status: str) -> None:
        runs[run_id].status = status
