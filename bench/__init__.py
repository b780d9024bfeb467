"""Speed, as a ratio against another way or a physical limit of the same run; CPU-seconds, contenders alternating."""
