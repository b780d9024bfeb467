"""An OpenAI-compatible server for tuned models."""
