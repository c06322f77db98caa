"""The OpenAPI description of the server's routes."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from dolly import __version__
from dolly.serve.api import ChatRequest, CompletionRequest, Generation
from dolly.serve.errors import STATUSES
from dolly.serve.feedback import Feedback
from dolly.serve.page import MEDIA

_BODIES: dict[str, type[BaseModel]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/feedback": Feedback,
}
_MEDIA = {"/metrics": "text/plain", **MEDIA}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The description, made from the routes that the app has."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, Any] = {}
    for route in app.routes:
        path, methods = getattr(route, "path", ""), getattr(route, "methods", None) or set()
        if not hasattr(route, "endpoint") or path == app.openapi_url:
            continue
        for method in sorted(methods):
            paths.setdefault(path, {})[method.lower()] = _operation(path, method, route.endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "dolly", "version": __version__},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(path: str, method: str, endpoint: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    error = {
        "description": "refused",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    content: dict[str, Any] = {_MEDIA.get(path, "application/json"): {"schema": {}}}
    operation: dict[str, Any] = {
        "summary": (endpoint.__doc__ or "").splitlines()[0],
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "responses": {"200": {"description": "done", "content": content}} | {str(status): error for status in STATUSES},
    }
    if method == "HEAD":
        for response in operation["responses"].values():
            response.pop("content", None)
    if "{name}" in path:
        parameter = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        operation["parameters"] = [parameter]
    if body := _BODIES.get(path):
        schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[body.__name__] = schema
        reference = {"$ref": f"#/components/schemas/{body.__name__}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
        if issubclass(body, Generation):
            content["text/event-stream"] = {}
    return operation
