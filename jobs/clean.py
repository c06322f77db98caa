"""Scheduler entry point of the clean stage: python jobs/clean.py CONFIG [key=value …]."""

import sys

from dolly.cli import stage_main

if __name__ == "__main__":
    sys.exit(stage_main("clean"))
