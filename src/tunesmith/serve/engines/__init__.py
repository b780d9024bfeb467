"""What computes the answers, behind one interface (base.py)."""
