"""One file per tracker, with `start(about) -> Tracker`; a name in tune.track is the name of a file here."""
