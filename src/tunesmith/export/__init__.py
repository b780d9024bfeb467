"""A tuned model in the forms that people run: merged, in 4 bits, as GGUF, as a web page; each verified."""
