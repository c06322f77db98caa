"""Scheduler entry point of the upkeep of the tables: python jobs/maintain.py CONFIG [key=value …]."""

import sys

from dolly.cli import stage_main

if __name__ == "__main__":
    sys.exit(stage_main("maintain"))
