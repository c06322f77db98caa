"""Finds personal data and secrets in text and replaces them by consistent pseudonyms."""

from dolly.clean.privacy.candidate import CANDIDATE
from dolly.clean.privacy.detector import REGIONS, Detector
from dolly.clean.privacy.key import load_or_create_key
from dolly.clean.privacy.pseudonyms import Pseudonyms, mask
from dolly.clean.privacy.span import KINDS, Span

__all__ = ["CANDIDATE", "KINDS", "REGIONS", "Detector", "Pseudonyms", "Span", "load_or_create_key", "mask"]
