"""The paths of the API, which a server and the router in front of it share."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI


def add_api(app: FastAPI, api: Any, *, feedback: Any) -> None:
    """Adds the routes.

    Args:
        app: gets them.
        api: has a handler for each.
        feedback: the handler that takes ratings.
    """
    readable = {
        "/health": api.health,
        "/ready": api.ready,
        "/metrics": api.metrics_page,
        "/v1/models": api.list_models,
        "/v1/models/{name}": api.show_model,
    }
    posted = {"/v1/chat/completions": api.chat, "/v1/completions": api.complete, "/v1/feedback": feedback}
    for path, handler in readable.items():
        app.add_api_route(path, handler, methods=["GET", "HEAD"], response_model=None)
    for path, handler in posted.items():
        app.add_api_route(path, handler, methods=["POST"], response_model=None)
