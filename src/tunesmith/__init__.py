"""Tunesmith turns a base language model into one that follows instructions, and proves each step."""

__version__ = "0.1.0"
