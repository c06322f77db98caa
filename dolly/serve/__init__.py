"""The champion behind an OpenAI-compatible API, and a chat page on top of it."""
