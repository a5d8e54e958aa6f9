"""The checks of `condord check` and their report."""
