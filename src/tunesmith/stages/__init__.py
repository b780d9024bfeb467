"""Each kind of stage, carried out. One file a kind; run.py walks through a recipe."""
