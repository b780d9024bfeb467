"""Programs that run in environments of their own, by path; they import nothing of tunesmith."""
