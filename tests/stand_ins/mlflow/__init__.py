"""Stands in for MLflow: the part of its API that Lightning calls, kept in memory."""

import os

uris: list[str] = []


def get_tracking_uri() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")


def set_tracking_uri(uri: str) -> None:
    uris.append(uri)
