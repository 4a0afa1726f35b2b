"""albench: the benchmark harness for active learning."""

__version__ = "0.1.0"
