"""What every system is measured with."""
