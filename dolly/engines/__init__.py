"""Engines generate the tokens of many requests at once.

    base.py          what a runner is: it generates step by step, in one thread
    openvino.py      runner of OpenVINO GenAI with continuous batching, on CPUs; the default
    reference.py     runner of transformers, in batches; for what OpenVINO can't do, and on GPUs
    process.py       an engine: a runner in a process of its own, and its requests (child.py: that process)
    choose.py        which engine serves a model (prepare.py: converts it, in a process of its own)
    convert.py       weights → OpenVINO's format, compared with transformers
    trace.py         the model as OpenVINO's graph

An engine knows token ids only: prompts, texts, limits and OpenAI's format are the server's.
"""
