"""Scheduler entry point of the train stage: python jobs/train.py CONFIG [key=value …]."""

import sys

from dolly.cli import stage_main

if __name__ == "__main__":
    sys.exit(stage_main("train"))
