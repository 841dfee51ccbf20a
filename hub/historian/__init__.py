"""What was measured: one f64 column of everything, by series number and time. Start reading at base.py."""
