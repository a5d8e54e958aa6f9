"""Alert rules: their quantities, their syntax, and their evaluation."""
