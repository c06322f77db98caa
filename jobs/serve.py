"""Scheduler entry point of the serve stage: python jobs/serve.py CONFIG [key=value …]."""

import sys

from dolly.cli import stage_main

if __name__ == "__main__":
    sys.exit(stage_main("serve"))
