"""Scheduler entry point of the register stage: python jobs/register.py CONFIG [key=value …]."""

import sys

from dolly.cli import stage_main

if __name__ == "__main__":
    sys.exit(stage_main("register"))
